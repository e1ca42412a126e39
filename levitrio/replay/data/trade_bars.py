"""Bars made of recorded trades, the same and in the same place as the simulator makes them.

A bar closes before the first trade of its symbol that is not in it; when the symbol fell silent,
two seconds of market time after its end, for a last trade may be on its way.

Trades are kept until their bar closes and are added up together, which is four times as fast as
one by one.
"""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from operator import attrgetter

import attrs

from levitrio.trading.candles import MAX_FILLERS, next_open_time, open_time
from levitrio.trading.market import Bar, Trade

LATE_MS = 2_000

_KEPT = 4_096
"""Trades that wait to be added up: a candle of a day must not hold the day's trades."""

_NEVER = 2**63
_EIGHT = Decimal("0.00000001")
_ZERO = Decimal(0)

_PRICE, _QUANTITY, _TIME_MS = map(attrgetter, ("raw_price", "raw_quantity", "time_ms"))


def _fixed(value: Decimal) -> str:
    """Eight decimals, as the venue writes them."""
    return format(value.quantize(_EIGHT), "f")


@attrs.define(eq=False)
class _OpenBar:
    """The bar of one interval that is not over yet."""

    interval: str
    open_ms: int
    next_ms: int
    open: Decimal = _ZERO
    high: Decimal = _ZERO
    low: Decimal = _ZERO
    close: Decimal = _ZERO
    volume: Decimal = _ZERO
    trades: int = 0

    def add(self, trades: Sequence[Trade]) -> None:
        if min(map(_TIME_MS, trades)) < self.open_ms:  # a clock ran backwards over the minute
            trades = [trade for trade in trades if trade.time_ms >= self.open_ms]
            if not trades:
                return
        raw = list(map(_PRICE, trades))
        prices = {text: Decimal(text) for text in set(raw)}
        high, low = max(prices.values()), min(prices.values())
        if not self.trades:
            self.open, self.high, self.low = prices[raw[0]], high, low
        else:
            self.high, self.low = max(self.high, high), min(self.low, low)
        self.close = prices[raw[-1]]
        # Amounts repeat: each text becomes a Decimal once. The sum is exact in any order.
        for text, times in Counter(map(_QUANTITY, trades)).items():
            self.volume += Decimal(text) * times
        self.trades += len(trades)

    def bar(self, symbol: str) -> Bar:
        return Bar(
            symbol=symbol,
            interval=self.interval,
            open_time_ms=self.open_ms,
            close_time_ms=self.next_ms - 1,
            raw_open=_fixed(self.open),
            raw_high=_fixed(self.high),
            raw_low=_fixed(self.low),
            raw_close=_fixed(self.close),
            raw_volume=_fixed(self.volume),
            trades=self.trades,
        )

    def begin(self, open_ms: int) -> None:
        """Start the next one at the last close."""
        self.open_ms = open_ms
        self.next_ms = next_open_time(self.interval, open_ms)
        self.open = self.high = self.low = self.close
        self.volume = _ZERO
        self.trades = 0


@attrs.define(eq=False)
class TradeBars:
    """The bars of one symbol."""

    symbol: str
    intervals: Sequence[str]
    closes_ms: int = attrs.field(default=0, init=False)
    """When the next bar is over, ms since 1970. 0 before the first trade, so that it is asked."""
    waiting: list[Trade] = attrs.field(factory=list, init=False)
    """Append a trade here, once `advance` was asked when it is at or after `closes_ms`."""
    _open: list[_OpenBar] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        if not self.intervals:
            self.closes_ms = _NEVER

    def advance(self, time_ms: int) -> list[Bar]:
        """The market's time is `time_ms`: the bars that are over, oldest first."""
        if not self._open:
            return []
        self._add_up()
        closed: list[Bar] = []
        for bar in self._open:
            closed += self._close(bar, time_ms)
        self.closes_ms = min(bar.next_ms for bar in self._open)
        return closed

    def start(self, time_ms: int) -> None:
        """The first trade comes at that time."""
        for interval in self.intervals:
            opens = open_time(interval, time_ms)
            self._open.append(_OpenBar(interval, opens, next_open_time(interval, opens)))
        self.closes_ms = min(bar.next_ms for bar in self._open)

    def next(self, time_ms: int) -> list[Bar]:
        """A trade at that time is at or after `closes_ms`: what is over before it."""
        if self._open:
            return self.advance(time_ms)
        self.start(time_ms)
        return []

    def shorten(self) -> None:
        """Add up what waits when it is much."""
        if len(self.waiting) >= _KEPT:
            self._add_up()

    def _add_up(self) -> None:
        if self.waiting:
            for bar in self._open:
                bar.add(self.waiting)
            self.waiting.clear()

    def _close(self, bar: _OpenBar, time_ms: int) -> list[Bar]:
        closed: list[Bar] = []
        while time_ms >= bar.next_ms:
            closed.append(bar.bar(self.symbol))
            following = bar.next_ms
            if len(closed) > MAX_FILLERS:
                del closed[1:]
                following = open_time(bar.interval, time_ms)
            bar.begin(following)
        return closed
