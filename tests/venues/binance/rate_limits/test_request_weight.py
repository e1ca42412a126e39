"""The venue's weight limits are kept below, whatever it answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.venues.binance.rate_limits.request_weight import (
    BUDGET,
    CAPACITY,
    LONGEST_BAN,
    WeightLimiter,
)


@given(st.lists(st.tuples(st.floats(0, 20), st.sampled_from([2, 4, 25, 50, 250])), max_size=200))
def test_never_more_than_the_budget_in_any_minute(asks: list[tuple[float, int]]) -> None:
    """However requests come: in no sixty seconds is more used."""
    weight_limiter = WeightLimiter()
    now = 0.0
    used: list[tuple[float, int]] = []
    for pause, weight in asks:
        now += pause
        used.append((now + weight_limiter.reserve(now, weight), weight))
    for start, _ in used:
        assert sum(w for at, w in used if start <= at < start + 60 - 1e-6) <= BUDGET + 250


def test_a_burst_is_free_and_then_paced() -> None:
    """What is saved up may be used at once."""
    weight_limiter = WeightLimiter()
    assert sum(weight_limiter.reserve(0.0, 50) for _ in range(CAPACITY // 50)) < 1e-9
    assert weight_limiter.reserve(0.0, 50) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("status", "retry_after", "seconds"),
    [
        (429, "30", 30.0),
        (429, "0", 1.0),
        (429, "-1", 1.0),
        (429, "1000000000", LONGEST_BAN),
        (429, "9" * 400, 60.0),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", 60.0),
        (429, None, 60.0),
        (429, "٣", 60.0),
        (418, "120", 120.0),
        (418, "garbage", LONGEST_BAN),
        (403, None, 60.0),
        (200, "30", 0.0),
        (500, "30", 0.0),
    ],
)
def test_bans(status: int, retry_after: str | None, seconds: float) -> None:
    """Whatever the venue writes, no request is sent before, and the wait has bounds."""
    weight_limiter = WeightLimiter()
    weight_limiter.observe(100.0, status, retry_after=retry_after)
    assert weight_limiter.blocked_for(100.0) == pytest.approx(seconds)
    assert weight_limiter.reserve(100.0, 2) == pytest.approx(seconds)
    assert weight_limiter.blocked_for(100.0 + seconds) == 0.0


@pytest.mark.parametrize(("used", "rests"), [("4799", 0.0), ("4800", 60.0), ("x", 0.0)])
def test_nearly_all_is_used(used: str, rests: float) -> None:
    """Another program at our address used it up: we rest for a minute."""
    weight_limiter = WeightLimiter()
    weight_limiter.observe(5.0, 200, used=used)
    assert weight_limiter.blocked_for(5.0) == rests
