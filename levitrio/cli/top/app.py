"""The screen of `levi ctl top`: a Textual application, so it runs on asyncio in its own process."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from levitrio.cli.terminal import neutral
from levitrio.cli.top import summary
from levitrio.cli.top.actions import ACTIONS, Intent, describe
from levitrio.cli.top.filter import Filter
from levitrio.cli.top.poller import (
    CommandFinished,
    ConnectionLost,
    EngineDetails,
    Report,
    StatusPoller,
    StatusReceived,
)
from levitrio.cli.top.table import STYLES, EngineTable, TableHead
from levitrio.cli.top.view_model import ViewModel

DETAILS_PERIOD = 3.0
"""Seconds between two readings of log and incidents of the engine in the pane."""

_KEYS = (
    "[b]↑↓[/b] engine  [b]⏎[/b] details  [b]/[/b] filter  [b]< >[/b] sort  [b]o[/b] turn  "
    "[b]esc[/b] clear  [b]q[/b] quit"
)
_READ_ONLY = "read-only: nothing here changes the fleet"


MakePoller = Callable[[Callable[[Report], None]], StatusPoller]


class PollerMessage(Message):
    """A report from the poller's thread."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report


class Question(ModalScreen[bool]):
    """Asks to confirm an action; only `y` confirms."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)"),
        Binding("n,escape,q,enter", "answer(False)"),
    ]

    CSS = """
    Question { align: center middle; }
    Question > Vertical {
        width: 64; max-width: 95%; height: auto; border: round ansi_yellow; padding: 1 2;
        background: ansi_default;
    }
    """

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._text = Text.assemble(
            (f"{title}?", STYLES["title"]),
            "\n\n",
            text,
            "\n\n",
            ("y", STYLES["title"]),
            " yes    ",
            ("n", STYLES["title"]),
            " no",
        )

    def compose(self) -> ComposeResult:
        """The box with the question."""
        with Vertical():
            yield Static(self._text)

    def action_answer(self, answer: bool) -> None:
        """Close with the answer of the key."""
        self.dismiss(answer)


class TopApp(App[None]):
    """`levi ctl top`; `make_poller` gets the callback for reports."""

    ENABLE_COMMAND_PALETTE = False
    TITLE = "levi ctl top"

    CSS = """
    Screen { background: ansi_default; color: ansi_default; }
    #fleet, #counts, #notice { height: 1; }
    #pane { height: 50%; border-top: solid ansi_bright_black; display: none; }
    #pane.open { display: block; }
    #filter { height: 1; border: none; padding: 0; display: none; background: ansi_default; }
    #filter.open { display: block; }
    #notice.covered { display: none; }
    #keys { height: auto; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", priority=True),
        Binding("q", "quit"),
        Binding("slash", "filter"),
        Binding("escape", "clear"),
        Binding("enter,d", "details"),
        Binding("less_than_sign,left", "sort(-1)"),
        Binding("greater_than_sign,right", "sort(1)"),
        Binding("o", "turn"),
        *(Binding(action.key, f"ask({number})") for number, action in enumerate(ACTIONS)),
    ]

    def __init__(self, make_poller: MakePoller, *, read_only: bool = False) -> None:
        super().__init__(ansi_color=True)  # the terminal's own colours, light or dark
        self.theme = "ansi-dark"
        self._view = ViewModel()
        self._poller = make_poller(self._receive)
        self._read_only = read_only
        self._lost: ConnectionLost | None = None
        self._filter = ""
        self._details_of: str | None = None

    def compose(self) -> ComposeResult:
        """The widgets from top to bottom."""
        yield Static(id="fleet")
        yield Static(id="counts")
        yield TableHead(self._view)
        yield EngineTable(self._view)
        with VerticalScroll(id="pane", can_focus=False):
            yield Static(id="facts")
            yield Static(id="details")
        yield Input(id="filter", placeholder="symbol, glob or state: sol  BTC*  failed")
        yield Static(id="notice")
        actions = "  ".join(f"[b]{action.key}[/b] {action.verb}" for action in ACTIONS)
        yield Static(f"{_KEYS}\n{_READ_ONLY if self._read_only else actions}", id="keys")

    def on_mount(self) -> None:
        """Start the poller."""
        self._table.focus()
        self.set_interval(DETAILS_PERIOD, self._request_details)
        self._poller.start()

    def on_unmount(self) -> None:
        """Stop the poller."""
        self._poller.close()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Disable the commands in a read-only view."""
        return not (action == "ask" and self._read_only)

    # Reports of the poller.

    def on_poller_message(self, message: PollerMessage) -> None:
        """Show a report."""
        match message.report:
            case StatusReceived(document):
                self._table.is_lost, was_lost = False, self._lost is not None
                self._lost = None
                self._view.take(document)
                self._show()
                if was_lost:
                    self._table.redraw()
                    self._show_notice("the fleet is back", "good")
            case ConnectionLost() as lost:
                self._lost, self._table.is_lost = lost, True
                self._show()
                self._table.redraw()
            case CommandFinished(text, is_error):
                self._show_notice(text, "bad" if is_error else "good")
            case EngineDetails() as details if details.symbol == self._table.symbol:
                pieces = summary.details_pieces(details.history, details.records)
                self.query_one("#details", Static).update(_text(pieces))
            case EngineDetails():
                pass  # the cursor is on another engine by now

    def on_engine_table_chosen(self) -> None:
        """Show the newly selected engine in the pane."""
        self._show_facts()
        self.call_after_refresh(self._request_details)

    def on_table_head_clicked(self, clicked: TableHead.Clicked) -> None:
        """Sort by the clicked column."""
        self._view.sort_by(clicked.column)
        self._show()

    # Keys.

    def action_sort(self, step: int) -> None:
        """Sort by the column to the left or right."""
        self._view.sort_beside(step, self._table.size.width)
        self._show()

    def action_turn(self) -> None:
        """Reverse the order."""
        self._view.turn()
        self._show()

    def action_details(self) -> None:
        """Open or close the pane."""
        self.query_one("#pane").toggle_class("open")
        self._show_facts()
        self._request_details()

    def action_filter(self) -> None:
        """Open the filter field."""
        field = self.query_one("#filter", Input)
        field.add_class("open")
        self.query_one("#notice").add_class("covered")
        field.focus()

    def action_clear(self) -> None:
        """Close the filter or the pane; with neither open, clear the filter."""
        field, pane = self.query_one("#filter", Input), self.query_one("#pane")
        if field.has_class("open"):
            field.value = ""
            self._close_filter()
        elif pane.has_class("open"):
            pane.remove_class("open")
        else:
            field.value = ""

    def on_input_changed(self, changed: Input.Changed) -> None:
        """Filter while typing."""
        self._filter = neutral(changed.value.strip())
        self._view.choose(Filter.of(changed.value))
        self._show()

    def on_input_submitted(self) -> None:
        """Close the filter field and keep the filter."""
        self._close_filter()

    def action_ask(self, number: int) -> None:
        """Ask to confirm an action, then send it."""
        action = ACTIONS[number]
        symbol = None if action.of_fleet else self._table.symbol
        engine = self._view.engine(symbol)
        if self._lost is not None or (engine is None and not action.of_fleet):
            self._show_notice("no fleet answers" if self._lost else "no engine is selected", "bad")
            return
        intent = Intent(action=action, symbol=symbol)
        text = describe(intent, self._view.document, None if engine is None else engine.row)

        def decide(answer: bool | None) -> None:
            if answer:
                self._show_notice(f"{intent.title} ...", "dim")
                self._poller.command(intent)

        self.push_screen(Question(intent.title, text), decide)

    # Drawing.

    @property
    def _table(self) -> EngineTable:
        return self.screen_stack[0].query_one(EngineTable)

    def _receive(self, report: Report) -> None:
        self.post_message(PollerMessage(report))

    def _show(self) -> None:
        base = self.screen_stack[0]
        document = self._view.document
        self._table.update_lines()
        base.query_one(TableHead).refresh()
        if self._lost is None:
            fleet = summary.fleet_line(document)
        else:
            fleet = [
                (" NO FLEET, RETRYING ", "alarm"),
                (f" {neutral(self._lost.reason)}; the figures are old", "dim"),
            ]
        counts = summary.count_line(document, len(self._view), self._filter)
        base.query_one("#fleet", Static).update(_text(fleet))
        base.query_one("#counts", Static).update(_text(counts))
        self._show_facts()

    def _show_facts(self) -> None:
        base = self.screen_stack[0]
        if not base.query_one("#pane").has_class("open"):
            return
        engine = self._view.engine(self._table.symbol)
        facts = [("no engine", "dim")] if engine is None else summary.engine_pieces(engine)
        base.query_one("#facts", Static).update(_text(facts))
        if self._details_of != self._table.symbol:
            self._details_of = self._table.symbol
            base.query_one("#details", Static).update("")

    def _request_details(self) -> None:
        document: Mapping[str, object] = self._view.document
        data_dir, symbol = document.get("data_dir"), self._table.symbol
        pane = self.screen_stack[0].query_one("#pane")
        if symbol and isinstance(data_dir, str) and pane.has_class("open") and not self._lost:
            self._poller.request_details(symbol, data_dir)

    def _close_filter(self) -> None:
        self.query_one("#filter").remove_class("open")
        self.query_one("#notice").remove_class("covered")
        self._table.focus()

    def _show_notice(self, text: str, tone: str) -> None:
        notice = self.screen_stack[0].query_one("#notice", Static)
        notice.update(_text([(neutral(text), tone)]))


def _text(pieces: Sequence[summary.Piece]) -> Text:
    """Pieces as styled text; markup in the fleet's texts is not interpreted."""
    return Text.assemble(*((text, STYLES[tone]) for text, tone in pieces))
