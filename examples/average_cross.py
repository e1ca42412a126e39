"""Moving-average cross on closed bars: the smallest useful strategy.

Copy this file beside your fleet.toml and name it there:

    [engines.BTCUSDT]
    strategy = "average_cross:AverageCross"
    params = { fast = 5, slow = 20 }
    warm_up = 20        # closed bars it sees before its first signal
"""

from collections import deque

from levitrio.strategies import Signal, Strategy
from levitrio.trading.market import Bar


class AverageCross(Strategy):
    """Long while the mean of the last `fast` closes is above that of the last `slow`, else flat.

    Every keyword after the `*` is a parameter: fleet.toml may set it under `params`, and
    `levi check` refuses a name that is not one of them.
    """

    def __init__(self, symbol: str, *, fast: int = 5, slow: int = 20) -> None:
        # What is wrong here is a crash while starting: the fleet says so and goes on without it.
        if not 1 <= fast < slow:
            raise ValueError(f"fast: expected 1 or more and less than slow ({slow}), got {fast}")
        self._fast = fast
        self._closes: deque[float] = deque(maxlen=slow)

    def on_bar(self, bar: Bar) -> Signal | None:
        """Compare the two averages at each close."""
        # A bar without trades is a filler of a quiet minute: its price says nothing new.
        if not bar.trades:
            return None
        # Prices are exact decimals; a float is good enough for an average, and faster.
        self._closes.append(float(bar.close))
        if len(self._closes) < (self._closes.maxlen or 0):
            return None
        closes = list(self._closes)
        fast = sum(closes[-self._fast :]) / self._fast
        slow = sum(closes) / len(closes)
        # A signal is a target, not an order: saying `long` each minute buys once. Whether, and
        # for how much, is the gateway's decision. An entry that was refused is tried again by
        # the next bar, because this strategy says its wish each time.
        return Signal(side="long" if fast > slow else "flat")
