"""Curves in bounded memory."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from levitrio.records.metrics.time_series import DownsampledSeries, RecentSeries


@given(st.integers(0, 500), st.integers(2, 40))
def test_thinned_keeps_the_whole_run(rows: int, points: int) -> None:
    """Never more than `points` rows, always the first, evenly spaced to the end."""
    series = DownsampledSeries(2, points)
    for number in range(rows):
        series.append(float(number), float(-number))
    times, values = series.columns()
    assert len(times) < points or rows == 0 or points == 2
    assert values == [-time for time in times]
    if rows:
        assert times[0] == 0.0
        steps = {after - before for before, after in pairwise(times)}
        assert len(steps) <= 1
        assert rows - times[-1] <= 2 * max(steps, default=rows)


@given(st.integers(0, 200), st.integers(1, 40))
def test_recent_keeps_the_newest(rows: int, points: int) -> None:
    """The last rows, oldest first."""
    series = RecentSeries(2, points)
    for number in range(rows):
        series.append(float(number), float(-number))
    expected = [float(number) for number in range(max(0, rows - points), rows)]
    assert series.columns() == [expected, [-value for value in expected]]
