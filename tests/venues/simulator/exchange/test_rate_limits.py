"""Windows of weight and orders, by hand."""

import pytest

from levitrio.venues.simulator.exchange.errors import ApiError
from levitrio.venues.simulator.exchange.rate_limits import (
    ORDERS_10S,
    WEIGHT,
    OrderQuota,
    WeightQuota,
    Window,
)

MINUTE = 60_000
START = 1_750_000_020_000 // MINUTE * MINUTE


def test_windows_are_aligned_to_the_clock() -> None:
    """A minute starts at :00, not at the first request."""
    window = Window(WEIGHT)
    window.add(5, START + 59_999)
    assert window.used(START + 59_999) == 5
    assert window.used(START + 60_000) == 0
    assert window.ends_ms(START + 1) == START + MINUTE
    assert window.report(START)["limit"] == 6_000


def test_giving_back_never_goes_below_zero() -> None:
    """A maker's fill gives back five, of one order."""
    window = Window(ORDERS_10S)
    window.add(1, START)
    assert window.add(-5, START) == 0


def test_each_ban_is_longer_than_the_one_before() -> None:
    """Two minutes, then four."""
    quota = WeightQuota()
    now_ms = START
    for minutes in (2, 4):
        for _ in range(11):
            with pytest.raises(ApiError):
                quota.spend(6_001, now_ms)
        with pytest.raises(ApiError) as caught:
            quota.spend(1, now_ms)
        assert (caught.value.status, caught.value.retry_ms) == (418, now_ms + minutes * MINUTE)
        now_ms += minutes * MINUTE
        quota.spend(1, now_ms)
        now_ms += MINUTE


def test_patience_is_per_window() -> None:
    """Who stops asking until the window is over is not banned."""
    quota = WeightQuota()
    for window in range(5):
        for _ in range(10):
            with pytest.raises(ApiError) as caught:
                quota.spend(6_001, START + window * MINUTE)
            assert caught.value.status == 429


def test_both_windows_of_orders_count() -> None:
    """Fifty in ten seconds; the day goes on counting."""
    quota = OrderQuota()
    for _ in range(50):
        quota.check(START)
        quota.add(1, START)
    with pytest.raises(ApiError, match="50 orders per 10 SECOND"):
        quota.check(START)
    quota.check(START + 10_000)
    assert [window.used(START + 10_000) for window in quota.windows] == [0, 50]
