"""Bans, order counts and turns of an account."""

import pytest

from levitrio.venues.binance.rate_limits.account_limits import AccountLimits, RateLimitReport
from levitrio.venues.binance.rate_limits.request_weight import WeightLimiter

NOON = 1_790_000_000_000 // 60_000 * 60_000


def test_entries_leave_a_fifth_to_exits() -> None:
    """Forty of fifty orders in ten seconds are for entries; the next window begins anew."""
    limits = AccountLimits()
    for _ in range(40):
        assert limits.refusal(0.0, NOON, is_exit=False) == ""
        limits.sent(NOON)
    assert "exits" in limits.refusal(0.0, NOON, is_exit=False)
    for _ in range(10):
        assert limits.refusal(0.0, NOON, is_exit=True) == ""
        limits.sent(NOON)
    assert limits.refusal(0.0, NOON, is_exit=True) != ""
    assert limits.refusal(10.0, NOON + 10_000, is_exit=False) == ""


def test_what_filled_counts_no_more() -> None:
    """A taker's order gives its place back, as the venue counts."""
    limits = AccountLimits()
    for _ in range(200):
        assert limits.refusal(0.0, NOON, is_exit=False) == ""
        limits.sent(NOON)
        limits.settled(NOON)


def test_the_venues_own_count_is_believed() -> None:
    """Its limit and its number replace ours, also for an unknown window."""
    limits = AccountLimits()
    limits.observe(0.0, NOON, [RateLimitReport("ORDERS", "SECOND", 10, 10, 8)])
    assert "8 of 10 orders" in limits.refusal(0.0, NOON, is_exit=False)
    assert limits.refusal(0.0, NOON, is_exit=True) == ""
    limits.observe(0.0, NOON, [RateLimitReport("ORDERS", "MINUTE", 1, 5, 5)])
    assert limits.refusal(0.0, NOON, is_exit=True) != ""
    limits.observe(0.0, NOON, [RateLimitReport("ORDERS", "FORTNIGHT", 1, 1, 1)])


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(30.0, 30), (-5.0, 1), (0.0, 1), (1e12, 900), (None, 60)],
)
def test_a_ban_is_clamped(seconds: float | None, expected: int) -> None:
    """Between a second and a quarter of an hour, whatever the venue writes."""
    address = WeightLimiter()
    limits = AccountLimits(address=address)
    limits.rest_after(100.0, 429, seconds)
    assert limits.blocked_for(100.0) == expected
    assert address.blocked_for(100.0) == expected
    assert "may not be asked" in limits.refusal(100.0, NOON, is_exit=True)
    assert limits.refusal(100.0 + expected, NOON, is_exit=True) == ""


def test_others_of_the_address_hold_up_questions_only() -> None:
    """History that used the weight up makes a question wait, and no order."""
    address = WeightLimiter()
    limits = AccountLimits(address=address)
    address.observe(0.0, 200, used="5999")
    assert limits.reserve(0.0, 1) > 0
    assert limits.refusal(0.0, NOON, is_exit=False) == ""


@pytest.mark.parametrize("status", [429, 418])
def test_a_ban_of_others_at_the_address_is_ours(status: int) -> None:
    """Who asks for history by REST and is banned keeps orders back as well, exits too."""
    address = WeightLimiter()
    limits = AccountLimits(address=address)
    address.observe(0.0, status, retry_after="120")
    assert "may not be asked for 120 s" in limits.refusal(0.0, NOON, is_exit=True)
    assert limits.refusal(120.0, NOON, is_exit=True) == ""
    address.observe(200.0, 403)
    assert limits.refusal(200.0, NOON, is_exit=True) == ""


def test_too_many_orders_lasts_to_the_end_of_the_window() -> None:
    """As the venue said, or to the end of the shortest window, and never for ever."""
    limits = AccountLimits()
    limits.orders_full(NOON, None)
    assert limits.refusal(0.0, NOON + 9_999, is_exit=True) != ""
    assert limits.refusal(0.0, NOON + 10_000, is_exit=True) == ""
    limits.orders_full(NOON, NOON + 10**12)
    assert limits.refusal(0.0, NOON + 901_000, is_exit=True) == ""
