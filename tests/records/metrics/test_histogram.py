"""Counts by size."""

from hypothesis import given
from hypothesis import strategies as st

from levitrio.records.metrics.histogram import Histogram


def test_bounds_are_inclusive() -> None:
    """An observation on a bound is at or below it."""
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 3.0):
        histogram.observe(value)
    assert histogram.cumulative() == [("1.0", 2.0), ("2.0", 4.0), ("+Inf", 5.0)]
    assert histogram.total == 8.0


@given(st.lists(st.floats(0, 10), max_size=50))
def test_nothing_is_lost(values: list[float]) -> None:
    """The last bucket counts everything, and counts never fall."""
    histogram = Histogram((0.1, 1.0, 5.0))
    for value in values:
        histogram.observe(value)
    counts = [count for _, count in histogram.cumulative()]
    assert counts == sorted(counts)
    assert counts[-1] == len(values)
