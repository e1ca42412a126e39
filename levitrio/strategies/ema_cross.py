"""Exponential moving averages crossing: long above, flat below."""

from levitrio.strategies.base import Signal, Strategy
from levitrio.strategies.prices import Source, check_count, check_source, price_of
from levitrio.trading.market import Bar, Trade


class EmaCross(Strategy):
    """Long while the fast average is above the slow one, flat while it is below.

    EMA_t = EMA_{t-1} + (price - EMA_{t-1}) * 2 / (n + 1), started at the first price. Gives no
    signal before `slow` prices, then one whenever the side changes.
    """

    def __init__(
        self, symbol: str, *, fast: int = 12, slow: int = 26, source: Source = "trade"
    ) -> None:
        check_count("fast", fast, at_least=1)
        check_count("slow", slow, at_least=2)
        check_source(source)
        if fast >= slow:
            raise ValueError(f"fast: expected less than slow ({slow}), got {fast}")
        self._source = source
        self._fast_weight = 2.0 / (fast + 1)
        self._slow_weight = 2.0 / (slow + 1)
        self._slow_length = slow
        self._fast = self._slow = 0.0
        self._seen = 0
        self._side: str | None = None

    def on_trade(self, trade: Trade) -> Signal | None:
        """Add a trade's price to the averages, if `source` is `trade`."""
        return self._step(float(trade.raw_price)) if self._source == "trade" else None

    def on_bar(self, bar: Bar) -> Signal | None:
        """Add a bar's close to the averages, if `source` is `bar`."""
        if self._source != "bar" or not bar.trades:
            return None  # a filler repeats the last close: it is no new price
        return self._step(price_of(bar))

    def state(self) -> dict[str, float | int]:
        """Both averages and the number of prices in them."""
        return {"fast": self._fast, "slow": self._slow, "seen": self._seen}

    def restore(self, state: dict[str, float | int]) -> None:
        """Take back both averages."""
        self._fast, self._slow = float(state["fast"]), float(state["slow"])
        self._seen = int(state["seen"])

    def _step(self, price: float) -> Signal | None:
        self._seen += 1
        if self._seen == 1:
            self._fast = self._slow = price
            return None
        self._fast += (price - self._fast) * self._fast_weight
        self._slow += (price - self._slow) * self._slow_weight
        if self._seen < self._slow_length or self._fast == self._slow:
            return None
        side = "long" if self._fast > self._slow else "flat"
        if side == self._side:
            return None
        self._side = side
        return Signal(side="long" if side == "long" else "flat")
