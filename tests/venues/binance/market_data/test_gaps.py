"""What waits behind a gap, and when it is whole."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from levitrio.trading.market import Trade
from levitrio.venues.binance.market_data import gaps
from levitrio.venues.binance.market_data.gaps import Gap, ranges, trade_number
from tests.factories import make_trade


def gap_of(*missing: int) -> Gap[Trade]:
    gap: Gap[Trade] = Gap(number=trade_number, since_ms=0)
    gap.miss(missing)
    return gap


@given(st.permutations(range(10)))
def test_order_of_arrival_does_not_matter(order: list[int]) -> None:
    """Filled in whatever order, everything goes on sorted, each once."""
    gap = gap_of(*range(10))
    gap.hold(make_trade(10), 10)
    for number in order:
        assert not gap.is_whole
        assert gap.fill(make_trade(number))
        assert not gap.fill(make_trade(number))
    assert gap.is_whole
    assert [event.trade_id for event in gap.release()] == list(range(11))
    assert gap.release() == []
    assert not gap.is_open


def test_found_in_time_and_too_late() -> None:
    """What history says counts by when it says it; what was not asked for is ignored."""
    gap = gap_of(1, 2)
    gap.hold(make_trade(3), 3)
    for number in (1, 3, 77):
        gap.find(make_trade(number))
    assert [event.trade_id for event in gap.release()] == [1, 3]
    for number in (2, 2, 1):
        gap.find(make_trade(number))
    assert (gap.found_in_time, gap.found_too_late, gap.is_whole) == (1, 1, True)
    assert gap.release() == []


def test_bounds() -> None:
    """Neither what is missing nor what waits grows without end."""
    assert gap_of(*range(gaps.MAX_MISSING + 1)).is_full
    gap = gap_of(0)
    for number in range(1, gaps.MAX_HELD + 2):
        assert not gap.is_full
        gap.hold(make_trade(number), number)
    assert gap.is_full


@given(st.sets(st.integers(0, 60)))
def test_ranges(numbers: set[int]) -> None:
    """They cover exactly the numbers, ascending, and none touches the next."""
    found = ranges(numbers)
    assert [n for first, last in found for n in range(first, last + 1)] == sorted(numbers)
    assert all(a[1] + 1 < b[0] for a, b in pairwise(found))
