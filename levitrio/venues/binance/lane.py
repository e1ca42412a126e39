"""The symbols that share one connection: connects, subscribes, reconnects, for ever.

Level-triggered: adding or removing a symbol changes what is wanted, and the one task of the lane
brings the subscriptions there, whether the connection is up, down or on its way.
"""

from collections.abc import Callable

import trio

from levitrio.errors import VenueError
from levitrio.venues.binance.connection import Connection, Receive
from levitrio.venues.binance.limits import TokenBucket
from levitrio.venues.binance.tally import OnEvent
from levitrio.venues.binance.wire import FrameDecoder, Received, Refused

Backoff = Callable[[int, float], float]
"""Attempt (0 for the first after a connection that worked) and chance (0 to 1) -> seconds."""

Connect = Callable[[FrameDecoder, Receive], Connection]


class Lane:
    """One connection's worth of symbols."""

    def __init__(
        self,
        number: int,
        streams: tuple[str, ...],
        *,
        connect: Connect,
        receive: Receive,
        on_connected: Callable[[frozenset[str]], None],
        on_event: OnEvent,
        backoff: Backoff,
        chance: Callable[[], float],
        attempts: TokenBucket,
    ) -> None:
        self.symbols: set[str] = set()
        self.ready = trio.Event()
        """Set once all that was wanted at one moment was subscribed; it stays set."""
        self.connections = 0
        """How often it was connected."""
        self.is_open = False
        self._past_frames = 0
        self._connection: Connection | None = None
        self._number = number
        self._streams = streams
        self._connect = connect
        self._receive = receive
        self._on_connected = on_connected
        self._on_event = on_event
        self._backoff = backoff
        self._chance = chance
        self._attempts = attempts
        self._decoder = FrameDecoder()
        self._wanted: dict[str, str] = {}
        """Stream name -> symbol, in the order they were added."""
        self._asked: set[str] = set()
        """Stream names asked for on the present connection, acknowledged, refused or on the way."""
        self._changed = trio.Event()
        self._has_delivered = False

    @property
    def frames(self) -> int:
        """Messages received over all its connections."""
        return self._past_frames + (self._connection.frames if self._connection else 0)

    def add(self, symbol: str) -> None:
        """Want a symbol's streams."""
        self.symbols.add(symbol)
        for stream in self._streams:
            self._wanted[self._decoder.add(symbol, stream)] = symbol
        self._changed.set()

    def remove(self, symbol: str) -> None:
        """Want them no longer; what is under way may still be decoded."""
        self.symbols.discard(symbol)
        for name in [name for name, owner in self._wanted.items() if owner == symbol]:
            del self._wanted[name]
            if name not in self._asked:
                self._decoder.discard(name)
        self._changed.set()

    def refuse_after(self, latest_ms: int) -> None:
        """Refuse event times from here on, in ms since 1970."""
        self._decoder.latest_ms = latest_ms

    async def run(self) -> None:
        """Keep the symbols subscribed until cancelled; the connection is closed then."""
        attempt = 0
        while True:
            while not self._wanted:
                self.ready.set()
                await self._wait_changed()
            await trio.sleep(self._attempts.reserve(trio.current_time()))
            reason = await self._live()
            if reason is None:
                attempt = 0
                continue
            # What delivered has proved that the venue is there: the first attempt is at once,
            # and a connection cut every few seconds is held back by the attempts' bucket alone.
            attempt = 0 if self._has_delivered else attempt + 1
            delay = self._backoff(attempt, self._chance())
            self._on_event(
                "feed_disconnected",
                f"connection {self._number}: {reason}; next attempt in {delay:.1f} s",
            )
            await trio.sleep(delay)

    async def _live(self) -> str | None:
        """One connection from beginning to end: why it ended; None when no symbol is left."""
        reason: str | None = None
        self._has_delivered = False
        connection = self._connection = self._connect(self._decoder, self._take)
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(connection.run)
                self.is_open = True
                self.connections += 1
                self._on_connected(frozenset(self.symbols))
                self._on_event("feed_connected", f"connection {self._number} is open")
                await self._keep_subscribed(connection)
                nursery.cancel_scope.cancel()
        except* VenueError as group:
            reason = str(_first(group))
        finally:
            self.is_open = False
            self._connection = None
            self._past_frames += connection.frames
            self._forget_subscriptions()
        return reason

    async def _keep_subscribed(self, connection: Connection) -> None:
        """Bring the subscriptions where they are wanted, again and again; ends when none is."""
        while self._wanted:
            missing = [name for name in self._wanted if name not in self._asked]
            surplus = [name for name in self._asked if name not in self._wanted]
            if missing:
                self._asked.update(missing)
                for name in await connection.subscribe(missing):
                    self._on_event("feed_refused", f"{name}: the venue refused the stream")
            if surplus:
                await connection.unsubscribe(surplus)
                self._asked.difference_update(surplus)
                for name in surplus:
                    if name not in self._wanted:
                        self._decoder.discard(name)
            if not missing and not surplus:
                # The venue has acknowledged every stream that is wanted now.
                self.ready.set()
                await self._wait_changed()

    async def _wait_changed(self) -> None:
        await self._changed.wait()
        self._changed = trio.Event()

    def _forget_subscriptions(self) -> None:
        for name in self._asked:
            if name not in self._wanted:
                self._decoder.discard(name)
        self._asked.clear()

    def _take(self, decoded: Received) -> None:
        if not self._has_delivered and not isinstance(decoded, Refused):
            self._has_delivered = True
        self._receive(decoded)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
