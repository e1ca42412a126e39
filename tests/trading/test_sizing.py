"""Sizing and volatility: the formulas of the contracts, by hand."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.trading.market import Bar
from levitrio.trading.sizing import SizingRules, entry_notional
from levitrio.trading.volatility import MINUTES_PER_YEAR, RETURNS, Volatility

RULES = SizingRules()


def size(**changes: object) -> Decimal:
    facts: dict[str, object] = {
        "equity": Decimal(10000),
        "is_long": True,
        "prob_up": None,
        "confidence": 1.0,
        "sigma": None,
    }
    return entry_notional(RULES, **{**facts, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "2000"),  # kelly_fraction 0.25, capped at 0.20
        ({"prob_up": 0.62}, "600.00"),  # 0.25 * 0.24
        ({"prob_up": 0.62, "confidence": 0.5}, "300.00"),
        ({"prob_up": 0.5}, "0"),
        ({"prob_up": 0.3}, "0"),
        ({"prob_up": 0.3, "is_long": False}, "1000.00"),  # 0.25 * 0.4
        ({"sigma": 0.75}, "500.00"),  # 0.25 * 0.2
        ({"sigma": 0.10}, "2000"),  # calmer than the target never scales up
        ({"equity": Decimal(-5)}, "0"),
        ({"confidence": 0.0}, "0"),
    ],
)
def test_notional_by_hand(changes: dict[str, object], expected: str) -> None:
    """Kelly x volatility x confidence, capped, as computed with pencil and paper."""
    assert abs(size(**changes) - Decimal(expected)) < Decimal("1e-9")


@given(
    prob_up=st.none() | st.floats(0, 1),
    confidence=st.floats(0, 1),
    sigma=st.none() | st.floats(1e-6, 100),
)
def test_never_above_the_cap(prob_up: float | None, confidence: float, sigma: float | None) -> None:
    """Whatever a strategy claims, an entry stays within 0 and the cap."""
    notional = size(prob_up=prob_up, confidence=confidence, sigma=sigma)
    assert 0 <= notional <= Decimal(2000)


def bars(closes: list[float]) -> list[Bar]:
    return [Bar.of("X", close, open_time=i * 60_000) for i, close in enumerate(closes, start=1)]


def test_sigma_is_unknown_until_sixty_returns() -> None:
    """Sixty-one closes make sixty returns; before that there is no figure."""
    volatility = Volatility()
    closes = [100.0 * (1.001 if i % 2 else 1.0) for i in range(RETURNS + 1)]
    for bar in bars(closes)[:-1]:
        volatility.see(bar)
    assert volatility.sigma() is None
    volatility.see(bars(closes)[-1])
    step = math.log(1.001)
    expected = math.sqrt(RETURNS * step**2 / (RETURNS - 1) * MINUTES_PER_YEAR)
    sigma = volatility.sigma()
    assert sigma is not None
    assert sigma == pytest.approx(expected, rel=1e-6)


def test_a_hole_gives_no_return() -> None:
    """The jump over missing minutes is not taken for a one-minute return."""
    volatility = Volatility()
    for i in range(1, RETURNS + 2):
        volatility.see(Bar.of("X", 100.0, open_time=i * 60_000))
    volatility.see(Bar.of("X", 200.0, open_time=(RETURNS + 10) * 60_000))
    assert volatility.sigma() == 0.0


def test_other_intervals_and_old_bars_are_ignored() -> None:
    """Only one-minute bars, each once, count."""
    volatility = Volatility()
    for i in range(1, RETURNS + 2):
        volatility.see(Bar.of("X", 100.0, open_time=i * 60_000))
        volatility.see(Bar.of("X", 500.0, open_time=i * 60_000))
        volatility.see(Bar.of("X", 900.0, open_time=i * 60_000, interval="5m"))
    assert volatility.sigma() == 0.0
