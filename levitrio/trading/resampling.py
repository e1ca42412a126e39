"""Makes bars of a coarser interval from closed bars of a finer one; finds holes between bars.

The rules, those of the venue:

* A coarse bar combines the fine bars in it: first open, highest high, lowest low, last close,
  volumes added exactly.
* A filler (no trades) has no price of its own: it adds nothing, unless the whole coarse interval
  is made of fillers.
* A coarse bar with a hole in it would be wrong, so it is not made at all.
"""

from collections.abc import Iterable
from decimal import Decimal

import attrs

from levitrio.trading.candles import FIXED_INTERVALS, INTERVALS, MONTH, next_open_time, open_time
from levitrio.trading.market import Bar


def is_multiple(coarse: str, fine: str) -> bool:
    """Whether whole bars of `fine` make up bars of `coarse`; an interval is no multiple of itself.

    Raises:
        KeyError: One of them is no interval of the venue.
    """
    if fine == MONTH:
        return False
    length = FIXED_INTERVALS[fine]
    if coarse == MONTH:
        return FIXED_INTERVALS["1d"] % length == 0
    if FIXED_INTERVALS[coarse] <= length or FIXED_INTERVALS[coarse] % length:
        return False
    # Weeks open on Monday, 1970 on a Thursday: both grids must meet there.
    return open_time(coarse, 0) % length == open_time(fine, 0) % length


@attrs.define(eq=False)
class Resampler:
    """Makes one symbol's bars of one coarser interval, bar by bar."""

    interval: str = attrs.field(validator=attrs.validators.in_(INTERVALS))
    incomplete: int = attrs.field(default=0, init=False)
    """Number of coarse bars that were not made because a bar in them was missing."""
    late: int = attrs.field(default=0, init=False)
    """Number of bars ignored: repeated, or older than the last."""
    _bars: list[Bar] = attrs.field(factory=list, init=False)
    """Bars of the current coarse interval."""
    _is_whole: bool = attrs.field(default=True, init=False)
    """Whether no bar of the current coarse interval is missing so far."""
    _start_ms: int | None = attrs.field(default=None, init=False)
    """Open time of the current coarse interval; None when the last one is complete."""
    _next_ms: int = attrs.field(default=0, init=False)
    """Open time of the next bar expected."""

    def add(self, bar: Bar) -> Bar | None:
        """Add the next closed bar; returns the coarse bar it completes, if any.

        Raises:
            ValueError: The bar's interval does not make up the coarse one.
        """
        if not is_multiple(self.interval, bar.interval):
            raise ValueError(f"expected bars that make up {self.interval}, got {bar.interval}")
        opened = bar.open_time_ms
        if opened < self._next_ms:
            self.late += 1
            return None
        start = open_time(self.interval, opened)
        if start != self._start_ms:
            if self._start_ms is not None:
                self.incomplete += 1
            self._start_ms, self._bars, self._is_whole = start, [], opened == start
        elif opened != self._next_ms:
            self._is_whole = False
        self._bars.append(bar)
        self._next_ms = next_open_time(bar.interval, opened)
        if self._next_ms != next_open_time(self.interval, start):
            return None
        self._start_ms = None
        if not self._is_whole:
            self.incomplete += 1
            return None
        return _sum(self._bars, self.interval, start, self._next_ms - 1)


def resample(bars: Iterable[Bar], interval: str) -> list[Bar]:
    """Bars of `interval` that are complete in `bars`, which are ascending and of one symbol."""
    resampler = Resampler(interval)
    return [coarse for bar in bars if (coarse := resampler.add(bar)) is not None]


def _sum(bars: list[Bar], interval: str, open_time_ms: int, close_time_ms: int) -> Bar:
    traded = [bar for bar in bars if bar.trades]
    priced = traded or bars
    return Bar(
        symbol=bars[0].symbol,
        interval=interval,
        open_time_ms=open_time_ms,
        close_time_ms=close_time_ms,
        raw_open=priced[0].raw_open,
        raw_high=max(priced, key=lambda bar: bar.high).raw_high,
        raw_low=min(priced, key=lambda bar: bar.low).raw_low,
        raw_close=priced[-1].raw_close,
        raw_volume=str(sum((bar.volume for bar in bars), Decimal(0))),
        trades=sum(bar.trades for bar in bars),
    )


@attrs.frozen(kw_only=True)
class Hole:
    """Consecutive missing bars between two that are present."""

    first_open_ms: int
    """Open time of the first missing bar, ms since 1970."""
    last_open_ms: int
    """Open time of the last missing bar, ms since 1970."""
    missing: int
    """Number of missing bars."""


def find_holes(open_times_ms: Iterable[int], interval: str) -> list[Hole]:
    """Find every hole between bars of one symbol and interval, oldest first.

    `open_times_ms` may come in any order and repeat.

    Raises:
        ValueError: A time opens no bar of the interval: the data is worse than incomplete.
    """
    holes: list[Hole] = []
    expected: int | None = None
    for opened in sorted(set(open_times_ms)):
        if open_time(interval, opened) != opened:
            raise ValueError(f"expected an open time of {interval}, got {opened}")
        if expected is not None and opened > expected:
            holes.append(_hole(expected, opened, interval))
        expected = next_open_time(interval, opened)
    return holes


def _hole(first_ms: int, until_ms: int, interval: str) -> Hole:
    if interval != MONTH:
        length = FIXED_INTERVALS[interval]
        return Hole(
            first_open_ms=first_ms,
            last_open_ms=until_ms - length,
            missing=(until_ms - first_ms) // length,
        )
    last, missing = first_ms, 1
    while (following := next_open_time(interval, last)) < until_ms:
        last, missing = following, missing + 1
    return Hole(first_open_ms=first_ms, last_open_ms=last, missing=missing)
