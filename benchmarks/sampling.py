"""How figures are taken: floor and subject in turns, so that the machine's moods hit both."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

REPETITIONS = 7
"""A median of seven shrugs off three disturbances."""


def interleaved(
    subjects: Mapping[str, Callable[[], T]], repetitions: int = REPETITIONS
) -> dict[str, list[T]]:
    """Run all subjects in turns, there and back; the results of each, after one unheeded round."""
    results: dict[str, list[T]] = {name: [] for name in subjects}
    order = list(subjects)
    for repetition in range(repetitions + 1):
        for name in order:
            gc.collect()
            result = subjects[name]()
            if repetition:
                results[name].append(result)
        # Whoever came first comes last: a machine that slows down favours nobody.
        order.reverse()
    return results


def medians(
    subjects: Mapping[str, Callable[[], float]], repetitions: int = REPETITIONS
) -> dict[str, float]:
    """The median result of each subject, run in turns."""
    results = interleaved(subjects, repetitions)
    return {name: statistics.median(values) for name, values in results.items()}


@contextmanager
def no_gc() -> Iterator[None]:
    """Without the collector: for loops of microseconds, which it would hit by chance."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def seconds_per_call(call: Callable[[], object], number: int) -> float:
    """Seconds of one call, of `number` in a row."""
    rounds = range(number)
    with no_gc():
        begun = time.perf_counter()
        for _ in rounds:
            call()
        return (time.perf_counter() - begun) / number


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed; of none, NaN."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def median_percentile(blocks: Sequence[Sequence[float]], percent: float) -> float:
    """The median over blocks of a percentile within each: one disturbed block does not count."""
    return statistics.median(percentile(block, percent) for block in blocks)
