"""The bucket keeps below the venue's limits, whenever and however many ask."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.venues.binance.rate_limits.token_bucket import (
    TokenBucket,
    connect_bucket,
    message_bucket,
)


@given(
    capacity=st.integers(1, 10),
    rate=st.sampled_from([0.25, 1.0, 4.0]),
    pauses=st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.125, 1.0, 10.0]), min_size=1, max_size=60),
)
def test_never_more_than_capacity_and_rate(capacity: int, rate: float, pauses: list[float]) -> None:
    """In every window the turns are at most capacity + rate x length, in the order asked."""
    bucket = TokenBucket(capacity=capacity, rate=rate)
    now = 1000.0
    turns = []
    for pause in pauses:
        now += pause
        delay = bucket.reserve(now)
        assert delay >= 0.0
        turns.append(now + delay)
    assert turns == sorted(turns)
    for i, start in enumerate(turns):
        for j in range(i, len(turns)):
            assert j - i + 1 <= capacity + rate * (turns[j] - start) + 1e-9


def test_a_rest_refills_it() -> None:
    """After a rest the burst is there again, and no more than the burst."""
    bucket = TokenBucket(capacity=2, rate=1.0)
    assert [bucket.reserve(0.0) for _ in range(4)] == [0.0, 0.0, 1.0, 2.0]
    assert [bucket.reserve(100.0) for _ in range(3)] == [0.0, 0.0, 1.0]


def test_a_mass_reconnect_stays_below_the_venue() -> None:
    """A thousand attempts at once: at most one a second, and 250 in five minutes."""
    bucket = connect_bucket()
    turns = [bucket.reserve(0.0) for _ in range(1000)]
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(turns))
    assert sum(turn < 300.0 for turn in turns) <= 250


def test_messages_leave_room_for_a_pong() -> None:
    """In any second our messages are four at most, where the venue cuts above five."""
    bucket = message_bucket()
    turns = [bucket.reserve(0.0) for _ in range(50)]
    assert max(sum(start <= turn <= start + 1.0 for turn in turns) for start in turns) <= 4


@pytest.mark.parametrize(("capacity", "rate"), [(0, 1.0), (1, 0.0), (1, -1.0)])
def test_impossible_buckets_are_refused(capacity: int, rate: float) -> None:
    """A bucket that never gives a turn is a mistake."""
    with pytest.raises(ValueError, match="must be"):
        TokenBucket(capacity=capacity, rate=rate)
