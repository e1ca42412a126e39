"""What the live view knows: status documents in, lines of cells out. Pure, knows no terminal."""

from array import array
from collections.abc import Sequence
from typing import cast

import attrs

from levitrio.cli.top.columns import COLUMNS, GAP, Column, EngineRow, number, shown
from levitrio.cli.top.filter import Filter
from levitrio.control.status_document import FleetStatus

SAMPLES = 120
"""Looks that a PnL course covers: two minutes; a thousand engines keep a megabyte."""

Cell = tuple[str, str]
"""Text, already as wide as its column, and tone."""

Line = tuple[Cell, ...]


@attrs.define(eq=False)
class ViewModel:
    """Keeps the newest document, and of each engine the course of its PnL."""

    document: FleetStatus = attrs.field(factory=lambda: cast(FleetStatus, {}))
    """Empty until the first one is there."""
    filter: Filter = attrs.field(factory=Filter)
    sorting: Column = COLUMNS[1]
    """At first by status: trouble on top."""
    turned: bool = False
    _engines: dict[str, EngineRow] = attrs.field(factory=dict)
    _order: list[EngineRow] = attrs.field(factory=list)
    _places: dict[str, int] = attrs.field(factory=dict)

    def take(self, document: FleetStatus) -> None:
        """A new status document; engines that are not in it are forgotten."""
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
        """Show only what fits."""
        self.filter = wanted
        self._arrange()

    def sort_by(self, column: Column) -> None:
        """Sort by a column; once more turns the order round."""
        self.turned = column is self.sorting and not self.turned
        self.sorting = column
        self._arrange()

    def sort_beside(self, step: int, width: int) -> None:
        """Sort by the next column to the right (1) or left (-1) that is to be seen."""
        columns = shown(width)
        at = columns.index(self.sorting) if self.sorting in columns else 0
        self.turned = False
        self.sorting = columns[(at + step) % len(columns)]
        self._arrange()

    def turn(self) -> None:
        """Turn the order round."""
        self.turned = not self.turned
        self._arrange()

    def __len__(self) -> int:
        return len(self._order)

    @property
    def total(self) -> int:
        """Engines, whatever the filter says."""
        return len(self._engines)

    def symbol_at(self, place: int) -> str | None:
        """The symbol on line `place`; None where there is none."""
        return str(self._order[place].row.get("symbol")) if 0 <= place < len(self) else None

    def place_of(self, symbol: str | None) -> int | None:
        """The line a symbol is on; None when it is not shown."""
        return None if symbol is None else self._places.get(symbol)

    def engine(self, symbol: str | None) -> EngineRow | None:
        """An engine, shown or not."""
        return None if symbol is None else self._engines.get(symbol)

    def head(self, width: int) -> Line:
        """The titles; the one that sorts has an arrow that says which way it reads."""
        arrow = "▲" if self.turned == (self.sorting.order is None) else "▼"
        cells = []
        for column, room in _rooms(width):
            title = column.title
            if column is self.sorting:
                title = f"{title[: room - 1]}{arrow}"
            cells.append((_fit(title, room, right=column.right), "title"))
        return tuple(cells)

    def line(self, place: int, width: int) -> Line:
        """The cells of one line."""
        engine = self._order[place]
        return tuple(
            (_fit(column.text(engine), room, right=column.right), column.tone(engine))
            for column, room in _rooms(width)
        )

    def column_at(self, x: int, width: int) -> Column | None:
        """The column under a click."""
        for column, room in _rooms(width):
            if x < room + GAP:
                return column
            x -= room + GAP
        return None

    def _arrange(self) -> None:
        fitting = [engine for engine in self._engines.values() if self.filter.fits(engine.row)]
        self._order = self.sorting.sorted(fitting, turned=self.turned)
        self._places = {str(e.row.get("symbol")): at for at, e in enumerate(self._order)}


def changed_lines(before: Sequence[Line], after: Sequence[Line]) -> list[int]:
    """Numbers of the lines that must be drawn again."""
    common = min(len(before), len(after))
    changed = [at for at in range(common) if before[at] != after[at]]
    return changed + list(range(common, max(len(before), len(after))))


def _rooms(width: int) -> list[tuple[Column, int]]:
    columns = shown(width)
    taken = sum(column.width + GAP for column in columns[:-1])
    rooms = [(column, column.width) for column in columns[:-1]]
    return [*rooms, (columns[-1], max(columns[-1].width, width - taken))]


def _fit(text: str, width: int, *, right: bool) -> str:
    if len(text) > width:
        return text[: width - 1] + "…"  # cut digits would be another number
    return text.rjust(width) if right else text.ljust(width)
