"""Combines the members' probabilities into one decision. Pure.

A member without a vote has no part in the mean, and does not count as 0.5: its weight goes to the
others in their proportions, and the confidence falls by it.
"""

import math
from collections.abc import Sequence
from typing import Literal

import attrs

from levitrio.inference.interface import Missing

Side = Literal["long", "short", "flat"]


@attrs.frozen(kw_only=True)
class Verdict:
    """The weighted result of the members that voted."""

    prob_up: float
    """Weighted mean, 0 to 1."""
    confidence: float
    """Share of the weight that voted, times its agreement; 0 to 1."""


def combine(weights: Sequence[float], values: Sequence[float | Missing]) -> Verdict | None:
    """The verdict of the members that voted; None without a vote.

    Agreement is 1 - 2 x the weighted mean distance of the members from their mean: 1 when all
    votes are equal, 0 when one half votes 0 and the other 1.
    """
    voted = [
        (weight, value)
        for weight, value in zip(weights, values, strict=True)
        if not isinstance(value, Missing)
    ]
    total = math.fsum(weight for weight, _ in voted)
    if not voted:
        return None
    mean = math.fsum(weight * value for weight, value in voted) / total
    distance = math.fsum(weight * abs(value - mean) for weight, value in voted) / total
    share = total / math.fsum(weights)
    return Verdict(
        prob_up=_within_one(mean), confidence=_within_one(share * (1.0 - 2.0 * distance))
    )


def choose(
    prob_up: float, held: Side, *, long_above: float, short_below: float, shorts: bool
) -> Side:
    """The side to hold, by thresholds.

    A side is taken beyond its threshold and kept until the probability is past one half, so
    that a probability that wavers around a threshold does not pay a fee each time.
    """
    if prob_up >= long_above:
        return "long"
    if prob_up <= short_below:
        return "short" if shorts else "flat"
    if (held == "long" and prob_up >= 0.5) or (held == "short" and prob_up <= 0.5):
        return held
    return "flat"


def _within_one(value: float) -> float:
    return min(1.0, max(0.0, value))
