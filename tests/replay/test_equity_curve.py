"""The equity curve: what is kept of it, and the ratios against numbers worked out by hand."""

import itertools
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.replay.equity_curve import GRID_MS, MOST_POINTS, EquityCurve

CASH = Decimal(1000)
ZERO = Decimal(0)


def curve_of(*equities: float, step_ms: int = 1000) -> EquityCurve:
    """A curve with one sample a step, from 1,000 on."""
    curve = EquityCurve(CASH)
    curve.start(0)
    for number, equity in enumerate(equities, start=1):
        curve.sample(number * step_ms, Decimal(str(equity)), ZERO)
    return curve


def test_ratios_by_hand() -> None:
    """Returns of +1 %, -0.5 %, 0: mean, deviation and downside as the docstring says."""
    ratios = curve_of(1010, 1004.95, 1004.95).ratios()
    returns = [0.01, -0.005, 0.0]
    mean = sum(returns) / 3
    deviation = math.sqrt(sum((r - mean) ** 2 for r in returns) / 2)
    a_year = math.sqrt(365 * 86_400)
    assert (ratios.interval_ms, ratios.returns) == (1000, 3)
    assert ratios.sharpe == pytest.approx(mean / deviation * a_year)
    assert ratios.sortino == pytest.approx(mean / math.sqrt(0.005**2 / 3) * a_year)


def test_silence_counts_as_returns_of_zero() -> None:
    """Four seconds without a sample are four returns, three of them zero."""
    curve = EquityCurve(CASH)
    curve.start(0)
    curve.sample(4000, Decimal(1010), ZERO)
    ratios = curve.ratios()
    assert ratios.returns == 4
    flat = curve_of(1000, 1000, 1000, 1010).ratios()
    assert ratios.sharpe == pytest.approx(flat.sharpe)


@pytest.mark.parametrize("equities", [(), (1000,), (1000, 1000, 1000)])
def test_no_ratio_without_variation(equities: tuple[float, ...]) -> None:
    """Nothing is divided by zero, and nothing is made up."""
    ratios = curve_of(*equities).ratios()
    assert (ratios.sharpe, ratios.sortino) == (None, None)


def test_drawdown_counts_from_the_peak() -> None:
    """The deepest fall, not the last one; the cash at the start is a peak as well."""
    assert curve_of(900, 1200, 900, 1100).max_drawdown == pytest.approx(0.25)
    assert curve_of(990, 995).max_drawdown == pytest.approx(0.01)


def test_exposure_is_averaged_over_time() -> None:
    """Half of the equity for a quarter of the time."""
    curve = EquityCurve(CASH)
    curve.start(0)
    curve.sample(1000, CASH, Decimal(500))
    curve.sample(4000, CASH, ZERO)
    assert curve.mean_exposure == pytest.approx(0.125)


@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=60), st.integers(1, 400))
def test_it_stays_small_and_in_order(steps: list[int], times: int) -> None:
    """However long it goes on: few points, ascending, on the grid, the last one kept."""
    curve = EquityCurve(CASH)
    curve.start(0)
    now_ms = 0
    for number in range(times):
        for step in steps:
            now_ms += step
            curve.sample(now_ms, CASH + number, ZERO)
    grid = [at for at, _, _ in curve.points]
    assert len(grid) <= MOST_POINTS + 1
    assert grid == sorted(set(grid))
    assert all(at % curve.interval_ms == 0 for at in grid)
    assert curve.points[-1][1] == float(CASH + times - 1)


def test_the_grid_fits_the_data() -> None:
    """Daily samples give daily returns; samples of each second stay as they are."""
    daily = curve_of(*(1000 + n % 3 for n in range(100)), step_ms=86_400_000)
    daily.finish()
    assert (daily.ratios().interval_ms, daily.ratios().returns) == (86_400_000, 100)
    dense = curve_of(*(1000 + n % 3 for n in range(100)))
    dense.finish()
    assert (dense.interval_ms, len(dense.points)) == (1000, 101)


def test_the_grid_grows_by_whole_steps() -> None:
    """Each interval divides the next, so that no point falls between two."""
    assert all(b % a == 0 for a, b in itertools.pairwise(GRID_MS))
