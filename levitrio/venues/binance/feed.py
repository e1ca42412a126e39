"""Market data of a whole fleet from a venue that speaks the Binance protocol.

Symbols share connections, by default two hundred to one; each connection is a `Lane`. All of
them take their connection attempts from one bucket, so a thousand symbols after an outage are
five lanes in a queue.

After a reconnect, trades at or below the last delivered id are dropped and counted; trades that
are missing are counted and reported.
"""

from collections.abc import Callable

import attrs
import trio

from levitrio.trading.market import MarketEvent, Quote, Trade
from levitrio.venues.base import Deliver, FeedStatistics
from levitrio.venues.binance.checks import Reason
from levitrio.venues.binance.connection import Connection, Receive, Timing
from levitrio.venues.binance.lane import Backoff, Lane
from levitrio.venues.binance.limits import STREAMS_PER_CONNECTION, TokenBucket, connect_bucket
from levitrio.venues.binance.network import OpenStream, open_network_stream
from levitrio.venues.binance.sequence import DUPLICATE, SymbolSequence
from levitrio.venues.binance.tally import OnEvent, Tally
from levitrio.venues.binance.wire import (
    FrameDecoder,
    Heard,
    Received,
    Refused,
    stream_name,
)

STREAMS = ("trade", "bookTicker", "kline_1m")

MAX_AHEAD_MS = 3_600_000
"""An event time further than this ahead of the wall clock is refused; clocks differ by seconds."""
CLOCK_INTERVAL = 60.0
"""Seconds between two looks at the wall clock: little beside the hour it may be wrong."""


@attrs.frozen(kw_only=True)
class BinanceFeedStatistics(FeedStatistics):
    """What the feed did so far, with what it found missing."""

    gaps: int
    """Places where trade ids jumped."""
    missing_trades: int
    """Ids that were jumped over."""


@attrs.define(eq=False)
class _Subscription:
    """One symbol."""

    deliver: Deliver
    lane: Lane
    sequence: SymbolSequence = attrs.field(factory=SymbolSequence)
    received: float | None = None
    """Monotonic, when the last sound event came."""
    refused: int = 0


class BinanceFeed:
    """Implements `levitrio.venues.base.Feed`."""

    def __init__(
        self,
        url: str,
        *,
        backoff: Backoff,
        chance: Callable[[], float],
        on_event: OnEvent,
        streams: tuple[str, ...] = STREAMS,
        symbols_per_connection: int = 200,
        wall_clock: Callable[[], float] | None = None,
        timing: Timing | None = None,
        attempts: TokenBucket | None = None,
        open_stream: OpenStream = open_network_stream,
    ) -> None:
        """Make a feed; nothing is connected before `run`.

        Args:
            url: Base address of the venue, `wss://stream.binance.com:9443`.
            backoff: Attempt and chance -> seconds; attempt 0 is the first reconnect after a
                connection that delivered, and rises with each failure in a row.
            chance: A random number from 0 to 1.
            on_event: Called with kind and text: `feed_connected`, `feed_disconnected`,
                `feed_refused`, `feed_gap`, `feed_restarted`. Must not raise.
            streams: `trade`, `bookTicker` and `kline_INTERVAL`, for each symbol.
            symbols_per_connection: At most; less when their streams would exceed the venue's 1024.
            wall_clock: Seconds since 1970; given for a live venue, event times far ahead of it
                are refused. A simulator's market time may run ahead of any clock.
            timing: Deadlines of each connection.
            attempts: The bucket to share when others connect to the same venue.
            open_stream: The seam to the network.

        Raises:
            ValueError: An address, a stream or a number that cannot be.
        """
        for stream in streams:
            stream_name("", stream)
        if not streams or len(set(streams)) != len(streams):
            raise ValueError(f"streams: expected at least one and none twice, got {streams!r}")
        if symbols_per_connection < 1:
            raise ValueError(
                f"symbols_per_connection: expected at least 1, got {symbols_per_connection}"
            )
        self._url = url
        self._streams = streams
        self._symbols_per_lane = min(symbols_per_connection, STREAMS_PER_CONNECTION // len(streams))
        self._backoff = backoff
        self._chance = chance
        self._on_event = on_event
        self._wall_clock = wall_clock
        self._timing = timing
        self._attempts = attempts or connect_bucket()
        self._open_stream = open_stream
        self._connect(FrameDecoder(), self._receive)  # a wrong address is refused here
        self._lanes: list[Lane] = []
        self._subscriptions: dict[str, _Subscription] = {}
        self._nursery: trio.Nursery | None = None
        self._tally = Tally(on_event)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Deliver until cancelled; reconnects by itself, whatever the venue does.

        `started()` is called once every symbol added so far is subscribed, so not before the
        venue can be reached. Cancelled, all connections are closed; what was delivered stays.
        """
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                if self._wall_clock is not None:
                    nursery.start_soon(self._follow_clock, self._wall_clock)
                for lane in self._lanes:
                    nursery.start_soon(lane.run)
                for lane in tuple(self._lanes):
                    await lane.ready.wait()
                # The venue has acknowledged every stream of the symbols added before.
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def add(self, symbol: str, deliver: Deliver) -> None:
        """Subscribe a symbol; before `run`, or while it runs. ValueError when it is there."""
        if symbol in self._subscriptions:
            raise ValueError(f"expected a new symbol, {symbol} is subscribed already")
        lane = next((lane for lane in self._lanes if self._has_room(lane)), None)
        if lane is None:
            lane = self._new_lane()
        lane.add(symbol)
        self._subscriptions[symbol] = _Subscription(deliver=deliver, lane=lane)

    def remove(self, symbol: str) -> None:
        """Unsubscribe a symbol, at once for its `deliver`; one that is not there is fine."""
        subscription = self._subscriptions.pop(symbol, None)
        if subscription is not None:
            subscription.lane.remove(symbol)

    def last_received(self, symbol: str) -> float | None:
        """Monotonic time of the last sound event of any stream of a symbol; None before it."""
        subscription = self._subscriptions.get(symbol)
        return None if subscription is None else subscription.received

    def refused(self, symbol: str) -> int:
        """How much input of a symbol's streams was refused as unsound so far."""
        subscription = self._subscriptions.get(symbol)
        return 0 if subscription is None else subscription.refused

    def statistics(self) -> BinanceFeedStatistics:
        """A frozen view, cheap."""
        return BinanceFeedStatistics(
            connections=sum(lane.is_open for lane in self._lanes),
            reconnects=sum(max(0, lane.connections - 1) for lane in self._lanes),
            messages=sum(lane.frames for lane in self._lanes),
            dropped=dict(self._tally.dropped),
            gaps=self._tally.gaps,
            missing_trades=self._tally.missing_trades,
        )

    def _has_room(self, lane: Lane) -> bool:
        return len(lane.symbols) < self._symbols_per_lane

    def _new_lane(self) -> Lane:
        lane = Lane(
            len(self._lanes) + 1,
            self._streams,
            connect=self._connect,
            receive=self._receive,
            on_connected=self._forget_quotes,
            on_event=self._on_event,
            backoff=self._backoff,
            chance=self._chance,
            attempts=self._attempts,
        )
        self._lanes.append(lane)
        if self._wall_clock is not None:
            lane.refuse_after(_horizon(self._wall_clock))
        if self._nursery is not None:
            self._nursery.start_soon(lane.run)
        return lane

    def _connect(self, decoder: FrameDecoder, receive: Receive) -> Connection:
        return Connection(
            self._url,
            decode=decoder.decode,
            receive=receive,
            timing=self._timing,
            open_stream=self._open_stream,
        )

    async def _follow_clock(self, wall_clock: Callable[[], float]) -> None:
        due = trio.current_time()
        while True:
            for lane in self._lanes:
                lane.refuse_after(_horizon(wall_clock))
            due += CLOCK_INTERVAL
            await trio.sleep_until(due)

    def _forget_quotes(self, symbols: frozenset[str]) -> None:
        for symbol in symbols:
            self._subscriptions[symbol].sequence.reconnected()

    def _receive(self, decoded: Received) -> None:
        """Everything that comes over any connection; synchronous, so nothing is half handled."""
        if isinstance(decoded, Refused):
            self._tally.refuse(decoded)
            refusing = self._subscriptions.get(decoded.symbol or "")
            if refusing is not None:
                refusing.refused += 1
            return
        subscription = self._subscriptions.get(decoded.symbol)
        if subscription is None:
            self._tally.drop(Reason.UNSUBSCRIBED)
            return
        if isinstance(decoded, Heard):
            subscription.received = trio.current_time()
            return
        if self._is_news(decoded, subscription.sequence):
            subscription.received = trio.current_time()
            subscription.deliver(decoded)

    def _is_news(self, event: MarketEvent, sequence: SymbolSequence) -> bool:
        if isinstance(event, Trade):
            missing = sequence.judge_trade(event)
            if missing == DUPLICATE:
                self._tally.drop(Reason.DUPLICATE)
                return False
            if missing:
                self._tally.miss(event, missing)
        elif isinstance(event, Quote):
            if sequence.is_old_quote(event):
                self._tally.drop(Reason.OUT_OF_ORDER)
                return False
        elif sequence.is_old_bar(event):
            self._tally.drop(Reason.DUPLICATE)
            return False
        return True


def _horizon(wall_clock: Callable[[], float]) -> int:
    return round(wall_clock() * 1000) + MAX_AHEAD_MS
