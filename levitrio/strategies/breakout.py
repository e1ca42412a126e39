"""Donchian breakout: long above the highest price of the past, flat below the lowest."""

from collections import deque

from levitrio.strategies.base import Signal, Strategy
from levitrio.strategies.prices import Source, check_count, check_source, price_of
from levitrio.trading.market import Bar, Trade


class Breakout(Strategy):
    """Long when the price exceeds the highest of the last `lookback`, flat when below the lowest.

    R. Donchian's channel rule. The price itself is not part of the channel it breaks.
    """

    def __init__(self, symbol: str, *, lookback: int = 20, source: Source = "trade") -> None:
        check_count("lookback", lookback, at_least=2)
        check_source(source)
        self._source = source
        self._prices: deque[float] = deque(maxlen=lookback)
        self._side: str | None = None

    def on_trade(self, trade: Trade) -> Signal | None:
        """Compare a trade's price with the channel, if `source` is `trade`."""
        return self._step(price_of(trade)) if self._source == "trade" else None

    def on_bar(self, bar: Bar) -> Signal | None:
        """Compare a bar's close with the channel, if `source` is `bar`."""
        if self._source != "bar" or not bar.trades:
            return None  # a filler repeats the last close: it is no new price
        return self._step(price_of(bar))

    def state(self) -> list[float]:
        """The prices of the channel, oldest first."""
        return list(self._prices)

    def restore(self, state: list[float]) -> None:
        """Take back the prices of the channel."""
        self._prices.extend(float(price) for price in state)

    def _step(self, price: float) -> Signal | None:
        signal = None
        if len(self._prices) == self._prices.maxlen:
            if price > max(self._prices) and self._side != "long":
                signal = Signal(side="long")
            elif price < min(self._prices) and self._side != "flat":
                signal = Signal(side="flat")
        if signal is not None:
            self._side = signal.side
        self._prices.append(price)
        return signal
