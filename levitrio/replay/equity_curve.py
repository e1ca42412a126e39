"""The equity curve of a replay, sampled on a grid of market time, and its ratios.

The grid grows coarser with the length of the tape, so that the curve stays small. With R the
simple returns of the grid's intervals, intervals without an event counting as 0, no risk-free
rate, N intervals in a year of 365 days:

    Sharpe  = mean(R) / stdev(R) x sqrt(N)                  stdev with n - 1
    Sortino = mean(R) / sqrt(mean(min(R, 0)^2)) x sqrt(N)

W. F. Sharpe, "The Sharpe Ratio" (1994); F. A. Sortino, L. N. Price, "Performance Measurement in
a Downside Risk Framework" (1994), with a target of 0.
"""

import math
from decimal import Decimal

import attrs

GRID_MS = (1_000, 10_000, 60_000, 300_000, 900_000, 3_600_000, 14_400_000, 86_400_000)
"""1 s to 1 d; each divides the next."""

MOST_POINTS = 4_096
"""Above this the grid becomes coarser: more points than a screen is wide."""

YEAR_MS = 365 * 86_400_000


@attrs.frozen(kw_only=True)
class Ratios:
    """Annualised figures; None where the returns do not vary, or there are fewer than two."""

    interval_ms: int
    returns: int
    """Number of returns."""
    sharpe: float | None
    sortino: float | None


@attrs.define(eq=False)
class EquityCurve:
    """Equity and exposure over market time."""

    cash: Decimal
    """Equity before the first event, in the quote asset."""
    interval_ms: int = GRID_MS[0]
    points: list[tuple[int, float, float]] = attrs.field(factory=list)
    """(grid time in ms since 1970, equity, gross exposure as a fraction of equity)."""
    max_drawdown: float = 0.0
    """As a fraction of the peak, over every sample, also those that left the curve since."""
    _peak: float = attrs.field(init=False)
    _start_ms: int = 0
    _exposed_ms: float = 0.0
    """Sum of exposure times the ms it lasted."""
    _last: tuple[int, float] = (0, 0.0)

    def __attrs_post_init__(self) -> None:
        self._peak = float(self.cash)

    def start(self, time_ms: int) -> None:
        """Begin at the first event's market time, in ms since 1970."""
        self._start_ms = time_ms // self.interval_ms * self.interval_ms
        self.points.append((self._start_ms, float(self.cash), 0.0))
        self._last = time_ms, 0.0

    def next_ms(self, now_ms: int) -> int:
        """Return when the next sample is due, in market ms."""
        return (now_ms // self.interval_ms + 1) * self.interval_ms

    def sample(self, now_ms: int, equity: Decimal, gross: Decimal) -> None:
        """Add equity and gross notional as they are just before market time `now_ms`."""
        value = float(equity)
        exposure = float(gross) / value if value > 0 else 0.0
        self._peak = max(self._peak, value)
        self.max_drawdown = max(self.max_drawdown, 1.0 - value / self._peak)
        last_ms, _ = self._last
        # What is held now is taken as held since the last sample: nothing was looked at between.
        self._exposed_ms += exposure * (now_ms - last_ms)
        self._last = now_ms, exposure
        at = -(-now_ms // self.interval_ms) * self.interval_ms
        if self.points and self.points[-1][0] == at:
            self.points.pop()
        self.points.append((at, value, exposure))
        if len(self.points) > MOST_POINTS and self.interval_ms != GRID_MS[-1]:
            self._coarsen()

    def finish(self) -> None:
        """Fit the grid to the data: days for daily bars, not seconds without an event."""
        while self.interval_ms != GRID_MS[-1] and self._intervals() > min(
            MOST_POINTS, 2 * len(self.points)
        ):
            self._coarsen()

    def _intervals(self) -> int:
        return (self.points[-1][0] - self.points[0][0]) // self.interval_ms if self.points else 0

    def _coarsen(self) -> None:
        self.interval_ms = GRID_MS[GRID_MS.index(self.interval_ms) + 1]
        grid = {
            -(-at // self.interval_ms) * self.interval_ms: (equity, exposure)
            for at, equity, exposure in self.points
        }
        self.points = [(at, *values) for at, values in grid.items()]

    @property
    def mean_exposure(self) -> float:
        """Gross exposure as a fraction of equity, averaged over market time."""
        span = self._last[0] - self._start_ms
        return self._exposed_ms / span if span > 0 else 0.0

    def ratios(self) -> Ratios:
        """Return Sharpe and Sortino of the curve as it is."""
        returns: list[float] = []
        count = 0
        for (before, equity, _), (after, following, _) in zip(
            self.points, self.points[1:], strict=False
        ):
            returns.append(following / equity - 1.0 if equity > 0 else 0.0)
            count += (after - before) // self.interval_ms
        sharpe = sortino = None
        if count > 1:
            a_year = math.sqrt(YEAR_MS / self.interval_ms)
            mean = math.fsum(returns) / count
            quiet = count - len(returns)
            squares = math.fsum((r - mean) ** 2 for r in returns) + quiet * mean * mean
            downside = math.fsum(min(r, 0.0) ** 2 for r in returns)
            if squares > 0:
                sharpe = mean / math.sqrt(squares / (count - 1)) * a_year
            if downside > 0:
                sortino = mean / math.sqrt(downside / count) * a_year
        return Ratios(interval_ms=self.interval_ms, returns=count, sharpe=sharpe, sortino=sortino)
