"""From the members' numbers to one decision."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.inference.ensemble.voting import Side, choose, combine
from levitrio.inference.interface import Missing

GONE = Missing(code="gone", reason="gone")
PROBABILITY = st.floats(0.0, 1.0)


def test_the_mean_is_weighted() -> None:
    """Who weighs three times as much counts three times as much."""
    verdict = combine([3.0, 1.0], [0.8, 0.4])
    assert verdict is not None
    assert verdict.prob_up == pytest.approx(0.7)


def test_a_missing_member_leaves_its_weight_to_the_others() -> None:
    """It never counts as 0.5, and the confidence says how much is missing."""
    verdict = combine([3.0, 1.0, 1.0], [GONE, 0.9, 0.9])
    assert verdict is not None
    assert verdict.prob_up == pytest.approx(0.9)
    assert verdict.confidence == pytest.approx(0.4)


def test_no_votes_are_no_verdict() -> None:
    """Not even one of 0.5."""
    assert combine([1.0, 1.0], [GONE, GONE]) is None


def test_disagreement_costs_confidence() -> None:
    """Half of them certain of a rise, half of a fall: nothing is known."""
    verdict = combine([1.0, 1.0], [1.0, 0.0])
    assert verdict is not None
    assert verdict.confidence == 0.0


@given(values=st.lists(st.tuples(st.floats(0.01, 100.0), PROBABILITY), min_size=1, max_size=8))
def test_a_verdict_stays_within_its_members(values: list[tuple[float, float]]) -> None:
    """No probability beyond the most extreme voice, all within 0 and 1."""
    weights, said = [weight for weight, _ in values], [value for _, value in values]
    verdict = combine(weights, said)
    assert verdict is not None
    assert min(said) - 1e-9 <= verdict.prob_up <= max(said) + 1e-9
    assert 0.0 <= verdict.confidence <= 1.0


@pytest.mark.parametrize(
    ("prob_up", "held", "shorts", "expected"),
    [
        (0.60, "flat", False, "long"),
        (0.52, "flat", False, "flat"),
        (0.52, "long", False, "long"),
        (0.49, "long", False, "flat"),
        (0.40, "long", False, "flat"),
        (0.40, "flat", True, "short"),
        (0.48, "short", True, "short"),
        (0.51, "short", True, "flat"),
    ],
)
def test_sides_are_kept_until_one_half(
    prob_up: float, held: Side, shorts: bool, expected: Side
) -> None:
    """A probability that wavers around a threshold does not pay a fee each time."""
    found = choose(prob_up, held, long_above=0.55, short_below=0.45, shorts=shorts)
    assert found == expected
