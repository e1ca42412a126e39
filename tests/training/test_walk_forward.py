"""No look at the future: not in a row, not in a walk."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levitrio.inference.features.bar_observation import Observation
from tests.inference.model_files import MINUTE, needs_training, some_bars
from tests.training.markets import dataset

pytestmark = needs_training


@settings(max_examples=15, deadline=None)
@given(cut=st.integers(60, 280), horizon=st.integers(1, 5), seed=st.integers(0, 99))
def test_a_changed_future_changes_nothing_before_it(cut: int, horizon: int, seed: int) -> None:
    """Features up to the cut, and labels that ended before it, are the same bit for bit."""
    import numpy as np

    bars = some_bars(300, seed=seed)
    other = some_bars(300, seed=seed + 1_000)
    before = dataset(bars, horizon=horizon)
    after = dataset(bars[:cut] + other[cut:], horizon=horizon)
    boundary = cut * MINUTE
    known = before.times <= boundary
    assert known.any()
    assert np.array_equal(before.times, after.times)
    assert np.array_equal(before.features[known], after.features[known])
    ended = before.times + before.horizon_ms <= boundary
    assert np.array_equal(before.labels[ended], after.labels[ended])


@settings(max_examples=5, deadline=None)
@given(cut=st.sampled_from([500, 700, 900]), seed=st.integers(0, 9))
def test_what_was_said_before_does_not_know_what_came(cut: int, seed: int) -> None:
    """A walk over another future says the same up to the cut: no stretch sees the next."""
    import numpy as np

    from levitrio.training.walk_forward import walk

    bars = some_bars(1_200, seed=seed)
    other = some_bars(1_200, seed=seed + 77)

    def said(bars: Sequence[Observation]) -> tuple[Any, Any]:
        rows = dataset(bars, horizon=3)
        judged = walk(rows, kind="logistic", folds=4, seed=1, progress=lambda _: None)
        return judged.rows.times, judged.probabilities

    times, first = said(bars)
    again, second = said(bars[:cut] + other[cut:])
    assert np.array_equal(times, again)
    # A stretch that the cut falls into is judged by a model of what came before it.
    known = times <= cut * MINUTE
    assert known.any()
    assert np.array_equal(first[known], second[known])


def test_stretches_share_no_moment_and_no_label() -> None:
    """Between past and future as many bars are left out as a label looks ahead."""
    from levitrio.training.walk_forward import splits

    rows = dataset(some_bars(1_000), horizon=5)
    seen = 0
    for past, future in splits(rows, 3):
        assert past.times.max() + past.horizon_ms <= future.times.min()
        seen += len(future)
    assert seen == pytest.approx(len(rows) * 3 / 4, abs=2)
