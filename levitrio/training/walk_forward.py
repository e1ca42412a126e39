"""Walking forward: train on the past, judge on what came next, move on.

Between two stretches as many bars are left out as a label looks ahead: a label that was known
only in the next stretch would tell the model about it.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import attrs
import numpy as np

from levitrio.errors import UsageError
from levitrio.training.dataset import Array, Dataset
from levitrio.training.fitting import Calibration, Fitted, Kind, calibrate, fit

CALIBRATED_ON = 0.2
"""Share of the rows, the newest, that the model does not see and the calibration does."""

MIN_ROWS = 100
"""In the first stretch; fewer rows teach nothing."""


@attrs.frozen(kw_only=True, eq=False)
class Judged:
    """What was said of rows that were not known when it was said."""

    rows: Dataset
    probabilities: Array
    base_rate: Array
    """What somebody says who only counts rises in the past."""


def train_once(rows: Dataset, kind: Kind, seed: int) -> tuple[Fitted, Calibration]:
    """Fit on the older rows, calibrate on the newer ones."""
    boundary = rows.times[int(len(rows) * (1.0 - CALIBRATED_ON))]
    older = rows.rows(rows.times + rows.horizon_ms <= boundary)
    newer = rows.rows(rows.times >= boundary)
    fitted = fit(kind, older.features, older.labels, seed)
    return fitted, calibrate(fitted.scores(newer.features), newer.labels)


def walk(
    rows: Dataset, *, kind: Kind, folds: int, seed: int, progress: Callable[[float], None]
) -> Judged:
    """Judge each of `folds` stretches by a model of everything before it.

    Raises UsageError when there are too few rows.
    """
    judged, said, rates = [], [], []
    for number, (past, future) in enumerate(splits(rows, folds)):
        progress(number / folds)
        fitted, calibration = train_once(past, kind, seed)
        judged.append(np.isin(rows.times, future.times))
        said.append(calibration.probabilities(fitted.scores(future.features)))
        rates.append(np.full(len(future), past.labels.mean()))
    which = np.logical_or.reduce(judged)
    return Judged(
        rows=rows.rows(which),
        probabilities=np.concatenate(said),
        base_rate=np.concatenate(rates),
    )


def splits(rows: Dataset, folds: int) -> Iterator[tuple[Dataset, Dataset]]:
    """(past, future) for each stretch; they share no moment, and no label reaches across."""
    moments = np.unique(rows.times)
    borders = [int(len(moments) * k / (folds + 1)) for k in range(1, folds + 2)]
    for start, end in pairwise(borders):
        begins = moments[start]
        past = rows.rows(rows.times + rows.horizon_ms <= begins)
        if len(past) < MIN_ROWS or start == end:
            raise UsageError(
                f"expected at least {MIN_ROWS} rows in the first of {folds + 1} stretches, got "
                f"{len(past)}: more data, or fewer --folds"
            )
        within = rows.times >= begins
        if end < len(moments):
            within &= rows.times < moments[end]
        yield past, rows.rows(within)
