"""Turns series into rows of features, labels and returns.

A row's features come from bars up to its own, its label and returns from later ones. Only this
module separates past from future.
"""

from collections.abc import Sequence
from typing import TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from levitrio.errors import UsageError
from levitrio.inference.features.features import begins_anew, feature_matrix
from levitrio.inference.models.feature_schema import CANDLES, MARKET, FeatureSchema
from levitrio.trading.candles import FIXED_INTERVALS
from levitrio.training.bar_series import Series, pieces

Array: TypeAlias = npt.NDArray[np.float64]


@attrs.frozen(kw_only=True, eq=False)
class Dataset:
    """Rows of all symbols, in order of time, then of symbol."""

    schema: FeatureSchema
    interval: str
    horizon: int
    """Bars between a row and the close that its label compares with."""
    symbols: tuple[str, ...]
    times: npt.NDArray[np.int64]
    """Close of the row's bar, ms since 1970."""
    symbol: npt.NDArray[np.int64]
    """Index into `symbols`."""
    features: Array
    """Rounded to 32 bits, as the model will see them."""
    labels: Array
    """1 when the close `horizon` bars on is higher, else 0."""
    next_return: Array
    """Return of the next bar, as a fraction of the row's close."""

    def __len__(self) -> int:
        return len(self.times)

    @property
    def horizon_ms(self) -> int:
        """The horizon in ms."""
        return self.horizon * FIXED_INTERVALS[self.interval]

    def rows(self, which: npt.NDArray[np.bool_]) -> "Dataset":
        """Some of the rows, in the same order."""
        return attrs.evolve(
            self,
            times=self.times[which],
            symbol=self.symbol[which],
            features=self.features[which],
            labels=self.labels[which],
            next_return=self.next_return[which],
        )


def schema_for(series: Sequence[Series]) -> FeatureSchema:
    """The richest schema that most bars of every series can fill."""
    for each in series:
        known = sum(1 for bar in each.bars if None not in (bar.imbalance, bar.spread))
        if known * 2 < len(each.bars):
            return CANDLES
    return MARKET


def make_dataset(series: Sequence[Series], *, schema: FeatureSchema, horizon: int) -> Dataset:
    """The rows of all series.

    Raises:
        UsageError: the series are too short for a single row.
    """
    symbols = tuple(sorted({each.symbol for each in series}))
    parts = []
    for each in series:
        for piece in pieces(each, begins_anew):
            part = _rows_of(piece, schema, horizon)
            if part is not None:
                number = np.full(len(part[0]), symbols.index(each.symbol))
                parts.append((number, *part))
    if not sum(len(part[0]) for part in parts):
        raise UsageError("expected some hundred bars in a row, got too few for a single row")
    columns = [np.concatenate([part[k] for part in parts]) for k in range(len(parts[0]))]
    order = np.lexsort((columns[0], columns[1]))
    symbol, times, features, labels, next_return = (column[order] for column in columns)
    return Dataset(
        schema=schema,
        interval=series[0].interval,
        horizon=horizon,
        symbols=symbols,
        times=times,
        symbol=symbol,
        features=features,
        labels=labels,
        next_return=next_return,
    )


def _rows_of(
    series: Series, schema: FeatureSchema, horizon: int
) -> tuple[npt.NDArray[np.int64], Array, Array, Array] | None:
    count = len(series.bars) - horizon
    if count < 1:
        return None
    matrix = feature_matrix(series.bars, schema).astype(np.float32).astype(np.float64)
    close = np.array([bar.close for bar in series.bars])
    length = FIXED_INTERVALS[series.interval]
    times = np.array([bar.open_ms + length for bar in series.bars], dtype=np.int64)
    known = np.isfinite(matrix[:count]).all(axis=1)
    labels = (close[horizon:] > close[:count]).astype(np.float64)
    next_return = close[1 : count + 1] / close[:count] - 1.0
    return times[:count][known], matrix[:count][known], labels[known], next_return[known]
