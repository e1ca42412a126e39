"""The engine table as a widget that redraws only visible lines that changed.

Textual's DataTable renders every visible cell again when one changes: 146 ms for each poll on a
terminal of 160x50, which is more of a core than the whole view may use.
"""

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from levitrio.cli.top.columns import GAP, Column
from levitrio.cli.top.view_model import Line, ViewModel, changed_lines

STYLES = {
    "plain": Style(),
    "dim": Style(dim=True),
    "title": Style(bold=True),
    "good": Style(color="green"),
    "busy": Style(color="cyan"),
    "warning": Style(color="yellow"),
    "bad": Style(color="red"),
    "alarm": Style(color="red", bold=True, reverse=True),
}
"""Tone: its style, in the terminal's own colours."""

_CURSOR = Style(reverse=True)
_DIM = Style(dim=True)


class TableHead(Widget):
    """The titles of the columns; a click sorts."""

    DEFAULT_CSS = "TableHead { height: 1; }"

    class Clicked(Message):
        """A column title was clicked."""

        def __init__(self, column: Column) -> None:
            super().__init__()
            self.column = column

    def __init__(self, view: ViewModel) -> None:
        super().__init__()
        self._view = view

    def render_line(self, y: int) -> Strip:
        """Render the titles."""
        return _strip(self._view.head(self.size.width), self.size.width, Style(underline=True))

    def on_click(self, event: events.Click) -> None:
        """Report the clicked column."""
        column = self._view.column_at(event.x, self.size.width)
        if column is not None:
            self.post_message(self.Clicked(column))


class EngineTable(ScrollView, can_focus=True):
    """The lines of the table; the cursor follows its engine when the order changes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "move_page(-1)", show=False),
        Binding("pagedown", "move_page(1)", show=False),
        Binding("home,g", "move(-1000000)", show=False),
        Binding("end,G", "move(1000000)", show=False),
    ]

    DEFAULT_CSS = "EngineTable { height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }"

    class Chosen(Message):
        """The cursor has moved to another engine."""

    def __init__(self, view: ViewModel) -> None:
        super().__init__()
        self._view = view
        self._shown: Sequence[Line] = ()
        self._first = 0
        self._place = 0
        self.symbol: str | None = None
        """The engine under the cursor."""
        self.is_lost = False
        """The fleet does not answer: the lines are drawn as old."""

    def update_lines(self) -> None:
        """Redraw the lines that a new document has changed."""
        self._follow()
        lines = self._visible()
        for at in changed_lines(self._shown, lines):
            self.refresh_line(self._first + at)
        self._shown = lines

    def redraw(self) -> None:
        """Redraw every line, because the style has changed."""
        self._shown = self._visible()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Render line `y` of the window."""
        place, width = self.scroll_offset.y + y, self.size.width
        if not 0 <= place < len(self._view):
            return Strip.blank(width, Style())
        base = _DIM if self.is_lost else Style()
        if place == self._place:
            base += _CURSOR
        return _strip(self._view.line(place, width), width, base)

    def action_move(self, step: int) -> None:
        """Move the cursor by lines."""
        self._move_to(self._place + step)

    def action_move_page(self, step: int) -> None:
        """Move the cursor by a page."""
        self._move_to(self._place + step * max(1, self.size.height - 1))

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the clicked line."""
        self._move_to(self.scroll_offset.y + event.y)

    def on_resize(self) -> None:
        """Redraw, because other lines and columns are visible."""
        self._follow()
        self.redraw()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Note the visible lines; the base class draws them."""
        super().watch_scroll_y(old_value, new_value)
        self._shown = self._visible()

    def _visible(self) -> Sequence[Line]:
        self._first = self.scroll_offset.y
        last = min(len(self._view), self._first + self.size.height)
        return [self._view.line(place, self.size.width) for place in range(self._first, last)]

    def _follow(self) -> None:
        """Move the cursor to its engine's line; keep the line if the engine is gone."""
        self.virtual_size = Size(self.size.width, len(self._view))
        place = self._view.place_of(self.symbol)
        self._move_to(self._place if place is None else place)

    def _move_to(self, place: int) -> None:
        before = self._place, self.symbol
        self._place = max(0, min(place, len(self._view) - 1))
        self.symbol = self._view.symbol_at(self._place)
        if before[0] != self._place:
            self.refresh_line(before[0])
            self.refresh_line(self._place)
            top, height = self.scroll_offset.y, max(1, self.size.height)
            if not top <= self._place < top + height:
                y = self._place if self._place < top else self._place - height + 1
                self.scroll_to(y=y, animate=False, force=True)
        if before[1] != self.symbol:
            self.post_message(self.Chosen())


def _strip(line: Line, width: int, base: Style) -> Strip:
    segments = []
    gap = Segment(" " * GAP, base)
    for text, tone in line:
        segments += [Segment(text, base + STYLES[tone]), gap]
    return Strip(segments).adjust_cell_length(width, base)
