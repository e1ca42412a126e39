"""Keeps the streams of one group of symbols: connects, subscribes, renews, reconnects.

Level-triggered: adding or removing a symbol changes what is wanted, and each stream session
brings its subscriptions there, whether it is open, closed or connecting.

A session that will end soon (the venue cuts after 24 hours, or announces its shutdown) gets a
successor while it still delivers. Both deliver for a moment, and what comes twice is dropped by
its id; so nothing is missed. Only a session that breaks unannounced leaves a gap.
"""

from collections.abc import Callable

import attrs
import trio

from levitrio.venues.binance.market_data.counters import OnFeedEvent
from levitrio.venues.binance.market_data.decoder import FrameDecoder
from levitrio.venues.binance.market_data.messages import InvalidFrame, Received
from levitrio.venues.binance.market_data.stream_client import Receive, StreamClient
from levitrio.venues.binance.market_data.stream_session import RenewingStream
from levitrio.venues.binance.rate_limits.token_bucket import TokenBucket
from levitrio.venues.binance.websocket.request_client import Backoff

Connect = Callable[[FrameDecoder, Receive, Callable[[], None]], StreamClient]
"""Decoder, where events go, and what to call when the venue announces its shutdown."""


@attrs.frozen(kw_only=True)
class RenewalPolicy:
    """When a connection is replaced while it works, and how. In seconds."""

    after: float = 85_800.0
    """Age: ten minutes before the venue's own 24 hours."""
    spread: float = 3_600.0
    """Up to so much earlier, by chance: lanes that began together do not renew together."""
    prove_within: float = 10.0
    """For the successor, to be subscribed and to deliver."""
    overlap: float = 2.0
    """Both deliver: what only the old one has on its way still comes."""

    def age(self, chance: float) -> float:
        """The age at which a connection is renewed."""
        return max(self.after - self.spread * chance, self.after / 2)


class FeedConnection:
    """One connection's worth of symbols."""

    def __init__(
        self,
        number: int,
        streams: tuple[str, ...],
        *,
        connect: Connect,
        receive: Receive,
        on_connected: Callable[[frozenset[str]], None],
        on_overlap: Callable[[int], None],
        on_event: OnFeedEvent,
        backoff: Backoff,
        chance: Callable[[], float],
        attempts: TokenBucket,
        renewal: RenewalPolicy,
    ) -> None:
        self.symbols: set[str] = set()
        self.ready = trio.Event()
        """Set once all that was wanted at one moment was subscribed; it stays set."""
        self.connections = 0
        """How often it was connected."""
        self.renewals = 0
        """How often a successor took over."""
        self._past_frames = 0
        self._links: list[RenewingStream] = []
        """The one that delivers, and while it hands over its successor."""
        self._number = number
        self._streams = streams
        self._connect = connect
        self._receive = receive
        self._on_connected = on_connected
        self._on_overlap = on_overlap
        self._on_event = on_event
        self._backoff = backoff
        self._chance = chance
        self._attempts = attempts
        self._renewal = renewal
        self._decoder = FrameDecoder()
        self._wanted: dict[str, str] = {}
        """Stream name -> symbol, in the order they were added."""
        self._changed = trio.Event()

    @property
    def is_open(self) -> bool:
        """Whether a session is open."""
        return any(link.is_open for link in self._links)

    @property
    def frames(self) -> int:
        """Messages received over all its connections."""
        return self._past_frames + sum(link.connection.frames for link in self._links)

    def add(self, symbol: str) -> None:
        """Want a symbol's streams."""
        self.symbols.add(symbol)
        for stream in self._streams:
            self._wanted[self._decoder.add(symbol, stream)] = symbol
        self._tell_change()

    def remove(self, symbol: str) -> None:
        """Want them no longer; what is under way may still be decoded."""
        self.symbols.discard(symbol)
        for name in self._names_of(symbol):
            del self._wanted[name]
            self._forget(name)
        self._tell_change()

    def resubscribe(self, symbol: str) -> None:
        """Ask for a symbol's streams anew, on every connection there is."""
        for link in self._links:
            link.again.update(link.asked.intersection(self._names_of(symbol)))
        self._tell_change()

    def reconnect(self, reason: str) -> None:
        """Drop what is connected, with all that is on its way, and connect anew."""
        for link in tuple(self._links):
            link.drop(reason)

    def refuse_after(self, latest_ms: int) -> None:
        """Refuse event times from here on, in ms since 1970."""
        self._decoder.latest_ms = latest_ms

    async def run(self) -> None:
        """Keep the symbols subscribed until cancelled; the connections are closed then."""
        attempt = 0
        async with trio.open_nursery() as nursery:
            while True:
                while not self._wanted:
                    self.ready.set()
                    await self._changed.wait()
                await trio.sleep(self._attempts.reserve(trio.current_time()))
                link = await self._outlast(nursery, self._open(nursery))
                if link.reason is None:
                    attempt = 0
                    continue
                # What delivered has proved that the venue is there: the first attempt is at once,
                # and a connection cut every few seconds is held back by the bucket alone.
                attempt = 0 if link.has_delivered else attempt + 1
                await self._rest(link.reason, attempt)

    async def _outlast(self, nursery: trio.Nursery, link: RenewingStream) -> RenewingStream:
        """Follow a link and its successors; returns the last one when it is over."""
        while True:
            await link.turning.wait()
            if link.is_over:
                return link
            self._on_event(
                "feed_renewing", f"connection {self._number}: {link.renewal}; opening the next"
            )
            link = await self._succeed(nursery, link)

    async def _succeed(self, nursery: trio.Nursery, old: RenewingStream) -> RenewingStream:
        """Let another link take over; returns it, or the old one when that is over before."""
        attempt = 0
        while True:
            await trio.sleep(self._attempts.reserve(trio.current_time()))
            if old.is_over:
                return old
            self._on_overlap(1)
            try:
                fresh = self._open(nursery)
                is_proven = await fresh.wait_proven(self._renewal.prove_within)
                if is_proven:
                    await trio.sleep(self._renewal.overlap)
            finally:
                self._on_overlap(-1)
            if is_proven and not fresh.is_over:
                self.renewals += 1
                old.drop()
                self._on_event("feed_renewed", f"connection {self._number} was handed over")
                return fresh
            if fresh.reason is None or old.is_over:
                return fresh
            attempt += 1
            await self._rest(f"no successor: {fresh.reason}", attempt)

    async def _rest(self, reason: str, attempt: int) -> None:
        delay = self._backoff(attempt, self._chance())
        self._on_event(
            "feed_disconnected",
            f"connection {self._number}: {reason}; next attempt in {delay:.1f} s",
        )
        await trio.sleep(delay)

    def _open(self, nursery: trio.Nursery) -> RenewingStream:
        def take(decoded: Received, now: float) -> None:
            if not link.has_delivered and not isinstance(decoded, InvalidFrame):
                link.delivers()
            self._receive(decoded, now)

        def announce() -> None:
            link.want_successor("the venue announced its shutdown")

        link = RenewingStream(
            self._connect(self._decoder, take, announce),
            wanted=self._wanted,
            next_change=lambda: self._changed,
            on_opened=self._opened,
            on_subscribed=self.ready.set,
            on_refused=self._refused,
            on_unsubscribed=self._forget,
        )
        self._links.append(link)
        nursery.start_soon(self._carry, link)
        return link

    async def _carry(self, link: RenewingStream) -> None:
        try:
            await link.run(self._renewal.age(self._chance()))
        finally:
            self._links.remove(link)
            self._past_frames += link.connection.frames
            for name in link.asked:
                self._forget(name)

    def _opened(self) -> None:
        self.connections += 1
        if sum(link.is_open for link in self._links) == 1:
            self._on_connected(frozenset(self.symbols))
        self._on_event("feed_connected", f"connection {self._number} is open")

    def _refused(self, name: str) -> None:
        self._on_event("feed_refused", f"{name}: the venue refused the stream")

    def _forget(self, name: str) -> None:
        """Stop decoding a stream that is not wanted any more and can arrive over no connection."""
        if name not in self._wanted and not any(name in link.asked for link in self._links):
            self._decoder.discard(name)

    def _names_of(self, symbol: str) -> list[str]:
        return [name for name, owner in self._wanted.items() if owner == symbol]

    def _tell_change(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()
