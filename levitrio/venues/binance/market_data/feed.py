"""Market data of a whole fleet from a venue that speaks the Binance protocol.

Symbols share connections, by default two hundred to one; each connection is a `FeedConnection`.
All of them take their connection attempts from one bucket, so a thousand symbols after an outage
are five connections in a queue.

What arrives goes to its symbol's `Subscription`, which delivers it, or holds it until what is
missing before it was fetched, or does not believe it. Once a second the feed looks after the
clock: who is stale, who may be believed again, and whether this process stood still.
"""

from collections.abc import Callable, Collection, Sequence

import trio

from levitrio.trading.order_book import OrderBook
from levitrio.trading.staleness import StalenessMonitor
from levitrio.venues.base import Deliver
from levitrio.venues.binance.market_data.backfill import Backfill
from levitrio.venues.binance.market_data.counters import FeedCounters, OnFeedEvent
from levitrio.venues.binance.market_data.decoder import FrameDecoder, stream_name
from levitrio.venues.binance.market_data.feed_connection import FeedConnection, RenewalPolicy
from levitrio.venues.binance.market_data.gap_filler import BackfillGapFiller
from levitrio.venues.binance.market_data.messages import Decoded, InvalidFrame, Received
from levitrio.venues.binance.market_data.monitor import FeedMonitor
from levitrio.venues.binance.market_data.statistics import BinanceFeedStatistics, InputState
from levitrio.venues.binance.market_data.stream_client import READERS, Receive, StreamClient
from levitrio.venues.binance.market_data.subscription import Subscription
from levitrio.venues.binance.market_data.validation import RejectReason
from levitrio.venues.binance.rate_limits.token_bucket import (
    STREAMS_PER_CONNECTION,
    TokenBucket,
    connect_bucket,
)
from levitrio.venues.binance.websocket.network import OpenStream, open_network_stream
from levitrio.venues.binance.websocket.request_client import Backoff, Timing

STREAMS = ("trade", "bookTicker", "kline_1m")

Tap = Callable[[str | bytes], None]
"""Shown every frame as it came, before it is decoded. Must neither block nor raise."""


class BinanceFeed:
    """Implements `levitrio.venues.base.Feed`."""

    def __init__(
        self,
        url: str,
        *,
        backoff: Backoff,
        chance: Callable[[], float],
        on_event: OnFeedEvent,
        streams: tuple[str, ...] = STREAMS,
        symbols_per_connection: int = 200,
        wall_clock: Callable[[], float] | None = None,
        timing: Timing | None = None,
        renewal: RenewalPolicy | None = None,
        attempts: TokenBucket | None = None,
        backfill: Backfill | None = None,
        stale_after: float = 30.0,
        is_resting: Callable[[], bool] = lambda: False,
        tap: Tap | None = None,
        open_stream: OpenStream = open_network_stream,
        reader: str = "fast",
    ) -> None:
        """Make a feed; nothing is connected before `run`.

        Args:
            url: Base address of the venue, `wss://stream.binance.com:9443`.
            backoff: Attempt and chance -> seconds; attempt 0 is the first reconnect after a
                connection that delivered, and rises with each failure in a row.
            chance: A random number from 0 to 1.
            on_event: Called with kind and text, and the symbol where it is about one:
                `feed_connected`, `feed_disconnected`, `feed_renewing`, `feed_renewed`,
                `feed_refused`, `feed_gap`, `feed_repaired`, `feed_lost`, `feed_restarted`,
                `stale`, `fresh`, `suspended`, `resumed`. Must not raise.
            streams: `trade`, `bookTicker`, `kline_INTERVAL`, `depth`, `depth@100ms`, for each
                symbol.
            symbols_per_connection: At most; less when their streams would exceed the venue's 1024.
            wall_clock: Seconds since 1970; given for a live venue, event times far ahead of it
                are refused. A simulator's market time may run ahead of any clock.
            timing: Deadlines of each connection.
            renewal: When a connection is replaced while it works.
            attempts: The bucket to share when others connect to the same venue.
            backfill: Where missing trades and bars, and snapshots of order books are fetched.
                Without it gaps are reported and nothing waits.
            stale_after: Seconds without data that are usual for every symbol.
            is_resting: Whether nothing is to be expected: a tape that has ended is not stale.
            tap: Sees the frames of all connections, as a recorder does.
            open_stream: The seam to the network.
            reader: Who takes frames off the sockets, by its name in `READERS`.

        Raises:
            ValueError: An address, a stream or a number that cannot be.
            KeyError: A reader that does not exist.
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
        self._symbols_per_connection = min(
            symbols_per_connection, STREAMS_PER_CONNECTION // len(streams)
        )
        self._backoff = backoff
        self._chance = chance
        self._on_event = on_event
        self._timing = timing
        self._renewal = renewal or RenewalPolicy()
        self._attempts = attempts or connect_bucket()
        self._open_stream = open_stream
        self._open_websocket = READERS[reader]
        self._stale_after = stale_after
        self._is_resting = is_resting
        self._tap = tap
        self._connect(FrameDecoder(), self._receive, lambda: None)  # refuses a wrong address
        self._connections: list[FeedConnection] = []
        self._subscriptions: dict[str, Subscription] = {}
        self._nursery: trio.Nursery | None = None
        self._counters = FeedCounters(on_event)
        self._gap_filler = BackfillGapFiller(backfill, self._counters)
        self._monitor = FeedMonitor(
            feed_connections=self._connections,
            subscriptions=self._subscriptions,
            counters=self._counters,
            wall_clock=wall_clock,
            is_resting=is_resting,
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Deliver until cancelled; reconnects by itself, whatever the venue does.

        `started()` is called once every symbol added so far is subscribed, so not before the
        venue can be reached. Cancelled, all connections are closed; what was delivered stays.
        """
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                await nursery.start(self._gap_filler.run)
                for subscription in self._subscriptions.values():
                    subscription.watch.since = trio.current_time()
                nursery.start_soon(self._monitor.run)
                for connection in self._connections:
                    nursery.start_soon(connection.run)
                for connection in tuple(self._connections):
                    await connection.ready.wait()
                # The venue has acknowledged every stream of the symbols added before.
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def add(self, symbol: str, deliver: Deliver) -> None:
        """Subscribe a symbol; before `run`, or while it runs. ValueError when it is there."""
        if symbol in self._subscriptions:
            raise ValueError(f"expected a new symbol, {symbol} is subscribed already")
        connection = next(
            (connection for connection in self._connections if self._has_room(connection)), None
        )
        if connection is None:
            connection = self._new_connection()
        connection.add(symbol)
        now = trio.current_time() if self._nursery is not None else 0.0
        self._subscriptions[symbol] = Subscription(
            symbol=symbol,
            deliver=deliver,
            watch=StalenessMonitor.over(self._streams, floor=self._stale_after, now=now),
            counters=self._counters,
            gap_filler=self._gap_filler,
            resync=lambda: connection.resubscribe(symbol),
        )

    def remove(self, symbol: str) -> None:
        """Unsubscribe a symbol, at once for its `deliver`; one that is not there is fine."""
        subscription = self._subscriptions.pop(symbol, None)
        if subscription is not None:
            subscription.is_removed = True
            self._connection_of(symbol).remove(symbol)

    def last_received(self, symbol: str) -> float | None:
        """Monotonic time of the last sound event of any stream of a symbol; None before it."""
        subscription = self._subscriptions.get(symbol)
        return None if subscription is None else subscription.received

    def input_state(self, symbol: str) -> InputState | None:
        """How a symbol's input stands; None for one that is not subscribed."""
        subscription = self._subscriptions.get(symbol)
        if subscription is None:
            return None
        is_resting = self._is_resting()
        return InputState(
            silence=None if is_resting else subscription.watch.worst(trio.current_time()),
            is_stale=subscription.watch.is_stale and not is_resting,
            is_suspended=subscription.suspension.is_suspended,
            dropped=dict(subscription.dropped),
            late_trades=subscription.late_trades,
            lost_trades=subscription.lost_trades,
        )

    def order_book(self, symbol: str) -> OrderBook | None:
        """The local order book of a symbol; None without a depth stream. It may be waiting."""
        subscription = self._subscriptions.get(symbol)
        return None if subscription is None else subscription.order_book

    def statistics(self) -> BinanceFeedStatistics:
        """A frozen view, cheap."""
        feed_connections, subscriptions = self._connections, self._subscriptions.values()
        return BinanceFeedStatistics(
            connections=sum(connection.is_open for connection in feed_connections),
            reconnects=sum(
                max(0, connection.connections - 1 - connection.renewals)
                for connection in feed_connections
            ),
            renewals=sum(connection.renewals for connection in feed_connections),
            messages=sum(connection.frames for connection in feed_connections),
            dropped=dict(self._counters.dropped),
            gaps=self._counters.gaps,
            missing_trades=self._counters.missing_trades,
            missing_bars=self._counters.missing_bars,
            late_trades=sum(subscription.late_trades for subscription in subscriptions),
            lost_trades=sum(subscription.lost_trades for subscription in subscriptions),
            stale=sum(subscription.watch.is_stale for subscription in subscriptions),
            suspended=sum(subscription.suspension.is_suspended for subscription in subscriptions),
        )

    def _connection_of(self, symbol: str) -> FeedConnection:
        return next(connection for connection in self._connections if symbol in connection.symbols)

    def _has_room(self, connection: FeedConnection) -> bool:
        return len(connection.symbols) < self._symbols_per_connection

    def _new_connection(self) -> FeedConnection:
        connection = FeedConnection(
            len(self._connections) + 1,
            self._streams,
            connect=self._connect,
            receive=self._receive,
            on_connected=self._reconnected,
            on_overlap=self._count_overlap,
            on_event=self._on_event,
            backoff=self._backoff,
            chance=self._chance,
            attempts=self._attempts,
            renewal=self._renewal,
        )
        self._connections.append(connection)
        self._monitor.set_clock(connection)
        if self._nursery is not None:
            self._nursery.start_soon(connection.run)
        return connection

    def _connect(
        self, decoder: FrameDecoder, receive: Receive, on_shutdown: Callable[[], None]
    ) -> StreamClient:
        decode, tap = decoder.decode_batch, self._tap

        def decode_tapped(frames: Sequence[str | bytes]) -> Sequence[Decoded]:
            assert tap is not None
            for frame in frames:
                tap(frame)
            return decode(frames)

        return StreamClient(
            self._url,
            decode=decode if tap is None else decode_tapped,
            receive=receive,
            timing=self._timing,
            open_stream=self._open_stream,
            open_websocket=self._open_websocket,
            on_shutdown=on_shutdown,
        )

    def _reconnected(self, symbols: Collection[str]) -> None:
        for symbol in symbols:
            self._subscriptions[symbol].reconnected()

    def _count_overlap(self, change: int) -> None:
        self._gap_filler.overlaps += change

    def _receive(self, decoded: Received, now: float) -> None:
        """Everything that comes over any connection; synchronous, so nothing is half handled."""
        if isinstance(decoded, InvalidFrame):
            refusing = self._subscriptions.get(decoded.symbol or "")
            if refusing is None:
                self._counters.refuse(decoded.reason, decoded.symbol)
            else:
                refusing.refuse(decoded.reason, now)
            return
        subscription = self._subscriptions.get(decoded.symbol)
        if subscription is None:
            self._counters.drop(RejectReason.UNSUBSCRIBED)
        else:
            subscription.take(decoded, now)
