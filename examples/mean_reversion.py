"""Mean reversion on trades and quotes: several events, memory that survives, and fills.

[engines.ETHUSDT]
strategy = "mean_reversion:MeanReversion"
params = { half_life = 120, band = 1.5 }
"""

from typing import Any

from levitrio.strategies import Signal, Strategy
from levitrio.trading.market import Quote, Trade
from levitrio.trading.orders import Fill


class MeanReversion(Strategy):
    """Buys when the ask is `band` deviations below the usual price, sells at the usual price.

    The usual price is an exponential mean of the trades; each counts half as much after
    `half_life` further trades. Silent until it has seen that many.
    """

    def __init__(self, symbol: str, *, half_life: int = 120, band: float = 1.5) -> None:
        if half_life < 1:
            raise ValueError(f"half_life: expected at least 1, got {half_life}")
        if band <= 0:
            raise ValueError(f"band: expected more than 0, got {band}")
        self._weight = 1.0 - 0.5 ** (1.0 / half_life)
        self._needed = half_life
        self._band = band
        self._mean = 0.0
        self._variance = 0.0
        self._seen = 0
        self._holds = False

    def on_trade(self, trade: Trade) -> None:
        """Every trade, in order. Only learns, so it answers nothing."""
        price = float(trade.price)
        self._seen += 1
        if self._seen == 1:
            self._mean = price
            return
        # West's update of an exponentially weighted mean and variance: one pass, no history.
        step = price - self._mean
        self._mean += self._weight * step
        self._variance = (1.0 - self._weight) * (self._variance + self._weight * step * step)

    def on_quote(self, quote: Quote) -> Signal | None:
        """The newest best bid and ask; those that were replaced unread are left out."""
        if self._seen < self._needed or self._variance <= 0.0:
            return None
        if self._holds:
            # What we would get is the bid, not the last trade.
            return Signal(side="flat") if float(quote.bid) >= self._mean else None
        below = (self._mean - float(quote.ask)) / self._variance**0.5
        if below < self._band:
            return None
        # The further below, the surer; confidence scales the size and is at most 1.
        return Signal(side="long", confidence=min(1.0, below / (2.0 * self._band)))

    def on_fill(self, fill: Fill) -> None:
        """What became of it. The position after the fill is on the fill: never count yourself."""
        self._holds = fill.position > 0

    def state(self) -> dict[str, Any]:
        """Plain data, asked for about once a second and given to the next incarnation.

        After a crash, a restart of the engine or of the whole fleet it goes on from here.
        """
        return {
            "mean": self._mean,
            "variance": self._variance,
            "seen": self._seen,
            "holds": self._holds,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Called once after `__init__`, only when there is a state."""
        self._mean = float(state["mean"])
        self._variance = float(state["variance"])
        self._seen = int(state["seen"])
        self._holds = bool(state["holds"])
