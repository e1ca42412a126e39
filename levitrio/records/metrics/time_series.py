"""Time series of numbers in bounded memory, for charts; floats, so never for money."""

from array import array
from collections.abc import Iterator

POINTS = 720
"""Points of a chart: more than a screen can show."""


class DownsampledSeries:
    """A whole run in at most `points` rows: when it is full, every second row is dropped.

    So the series begins with the run, and has at least half of the rows that fit.
    """

    def __init__(self, columns: int, points: int = POINTS) -> None:
        self._columns = tuple(array("d") for _ in range(columns))
        self._points = points
        self._stride = 1
        self._seen = 0

    def __len__(self) -> int:
        return len(self._columns[0])

    def append(self, *values: float) -> None:
        """Add one row; most rows of a long run are not kept."""
        is_due = self._seen % self._stride == 0
        self._seen += 1
        if not is_due:
            return
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)
        if len(self) >= self._points:
            for column in self._columns:
                del column[1::2]
            self._stride *= 2

    def columns(self) -> list[list[float]]:
        """One list for each column, oldest first."""
        return [column.tolist() for column in self._columns]


class RecentSeries:
    """The last `points` rows."""

    def __init__(self, columns: int, points: int = POINTS) -> None:
        self._columns = tuple(array("d") for _ in range(columns))
        self._points = points
        self._next = 0

    def __len__(self) -> int:
        return len(self._columns[0])

    def append(self, *values: float) -> None:
        """Add one row; when the series is full, it replaces the oldest."""
        if len(self) < self._points:
            for column, value in zip(self._columns, values, strict=True):
                column.append(value)
            return
        for column, value in zip(self._columns, values, strict=True):
            column[self._next] = value
        self._next = (self._next + 1) % self._points

    def columns(self) -> list[list[float]]:
        """One list for each column, oldest first."""
        return [list(self._in_order(column)) for column in self._columns]

    def _in_order(self, column: "array[float]") -> Iterator[float]:
        yield from column[self._next :]
        yield from column[: self._next]
