"""The two lines above the table and the pane below it, as text with tones. Pure."""

from collections.abc import Mapping, Sequence

from levitrio.cli.formatting import describe_incidents
from levitrio.cli.log_reader import LogRecord
from levitrio.cli.log_reader import describe as describe_record
from levitrio.cli.status import STATES
from levitrio.cli.terminal import duration, neutral
from levitrio.cli.top.columns import TONES, EngineRow, money, number
from levitrio.control.answers import History
from levitrio.control.status_document import FleetStatus

Piece = tuple[str, str]
"""Text and tone."""


def fleet_line(document: FleetStatus) -> list[Piece]:
    """The first line: fleet, mode, trading state, equity, PnL and drawdown."""
    state = neutral(document.get("trading_state", "-"))
    daily, drawdown = number(document.get("daily_pnl")), number(document.get("drawdown"))
    equity = number(document.get("equity"))
    pieces = [
        (neutral(document.get("fleet", "-")), "title"),
        *_orders(document),
        ("  trading ", "dim"),
        (state.upper() if state != "active" else state, TONES.get(state, "plain")),
    ]
    if state != "active" and document.get("trading_reason"):
        pieces.append((f" ({neutral(document['trading_reason'])[:40]})", "dim"))
    pieces += [
        ("  equity ", "dim"),
        ("-" if equity is None else f"{equity:.2f}", "plain"),
        ("  today ", "dim"),
        (money(daily), "plain" if not daily else "good" if daily > 0 else "bad"),
        ("  drawdown ", "dim"),
        ("-" if drawdown is None else f"{drawdown:.2%}", "plain"),
    ]
    return pieces


def _orders(document: FleetStatus) -> list[Piece]:
    """The receiver of orders; real orders are marked LIVE."""
    mode = document.get("mode")
    if mode == "live":
        return [("  ", "plain"), (" LIVE ", "alarm"), *_venue(document)]
    return [("  ", "plain"), (neutral(mode), "dim")] if mode else []


def _venue(document: FleetStatus) -> list[Piece]:
    to = neutral(document.get("orders_to", ""))
    # The line is short, so only a test network is named.
    return [(f" {to}", "bad")] if to and not to.endswith("production") else []


def count_line(document: FleetStatus, shown: int, filtered: str) -> list[Piece]:
    """The second line: engines by state, and the filter."""
    total = document.get("total", 0)
    pieces: list[Piece] = [(f"{neutral(total)} engines", "plain")]
    for state in STATES:
        count = document.get(state)
        if count:
            pieces += [("  ", "plain"), (f"{neutral(count)} {state}", TONES.get(state, "plain"))]
    if filtered:
        pieces += [("  filter ", "dim"), (filtered, "title"), (f" shows {shown}", "dim")]
    return pieces


_FACTS = (
    ("wanted", "wanted"),
    ("incarnation", "incarnation"),
    ("restarts", "restarts"),
    ("strategy", "strategy"),
    ("price", "price"),
    ("position", "position"),
    ("average_entry", "entry"),
    ("unrealized_pnl", "unrealized"),
    ("realized_pnl", "realized"),
    ("daily_pnl", "today"),
    ("total_pnl", "total"),
    ("trade_count", "trades"),
    ("ticks", "ticks"),
    ("ticks_dropped", "dropped"),
    ("error_count", "errors"),
)


def engine_pieces(engine: EngineRow) -> list[Piece]:
    """The members of an engine that the table does not show."""
    status = engine.text("status")
    pieces: list[Piece] = [
        (engine.text("symbol"), "title"),
        ("  ", "plain"),
        (status, TONES.get(status, "plain")),
    ]
    for key, name in _FACTS:
        pieces += [(f"  {name} ", "dim"), (engine.text(key), "plain")]
    beat, age = engine.row.get("heartbeat_age"), engine.row.get("data_age")
    pieces += [("  heartbeat ", "dim"), (duration(beat), "plain")]
    pieces += [("  data ", "dim"), (duration(age), "plain")]
    resting = engine.row.get("open_order")
    if isinstance(resting, Mapping):
        side, filled, quantity, price = (
            neutral(resting.get(key, "-")) for key in ("side", "filled", "quantity", "price")
        )
        text = f"{side} {quantity} at {price}, {filled} filled"
        pieces += [("  resting ", "dim"), (text, "plain")]
    for key in ("denials", "dropped_input"):
        counts = engine.row.get(key)
        if isinstance(counts, Mapping) and counts:
            text = ", ".join(f"{neutral(k)} {neutral(v)}" for k, v in counts.items())
            pieces += [(f"  {key.replace('_', ' ')} ", "dim"), (text, "warning")]
    for key, name in (("blocks", "blocked by"), ("waiting_for", "waiting for")):
        found = engine.row.get(key)
        if isinstance(found, Sequence) and not isinstance(found, str) and found:
            pieces += [(f"  {name} ", "dim"), (neutral(", ".join(map(str, found))), "warning")]
    if engine.row.get("last_error"):
        pieces += [("\nlast error ", "dim"), (engine.text("last_error"), "bad")]
    return pieces


def details_pieces(history: History | str, records: Sequence[LogRecord]) -> list[Piece]:
    """The last lines of the engine's log, then its incidents, each newest first."""
    pieces: list[Piece] = [("log, newest first\n", "dim")]
    for record in reversed(records):
        bad = record.get("level") in ("error", "critical")
        pieces.append((f"{describe_record(record)}\n", "bad" if bad else "plain"))
    if not records:
        pieces.append(("no line yet\n", "plain"))
    pieces.append(("incidents, newest first\n", "dim"))
    if isinstance(history, str):
        return [*pieces, (neutral(history), "bad")]
    incidents = describe_incidents(history)
    return pieces + [(f"{line}\n", "plain" if line[:1] == " " else "bad") for line in incidents]
