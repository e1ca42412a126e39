"""The model of the live view: status documents in, lines of cells out. Pure."""

from array import array
from collections.abc import Sequence
from typing import cast

import attrs

from levitrio.cli.top.columns import COLUMNS, GAP, Column, EngineRow, number, shown
from levitrio.cli.top.filter import Filter
from levitrio.control.status_document import FleetStatus

SAMPLES = 120
"""Polls that a PnL course covers: two minutes; a thousand engines take a megabyte."""

Cell = tuple[str, str]
"""Text, padded to the width of its column, and tone."""

Line = tuple[Cell, ...]


@attrs.define(eq=False)
class ViewModel:
    """The newest status document, and the PnL course of each engine."""

    document: FleetStatus = attrs.field(factory=lambda: cast(FleetStatus, {}))
    """Empty before the first one."""
    filter: Filter = attrs.field(factory=Filter)
    sorting: Column = COLUMNS[1]
    """By status at first, with failures on top."""
    turned: bool = False
    _engines: dict[str, EngineRow] = attrs.field(factory=dict)
    _order: list[EngineRow] = attrs.field(factory=list)
    _places: dict[str, int] = attrs.field(factory=dict)

    def take(self, document: FleetStatus) -> None:
        """Take a new status document; engines that are not in it are forgotten."""
        self.document = document
        before, self._engines = self._engines, {}
        for row in document.get("engines", ()):
            symbol = str(row.get("symbol"))
            known = before.get(symbol)
            pnl = array("d") if known is None else known.pnl
            total = number(row.get("total_pnl"))
            if total is not None:
                pnl.append(float(total))
                del pnl[:-SAMPLES]
            self._engines[symbol] = EngineRow(row, pnl)
        self._arrange()

    def choose(self, wanted: Filter) -> None:
        """Show only engines that match a filter."""
        self.filter = wanted
        self._arrange()

    def sort_by(self, column: Column) -> None:
        """Sort by a column; the same column again reverses the order."""
        self.turned = column is self.sorting and not self.turned
        self.sorting = column
        self._arrange()

    def sort_beside(self, step: int, width: int) -> None:
        """Sort by the next visible column to the right (1) or left (-1)."""
        columns = shown(width)
        at = columns.index(self.sorting) if self.sorting in columns else 0
        self.turned = False
        self.sorting = columns[(at + step) % len(columns)]
        self._arrange()

    def turn(self) -> None:
        """Reverse the order."""
        self.turned = not self.turned
        self._arrange()

    def __len__(self) -> int:
        return len(self._order)

    @property
    def total(self) -> int:
        """Number of engines, filtered or not."""
        return len(self._engines)

    def symbol_at(self, place: int) -> str | None:
        """The symbol on line `place`; None beyond the last."""
        return str(self._order[place].row.get("symbol")) if 0 <= place < len(self) else None

    def place_of(self, symbol: str | None) -> int | None:
        """The line of a symbol; None when it is not shown."""
        return None if symbol is None else self._places.get(symbol)

    def engine(self, symbol: str | None) -> EngineRow | None:
        """An engine, filtered or not; None when there is none."""
        return None if symbol is None else self._engines.get(symbol)

    def head(self, width: int) -> Line:
        """The titles; an arrow marks the sorted column and its direction."""
        arrow = "▲" if self.turned == (self.sorting.order is None) else "▼"
        cells = []
        for column, room in _widths(width):
            title = column.title
            if column is self.sorting:
                title = f"{title[: room - 1]}{arrow}"
            cells.append((_fit(title, room, right=column.right), "title"))
        return tuple(cells)

    def line(self, place: int, width: int) -> Line:
        """The cells of line `place`."""
        engine = self._order[place]
        return tuple(
            (_fit(column.text(engine), room, right=column.right), column.tone(engine))
            for column, room in _widths(width)
        )

    def column_at(self, x: int, width: int) -> Column | None:
        """The column at character `x` of a line; None beyond the last."""
        for column, room in _widths(width):
            if x < room + GAP:
                return column
            x -= room + GAP
        return None

    def _arrange(self) -> None:
        matching = [engine for engine in self._engines.values() if self.filter.matches(engine.row)]
        self._order = self.sorting.sorted(matching, turned=self.turned)
        self._places = {str(e.row.get("symbol")): at for at, e in enumerate(self._order)}


def changed_lines(before: Sequence[Line], after: Sequence[Line]) -> list[int]:
    """Numbers of the lines that differ and must be redrawn."""
    common = min(len(before), len(after))
    changed = [at for at in range(common) if before[at] != after[at]]
    return changed + list(range(common, max(len(before), len(after))))


def _widths(width: int) -> list[tuple[Column, int]]:
    columns = shown(width)
    taken = sum(column.width + GAP for column in columns[:-1])
    rooms = [(column, column.width) for column in columns[:-1]]
    return [*rooms, (columns[-1], max(columns[-1].width, width - taken))]


def _fit(text: str, width: int, *, right: bool) -> str:
    if len(text) > width:
        return text[: width - 1] + "…"  # cut digits would be another number
    return text.rjust(width) if right else text.ljust(width)
