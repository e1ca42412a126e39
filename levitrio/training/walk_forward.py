"""Walk-forward evaluation: train on the past, predict the next stretch, move on.

Between two stretches as many bars are left out as a label looks ahead: a label known only in the
next stretch would leak it to the model.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import attrs
import numpy as np

from levitrio.errors import UsageError
from levitrio.training.dataset import Array, Dataset
from levitrio.training.fitting import Calibration, Fitted, Kind, calibrate, fit

CALIBRATED_ON = 0.2
"""Share of the rows, the newest, used for the calibration and not for the model."""

MIN_ROWS = 100
"""Rows needed in the first stretch; fewer are not enough to fit."""


@attrs.frozen(kw_only=True, eq=False)
class Judged:
    """Predictions for rows that the models had not seen."""

    rows: Dataset
    probabilities: Array
    base_rate: Array
    """The share of rises in each row's past, as a prediction."""


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
    """Predict each of `folds` stretches by a model of everything before it.

    Args:
        rows: all of them.
        kind: of model.
        folds: number of stretches.
        seed: of the fits.
        progress: called with the share that is done, 0 to 1.

    Raises:
        UsageError: there are too few rows.
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
    """(past, future) for each stretch; they share no time, and no label reaches across."""
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
