"""From the members' numbers to one decision. Pure.

A member that has nothing to say has no part in the mean: its weight goes to the others in their
proportions, and the confidence says how much was missing. Nobody's silence counts as 0.5.
"""

import math
from collections.abc import Sequence
from typing import Literal

import attrs

from levitrio.inference.interface import Missing

Side = Literal["long", "short", "flat"]


@attrs.frozen(kw_only=True)
class Verdict:
    """What the members that spoke say together."""

    prob_up: float
    """Weighted mean, 0 to 1."""
    confidence: float
    """Share of the weight that spoke, times how much it agreed; 0 to 1."""


def combine(weights: Sequence[float], values: Sequence[float | Missing]) -> Verdict | None:
    """The verdict of the members that spoke; None when nobody did.

    Agreement is 1 - 2 x the weighted mean distance of the members from their mean: 1 when all
    say the same, 0 when one half says 0 and the other 1.
    """
    spoke = [
        (weight, value)
        for weight, value in zip(weights, values, strict=True)
        if not isinstance(value, Missing)
    ]
    total = math.fsum(weight for weight, _ in spoke)
    if not spoke:
        return None
    mean = math.fsum(weight * value for weight, value in spoke) / total
    distance = math.fsum(weight * abs(value - mean) for weight, value in spoke) / total
    presence = total / math.fsum(weights)
    return Verdict(
        prob_up=_within_one(mean), confidence=_within_one(presence * (1.0 - 2.0 * distance))
    )


def choose(
    prob_up: float, held: Side, *, long_above: float, short_below: float, shorts: bool
) -> Side:
    """The side to hold.

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
