"""Histogram of durations, from which percentiles are computed."""

from bisect import bisect_left
from collections.abc import Sequence

import attrs


@attrs.define(eq=False)
class Histogram:
    """Counts observations in buckets, as Prometheus expects them."""

    bounds: tuple[float, ...]
    """Upper bounds, inclusive, rising; above the last there is one more bucket."""
    counts: list[int] = attrs.field(init=False)
    """Observations in each bucket, not cumulative."""
    total: float = attrs.field(default=0.0, init=False)
    """Sum of all observed values."""

    def __attrs_post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> Sequence[tuple[str, float]]:
        """Pairs of an upper bound as text and the count at or below it; the last is `+Inf`."""
        found, count = [], 0
        for bound, here in zip((*self.bounds, None), self.counts, strict=True):
            count += here
            found.append(("+Inf" if bound is None else repr(bound), float(count)))
        return found
