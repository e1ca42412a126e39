"""Warm-up: fetches the closed bars of the past that a starting strategy sees first."""

from collections.abc import Callable, Sequence

import attrs
import trio

from levitrio.trading.candles import FIXED_INTERVALS, MONTH, next_open_time, open_time
from levitrio.trading.market import Bar
from levitrio.venues.base import PastBars

LOOK = 0.05
"""Seconds between two readings of a market clock that is unknown yet."""

_LONGEST_MONTH_MS = 31 * 86_400_000


@attrs.frozen(kw_only=True)
class WarmUp:
    """Fetches one engine's past bars. The engine calls it while it starts."""

    symbol: str
    intervals: Sequence[str]
    count: int
    """Bars of each interval."""
    past: PastBars
    market_ms: Callable[[], int]
    """The market clock; 0 while unknown."""
    wall_ms: Callable[[], int]
    patience: float
    """Seconds to wait for the market clock: a tape's time is known from its first trade."""

    async def __call__(self) -> list[Bar]:
        """The newest closed bars of all intervals, in the order they closed.

        Raises:
            VenueError: The venue does not answer. The engine crashes and is restarted, because a
                strategy must not trade as if it had seen the past.
        """
        now_ms = await self._now_ms()
        found: list[Bar] = []
        for interval in self.intervals:
            open_now = open_time(interval, now_ms)
            first = _opened_before(interval, open_now, self.count)
            bars = await self.past.bars(
                self.symbol, interval, first_open_ms=first, last_open_ms=open_now - 1
            )
            found += [bar for bar in bars if bar.close_time_ms < now_ms][-self.count :]
        return sorted(found, key=lambda bar: bar.close_time_ms)

    async def _now_ms(self) -> int:
        with trio.move_on_after(self.patience):
            while not self.market_ms():  # noqa: ASYNC110  the clock has no event to wait for
                await trio.sleep(LOOK)
        return self.market_ms() or self.wall_ms()


def _opened_before(interval: str, open_ms: int, count: int) -> int:
    """Opening time, in ms, of the candle `count` candles before the one that opens at `open_ms`."""
    if interval != MONTH:
        return open_ms - count * FIXED_INTERVALS[interval]
    first = open_time(MONTH, open_ms - count * _LONGEST_MONTH_MS)
    opens = [first]
    while opens[-1] < open_ms:
        opens.append(next_open_time(MONTH, opens[-1]))
    return opens[-1 - count]
