"""A trend that is looked at in cycles, with its computation in a thread: an async strategy.

All engines share one thread and one loop. A method that computes for longer than a few
milliseconds delays the other engines; longer than `[health] blocked_after` and its engine is
interrupted and restarted. What takes long goes into a worker thread and is awaited: meanwhile the
other engines run, and this one's events wait in its inbox.

    [engines.SOLUSDT]
    strategy = "trend_cycle:TrendCycle"
    params = { window = 240 }
    cycle_interval = "5s"       # of market time
"""

import math
from collections import deque
from datetime import datetime

import trio

from levitrio.strategies import Signal, Strategy
from levitrio.trading.market import Trade


class TrendCycle(Strategy):
    """Long while the last `window` prices rise more than chance explains, else flat.

    The measure is the t statistic of the slope of a straight line through the prices.
    """

    def __init__(self, symbol: str, *, window: int = 240, threshold: float = 3.0) -> None:
        if window < 3:
            raise ValueError(f"window: expected at least 3, got {window}")
        self._threshold = threshold
        self._prices: deque[float] = deque(maxlen=window)

    def on_trade(self, trade: Trade) -> None:
        """Cheap, so it is a plain method."""
        self._prices.append(float(trade.price))

    async def on_cycle(self, now: datetime) -> Signal | None:
        """Every `cycle_interval` of market time; cycles that were missed are not repeated.

        `now` is the market's time. A strategy that asks the machine for its clock could not be
        replayed.
        """
        if len(self._prices) < (self._prices.maxlen or 0):
            return None
        # A copy goes to the thread: the deque belongs to this one.
        t = await trio.to_thread.run_sync(slope_t_statistic, tuple(self._prices))
        return Signal(side="long" if t > self._threshold else "flat")


def slope_t_statistic(prices: tuple[float, ...]) -> float:
    """The t statistic of the least-squares slope over equally spaced prices; 0 when all are equal.

    Touches nothing but its arguments, so that it may run in any thread.
    """
    count = len(prices)
    middle, mean = (count - 1) / 2.0, math.fsum(prices) / count
    spread = count * (count * count - 1) / 12.0  # sum of (x - middle) squared
    slope = math.fsum((x - middle) * (p - mean) for x, p in enumerate(prices)) / spread
    errors = math.fsum((p - mean - slope * (x - middle)) ** 2 for x, p in enumerate(prices))
    if errors == 0.0:
        return math.copysign(math.inf, slope) if slope else 0.0
    return slope / math.sqrt(errors / (count - 2) / spread)
