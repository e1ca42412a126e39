"""The model of the live view: from status documents to lines to redraw."""

from typing import Any, cast, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.cli.status import STATES
from levitrio.cli.top.actions import ACTIONS, Intent, describe, outcome
from levitrio.cli.top.columns import COLUMNS, money, number, shown, sparkline
from levitrio.cli.top.filter import Filter
from levitrio.cli.top.poller import check_document, pause_after, retry_after
from levitrio.cli.top.summary import _FACTS, count_line, details_pieces, engine_pieces, fleet_line
from levitrio.cli.top.view_model import SAMPLES, ViewModel, changed_lines
from levitrio.control.answers import History
from levitrio.control.status_document import EngineStatus, FleetStatus
from levitrio.errors import ControlError
from tests.cli.top.documents import document, row

BY = {column.title: column for column in COLUMNS}


def symbols(view: ViewModel) -> list[str | None]:
    return [view.symbol_at(place) for place in range(len(view))]


def text(view: ViewModel, place: int, width: int = 160) -> str:
    return " ".join(cell for cell, _ in view.line(place, width))


def test_trouble_is_on_top() -> None:
    """Without being asked, and otherwise in the order of the fleet."""
    view = ViewModel()
    view.take(
        document(
            row("A"), row("B", status="crashed"), row("C", status="failed"), row("D", status="?")
        )
    )
    assert symbols(view) == ["D", "C", "B", "A"]


def test_only_lines_that_differ_are_drawn() -> None:
    """Two documents, one engine that changed: one line."""
    view = ViewModel()
    view.take(document(row("A"), row("B"), row("C")))
    before = [view.line(place, 80) for place in range(3)]
    view.take(document(row("A"), row("B", total_pnl="5"), row("C")))
    after = [view.line(place, 80) for place in range(3)]
    # The courses grew by a look, which a flat one shows too; so only B without it.
    plain = [tuple(c for c in line if "▁" not in c[0] and "█" not in c[0]) for line in before]
    now = [tuple(c for c in line if "▁" not in c[0] and "█" not in c[0]) for line in after]
    assert changed_lines(plain, now) == [1]
    assert changed_lines(before[:2], before) == [2]
    assert changed_lines(before, []) == [0, 1, 2]


def test_sorting_turns_and_keeps_the_unknown_last() -> None:
    """Numbers begin with the largest; text with A; a second click turns it round."""
    view = ViewModel()
    view.take(document(row("A", total_pnl="-1"), row("B", total_pnl="nan"), row("C")))
    view.sort_by(BY["PNL"])
    assert symbols(view) == ["C", "A", "B"]
    view.sort_by(BY["PNL"])
    assert symbols(view) == ["A", "C", "B"]
    view.sort_by(BY["SYMBOL"])
    assert symbols(view) == ["A", "B", "C"]
    view.turn()
    assert symbols(view) == ["C", "B", "A"]
    assert view.head(80)[0][0].startswith("SYMBOL▼")


def test_the_column_beside_is_one_that_is_seen() -> None:
    """Round at the ends, at every width."""
    view = ViewModel()
    for width in (20, 80, 200):
        seen = set()
        for _ in shown(width):
            view.sort_beside(1, width)
            seen.add(view.sorting.title)
        assert seen == {column.title for column in shown(width)}
    view.sort_beside(-1, 80)
    assert view.sorting.title == "LAST ERROR" or view.sorting in shown(80)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("", "BTCUSDT ETHUSDT SOLUSDT"),
        ("sol", "SOLUSDT"),
        ("btc/usdt eth", "BTCUSDT ETHUSDT"),
        ("*USDT", "BTCUSDT ETHUSDT SOLUSDT"),
        ("B*", "BTCUSDT"),
        ("FAILED", "ETHUSDT"),
        ("eth sol failed", "ETHUSDT"),
        ("btc failed", ""),
        ("[", ""),
    ],
)
def test_the_filter_knows_symbols_globs_and_states(typed: str, found: str) -> None:
    """Whatever is typed is looked for, and nothing is an error."""
    rows = [row("BTCUSDT"), row("ETHUSDT", status="failed"), row("SOLUSDT")]
    kept = [each["symbol"] for each in rows if Filter.of(typed).matches(each)]
    assert kept == found.split()


def test_engines_come_and_go() -> None:
    """A reload took one away; its course is forgotten, the others keep theirs."""
    view = ViewModel()
    for look in range(SAMPLES + 5):
        view.take(document(row("A", total_pnl=str(look)), row("B")))
    view.take(document(row("A", total_pnl="1000"), row("C")))
    assert view.place_of("B") is None
    engine = view.engine("A")
    assert engine is not None
    assert len(engine.pnl) == SAMPLES
    assert engine.pnl[-1] == 1000.0
    assert view.total == 2


@pytest.mark.parametrize("width", [1, 20, 60, 80, 160, 300])
def test_every_line_has_the_width_of_its_head(width: int) -> None:
    """Whatever is in the cells."""
    view = ViewModel()
    view.take(document(row("A" * 40, total_pnl="-123456789.5", position="0.000012345678")))
    head, line = view.head(width), view.line(0, width)
    assert [len(cell) for cell, _ in head] == [len(cell) for cell, _ in line]


members = st.dictionaries(
    st.sampled_from(
        [*row("A"), "stale", "blocks", "denials", "heartbeat_age", "waiting_for", "open_order"]
    ),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.lists(st.text(max_size=3), max_size=2)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@given(st.lists(members, max_size=3), members)
def test_no_document_breaks_it(rows: list[dict[str, Any]], head: dict[str, Any]) -> None:
    """A fleet of another version, or a lying one: text that is harmless, never an error."""
    view = ViewModel()
    view.take(cast(FleetStatus, {**head, "engines": rows}))
    for column in COLUMNS:
        view.sort_by(column)
        for place in range(len(view)):
            assert text(view, place).isprintable()
    pieces = fleet_line(view.document) + count_line(view.document, 0, "x")
    for each in rows:
        engine = view.engine(str(each.get("symbol")))
        assert engine is not None
        pieces += [(piece.strip("\n"), tone) for piece, tone in engine_pieces(engine)]
    assert all(piece.isprintable() for piece, _ in pieces)


def test_the_pane_shows_what_rests() -> None:
    """An engine without a position may be waiting for its price."""
    rests = {"side": "BUY", "quantity": "20", "price": "99.5", "filled": "5"}
    view = ViewModel()
    view.take(document(row("A", open_order=rests), row("B", open_order=None)))
    texts = []
    for symbol in ("A", "B"):
        engine = view.engine(symbol)
        assert engine is not None
        texts.append("".join(piece for piece, _ in engine_pieces(engine)))
    assert "resting BUY 20 at 99.5, 5 filled" in texts[0]
    assert "resting" not in texts[1]


def test_escapes_are_shown_and_not_obeyed() -> None:
    """In the table, in the pane, in the details and in the question."""
    nasty = "\x1b[2J\u202e[red]"
    view = ViewModel()
    view.take(document(row("A", last_error=nasty), trading_state="halted", trading_reason=nasty))
    assert "\\x1b[2J\\u202e[red]" in text(view, 0, 200)
    assert ("HALTED", "alarm") in fleet_line(view.document)
    history = {"symbol": "A", "incidents": [{"error": nasty, "traceback": f"x\n{nasty}"}]}
    details = details_pieces(
        cast(History, history),
        [{"ts": "t", "symbol": "A", "event": "crashed", "text": nasty, "level": "error"}],
    )
    assert "\x1b" not in "".join(piece for piece, _ in details)
    assert details_pieces("no journal", [])[-1] == ("no journal", "bad")


@pytest.mark.parametrize(
    ("value", "shown_as"),
    [
        ("12.75", "+12.75"),
        ("-0.004", "0.00"),
        ("0.006", "+0.01"),
        ("0", "0"),
        ("1234567", "+1.23M"),
        ("-5e9", "-5.00G"),
        ("1e30", "+1.00e+30"),
        (True, "-"),
        ("inf", "-"),
        ([], "-"),
    ],
)
def test_money_is_short(value: object, shown_as: str) -> None:
    """At most nine characters up to a billion, with its sign."""
    assert money(number(value)) == shown_as


def test_a_course_reads_from_left_to_right() -> None:
    """The newest at the right, as high as it is; more samples than room are thinned."""
    assert sparkline([], 4) == "    "
    assert sparkline([1.0, 1.0], 4) == "  ▁▁"
    assert sparkline([0.0, 7.0], 2) == "▁█"
    assert sparkline([float(n) for n in range(80)], 8) == "▁▂▃▄▅▆▇█"


def test_a_crash_says_when_it_is_over() -> None:
    """As `levi ctl status` does."""
    view = ViewModel()
    view.take(document(row("A", status="crashed", next_restart_in=1.7, last_error="ValueError")))
    assert "restart in 1.7s: ValueError" in text(view, 0)


def test_every_action_says_what_it_does_to_what() -> None:
    """The question names the symbol or the fleet; what is sent names the same."""
    held = row("SOLUSDT", incarnation=3, position="0.5")
    whole = document(held, trading_state="halted", trading_reason="news")
    for action in ACTIONS:
        intent = Intent(action=action, symbol=None if action.of_fleet else "SOLUSDT")
        question = describe(intent, whole, held)
        assert ("whole fleet demo" in question.lower()) == action.of_fleet
        assert ("SOLUSDT" in question) != action.of_fleet
        assert intent.params.get("symbols") == (None if action.of_fleet else ["SOLUSDT"])
    restart = Intent(action=ACTIONS[0], symbol="SOLUSDT")
    assert "incarnation 3" in describe(restart, whole, held)
    assert outcome(restart, {"results": [{"status": "restarted"}]}) == "SOLUSDT: restarted"
    halt = Intent(action=ACTIONS[-2], symbol=None)
    assert outcome(halt, {"trading_state": "halted"}) == "trading is halted"


def test_looking_takes_little_and_retrying_is_bounded() -> None:
    """Once a second, rarer when an answer takes long; retries from half a second to five."""
    assert pause_after(0.01) == pytest.approx(0.99)
    assert pause_after(0.6) == pytest.approx(1.2)
    assert [retry_after(n) for n in (1, 2, 3, 4, 5, 10_000)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


@pytest.mark.parametrize("answer", [None, [], {}, {"engines": 1}, {"engines": [1]}])
def test_what_is_no_status_is_refused(answer: object) -> None:
    """An answer of any other shape is refused."""
    with pytest.raises(ControlError, match="no status document"):
        check_document(answer)


def test_real_orders_are_not_to_be_missed() -> None:
    """LIVE beside the name, in alarm; a test network says which; paper is dim."""

    def pieces(**members: str) -> list[tuple[str, str]]:
        return fleet_line(document(row("A"), **members))[:4]

    assert (" LIVE ", "alarm") in pieces(mode="live", orders_to="Binance production")
    testnet = pieces(mode="live", orders_to="Binance testnet")
    assert (" LIVE ", "alarm") in testnet
    assert (" Binance testnet", "bad") in testnet
    assert ("paper", "dim") in pieces(mode="paper", orders_to="paper")
    assert all("paper" not in text for text, _ in pieces())


def test_columns_and_facts_are_members_of_the_document() -> None:
    """A member that was renamed would leave its column empty for ever."""
    members = get_type_hints(EngineStatus).keys()
    assert {column.key for column in COLUMNS} <= members
    assert {key for key, _ in _FACTS} <= members
    assert set(STATES) <= get_type_hints(FleetStatus).keys()
