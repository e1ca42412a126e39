"""Computes realized volatility of one symbol from its one-minute bars."""

import math
from collections import deque

import attrs

from levitrio.trading.market import Bar

RETURNS = 60
"""Number of one-minute returns that sigma is computed from."""

MINUTES_PER_YEAR = 365 * 24 * 60
"""Crypto trades around the clock."""


@attrs.define(eq=False)
class Volatility:
    """Annualised standard deviation of the last 60 one-minute log returns.

    The sample standard deviation (n - 1), times the square root of the minutes in a year. A hole
    in the bars gives no return: a return over two minutes is not a one-minute return. A filler
    (no trades) counts as a hole: its unchanged price is no trade's, and would lower the figure.
    """

    _returns: deque[float] = attrs.field(factory=lambda: deque(maxlen=RETURNS))
    _last_close: float = 0.0
    _last_open_ms: int = 0

    def see(self, bar: Bar) -> None:
        """Add a closed one-minute bar; fillers, other intervals and old bars are ignored."""
        if bar.interval != "1m" or not bar.trades or bar.open_time_ms <= self._last_open_ms:
            return
        close = float(bar.raw_close)
        if self._last_open_ms and bar.open_time_ms - self._last_open_ms == 60_000:
            self._returns.append(math.log(close / self._last_close))
        self._last_close = close
        self._last_open_ms = bar.open_time_ms

    def sigma(self) -> float | None:
        """Annualised volatility; None until 60 returns are known."""
        if len(self._returns) < RETURNS:
            return None
        mean = math.fsum(self._returns) / RETURNS
        variance = math.fsum((r - mean) ** 2 for r in self._returns) / (RETURNS - 1)
        return math.sqrt(variance * MINUTES_PER_YEAR)
