"""One symbol at the feed: what was delivered, what is waited for, what is believed.

Synchronous: an event is handled wholly, or waits behind a gap, before the next is read.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Protocol

import attrs

from levitrio.trading.market import Bar, MarketEvent, Quote, Trade
from levitrio.trading.order_book import DepthUpdate, OrderBook
from levitrio.trading.staleness import Cadence, StalenessMonitor
from levitrio.venues.base import Deliver
from levitrio.venues.binance.market_data.counters import FeedCounters
from levitrio.venues.binance.market_data.gaps import MAX_MISSING, Gap, bar_number, trade_number
from levitrio.venues.binance.market_data.messages import OpenCandle
from levitrio.venues.binance.market_data.outliers import OutlierFilter, Suspension
from levitrio.venues.binance.market_data.sequence import (
    ABSURD,
    DUPLICATE,
    OLD,
    RESTARTED,
    SymbolSequence,
)
from levitrio.venues.binance.market_data.validation import RejectReason

SPIKE = Decimal(10)
"""How far high and low of a bar may be from its close: a minute can hold a crash, not a shifted
decimal point."""


MAX_BARS = 1_000
"""Bars in a row that are fetched; the venue gives no more in one answer."""


class GapFiller(Protocol):
    """Who fetches what is missing. The subscription calls it, and goes on at once."""

    @property
    def can_wait(self) -> bool:
        """Whether anything may still come; otherwise nothing is held back."""

    def repair_trades(self, subscription: "Subscription", gap: Gap[Trade]) -> None:
        """Fill a gap of trades, and let go what waits behind it, in bounded time."""

    def repair_bars(self, subscription: "Subscription", interval: str, gap: Gap[Bar]) -> None:
        """Fill a gap of bars, and let go what waits behind it, in bounded time."""

    def sync_order_book(self, symbol: str, order_book: OrderBook) -> None:
        """Fetch a snapshot for a book that waits for one; asked again while it does."""


@attrs.define(eq=False, kw_only=True)
class Subscription:
    """Takes everything decoded of its symbol."""

    symbol: str
    deliver: Deliver
    watch: StalenessMonitor
    counters: FeedCounters
    gap_filler: GapFiller
    resync: Callable[[], None] = lambda: None
    """Subscribe its streams anew; called when it becomes suspicious."""
    order_book: OrderBook | None = attrs.field(default=None, init=False)
    """Kept when a depth stream is subscribed."""
    sequence: SymbolSequence = attrs.field(factory=SymbolSequence)
    suspension: Suspension = attrs.field(factory=Suspension)
    dropped: dict[str, int] = attrs.field(factory=dict)
    """What of its input went no further, by `Reason`."""
    late_trades: int = 0
    """Delivered after they were fetched."""
    lost_trades: int = 0
    """Never delivered: no source had them, or not in time."""
    is_removed: bool = False
    _trade_gap: Gap[Trade] | None = None
    _bar_gaps: dict[str, Gap[Bar]] = attrs.field(factory=dict)
    _trade_band: OutlierFilter = attrs.field(factory=OutlierFilter)
    _bid_band: OutlierFilter = attrs.field(factory=OutlierFilter)
    _ask_band: OutlierFilter = attrs.field(factory=OutlierFilter)
    _trades: Cadence = attrs.field(init=False)
    _quotes: Cadence = attrs.field(init=False)
    _depths: Cadence = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        streams = self.watch.streams
        unused = Cadence(float("inf"))
        self._trades = streams.get("trade", unused)
        self._quotes = streams.get("bookTicker", unused)
        depths = [cadence for name, cadence in streams.items() if name.startswith("depth")]
        self._depths = depths[0] if depths else unused
        if depths:
            self.order_book = OrderBook(self.symbol)

    @property
    def received(self) -> float | None:
        """Monotonic time of the newest sound event."""
        return self.watch.received

    def take(self, event: MarketEvent | DepthUpdate | OpenCandle, now: float) -> None:
        """Everything sound that came over any connection. `now` is monotonic."""
        if self.suspension.is_suspended:
            self.drop(RejectReason.SUSPENDED)
            return
        if type(event) is Trade:
            self._take_trade(event, now)
        elif type(event) is Quote:
            self._take_quote(event, now)
        elif type(event) is DepthUpdate:
            self._take_depth(event, now)
        elif type(event) is Bar:
            self._take_bar(event, now)
        else:
            assert type(event) is OpenCandle
            self.watch.streams[f"kline_{event.interval}"].hear(now)
            self._miss_bars(
                event.interval,
                self.sequence.judge_candle(event.interval, event.open_time_ms),
                event.open_time_ms,
            )

    def drop(self, reason: RejectReason) -> None:
        """Count an event that goes no further."""
        self.counters.drop(reason)
        self.dropped[reason.value] = self.dropped.get(reason.value, 0) + 1

    def refuse(self, reason: RejectReason, now: float) -> None:
        """Count unsound input; too much of it suspends the symbol."""
        self.dropped[reason.value] = self.dropped.get(reason.value, 0) + 1
        self.counters.refuse(reason, self.symbol)
        if self.suspension.refuse(now):
            self.counters.tell(
                "suspended",
                f"{self.symbol}: too much input refused, last for its {reason}; subscribing anew",
                self.symbol,
            )
            self.let_go_all()
            if self.order_book is not None:
                self.order_book.restart()
            self.resync()

    def reconnected(self) -> None:
        """Forget what held for the last connection: events were missed in between."""
        self.sequence.reconnected()
        self.watch.interrupt()
        if self.order_book is not None:
            self.order_book.restart()

    def let_go_all(self) -> None:
        """Hold nothing back any more."""
        if self._trade_gap is not None:
            self.let_go_trades(self._trade_gap)
        for interval, gap in tuple(self._bar_gaps.items()):
            self.let_go_bars(interval, gap)

    def let_go_trades(self, gap: Gap[Trade]) -> None:
        """Deliver what waited behind a gap, whole or not; done already is fine."""
        if self._trade_gap is gap:
            self._trade_gap = None
            self._deliver_all(gap.release())

    def let_go_bars(self, interval: str, gap: Gap[Bar]) -> None:
        """Deliver the bars that waited behind a gap; done already is fine."""
        if self._bar_gaps.get(interval) is gap:
            del self._bar_gaps[interval]
            self._deliver_all(gap.release())

    def _deliver_all(self, events: Iterable[MarketEvent]) -> None:
        if not self.is_removed:
            for event in events:
                self.deliver(event)

    def _take_trade(self, trade: Trade, now: float) -> None:
        if not self._trade_band.accepts(trade.raw_price, trade.trade_id):
            self.refuse(RejectReason.PRICE_BAND, now)
            return
        since_ms = self.sequence.trade_ms
        verdict = self.sequence.judge_trade(trade)
        gap = self._trade_gap
        if verdict == 0 and gap is None:
            self._trades.hear(now)
            self.deliver(trade)
        elif verdict == DUPLICATE:
            if gap is None or not gap.fill(trade):
                self.drop(RejectReason.DUPLICATE)
            elif gap.is_whole:
                self.let_go_trades(gap)
        elif verdict == ABSURD:
            self.refuse(RejectReason.SEQUENCE, now)
        else:
            self._trades.hear(now)
            self._take_behind(trade, verdict, since_ms)

    def _take_behind(self, trade: Trade, missing: int, since_ms: int) -> None:
        """A trade after a gap: an open one, or the one it has just shown."""
        if missing != 0:
            self.counters.miss(trade, missing)
        gap = self._trade_gap
        if missing == RESTARTED or missing > MAX_MISSING or not (gap or self.gap_filler.can_wait):
            if gap is not None:
                self.let_go_trades(gap)
            self.lost_trades += max(0, missing)
            self.deliver(trade)
            return
        if gap is None:
            gap = self._trade_gap = Gap(number=trade_number, since_ms=since_ms)
            self.gap_filler.repair_trades(self, gap)
        gap.miss(range(trade.trade_id - missing, trade.trade_id))
        gap.hold(trade, trade.time_ms)
        if gap.is_full:
            self.let_go_trades(gap)

    def _take_quote(self, quote: Quote, now: float) -> None:
        # Both are asked, so that both may learn that a jump is real.
        is_bid_good = self._bid_band.accepts(quote.raw_bid, quote.update_id)
        if not self._ask_band.accepts(quote.raw_ask, quote.update_id) or not is_bid_good:
            self.refuse(RejectReason.PRICE_BAND, now)
            return
        verdict = self.sequence.judge_quote(quote, now)
        if verdict == DUPLICATE:
            self.drop(RejectReason.DUPLICATE)
        elif verdict == OLD:
            self.drop(RejectReason.OUT_OF_ORDER)
        else:
            if verdict == RESTARTED:
                self.counters.restarted(self.symbol, "update ids of quotes", quote.update_id)
            self._quotes.hear(now)
            self.deliver(quote)

    def _take_depth(self, update: DepthUpdate, now: float) -> None:
        order_book = self.order_book
        assert order_book is not None
        before = order_book.last_id
        fault = order_book.update(update)
        if fault is not None:
            text = f"{self.symbol}: order book thrown away: {fault.value}"
            self.counters.tell("feed_gap", text, self.symbol)
        if not order_book.is_live:
            self.gap_filler.sync_order_book(self.symbol, order_book)
        elif order_book.last_id == before:
            self.drop(RejectReason.DUPLICATE)
            return
        self._depths.hear(now)

    def _take_bar(self, bar: Bar, now: float) -> None:
        if not self._is_believable(bar):
            self.refuse(RejectReason.PRICE_BAND, now)
            return
        gap = self._bar_gaps.get(bar.interval)
        if self.sequence.is_old_bar(bar):
            if gap is None or not gap.fill(bar):
                self.drop(RejectReason.DUPLICATE)
            elif gap.is_whole:
                self.let_go_bars(bar.interval, gap)
            return
        self.watch.streams[f"kline_{bar.interval}"].hear(now)
        self._miss_bars(bar.interval, self.sequence.judge_bar(bar), bar.open_time_ms)
        gap = self._bar_gaps.get(bar.interval)
        if gap is None:
            self.deliver(bar)
        else:
            gap.hold(bar, bar.close_time_ms)

    def _is_believable(self, bar: Bar) -> bool:
        close = bar.close
        if not close / SPIKE <= bar.low <= bar.high <= close * SPIKE:
            return False
        return self._trade_band.contains(bar.raw_close)

    def _miss_bars(self, interval: str, missing: Sequence[int], open_time_ms: int) -> None:
        if not missing:
            return
        self.counters.miss_bars(self.symbol, interval, len(missing), open_time_ms)
        if len(missing) > MAX_BARS or not self.gap_filler.can_wait:
            return
        gap = self._bar_gaps.get(interval)
        if gap is None:
            gap = self._bar_gaps[interval] = Gap(number=bar_number, since_ms=missing[0])
            self.gap_filler.repair_bars(self, interval, gap)
        gap.miss(missing)
