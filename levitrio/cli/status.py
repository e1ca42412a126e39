"""`levi ctl status`: a table for people, one JSON document for scripts. Imports little.

The exit code is 0 when every selected engine is as wanted, 3 when one is not.
"""

import json
import time
from collections.abc import Sequence

from levitrio.cli import exit_codes, terminal
from levitrio.control.client import TIMEOUT, ControlClient, find_socket
from levitrio.errors import LevitrioError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from levitrio.control.status_document import EngineStatus, FleetStatus

STATES = ("starting", "running", "paused", "stopping", "crashed", "failed", "stopped", "stuck")
_HEADER = (
    "SYMBOL",
    "STATUS",
    "WANTED",
    "INC",
    "RESTARTS",
    "UPTIME",
    "POSITION",
    "PNL",
    "LAST ERROR",
)


def run_status(
    symbols: Sequence[str] = (),
    *,
    as_json: bool = False,
    watch: bool = False,
    socket_path: str | None = None,
    fleet: str | None = None,
    timeout: float = TIMEOUT,
) -> int:
    """Print the status once, or each second until Ctrl-C.

    Args:
        symbols: Symbols or globs; none selects every engine.
        as_json: Print the status document instead of a table.
        watch: Repeat each second.
        socket_path: The control socket; see `find_socket`.
        fleet: The name of the fleet; see `find_socket`.
        timeout: Seconds to wait for the answer.

    Returns:
        The exit code.
    """
    try:
        if watch and as_json:
            raise UsageError("--watch is for people; for scripts repeat status --json")
        expect_symbols(symbols)
        path = find_socket(socket_path, fleet)
        document = fetch(path, symbols, timeout)
        if watch:
            return _watch(path, symbols, timeout, document)
    except LevitrioError as error:
        return exit_codes.report(error, as_json=as_json, is_status=True)
    if as_json:
        terminal.write(json.dumps(document))
    else:
        terminal.write("\n".join(describe(document)))
    return exit_codes.FINE if is_as_wanted(document) else exit_codes.NOT_AS_WANTED


def expect_symbols(words: Sequence[str]) -> None:
    """Check that words can be sent as symbols; the fleet checks the rest.

    Raises:
        UsageError: A word is blank or no valid text.
    """
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            sendable = False
        else:
            sendable = bool(word.strip())
        if not sendable:
            raise UsageError(f"expected a symbol such as BTCUSDT, or a glob, got {word!a}")


def fetch(path: str, symbols: Sequence[str], timeout: float) -> "FleetStatus":
    """The status document of the fleet at `path`."""
    with ControlClient(path, timeout) as client:
        document: FleetStatus = client.call("status", {"symbols": list(symbols)})
    return document


def is_as_wanted(document: "FleetStatus") -> bool:
    """Whether every engine is as wanted; an engine the operator stopped is."""
    return all(engine.get("status") == engine.get("wanted") for engine in document["engines"])


def describe(document: "FleetStatus") -> list[str]:
    """The table as lines: one per engine, then a summary."""
    engines = document["engines"]
    rows = [_row(engine) for engine in engines]
    lines = terminal.table(_HEADER, rows, states=1) if rows else []
    counts = ", ".join(f"{count} {state}" for state in STATES if (count := document.get(state)))
    colour = terminal.uses_colour()
    trading = terminal.paint(terminal.neutral(document.get("trading_state", "-")), 0, colour=colour)
    lines.append(
        f"{terminal.neutral(document.get('fleet', '-'))}: {_orders(document, colour=colour)}"
        f"{counts or 'no engine'}"
        f" of {document.get('total', len(engines))}"
        f"; trading {trading}; equity {terminal.neutral(document.get('equity', '-'))}"
        f"; pid {terminal.neutral(document.get('pid', '-'))}"
    )
    return lines


def _orders(document: "FleetStatus", *, colour: bool) -> str:
    """The receiver of orders; real orders are marked LIVE."""
    mode, to = document.get("mode"), terminal.neutral(document.get("orders_to", ""))
    if mode == "live":
        return f"{terminal.paint('LIVE', 0, colour=colour)} orders to {to or 'the exchange'}; "
    return f"{terminal.neutral(mode)} orders; " if mode else ""


def _row(engine: "EngineStatus") -> tuple[str, ...]:
    status = terminal.neutral(engine.get("status", "-"))
    error = terminal.neutral(engine.get("last_error") or "")
    wait = engine.get("next_restart_in")
    if status == "crashed" and isinstance(wait, int | float):
        error = f"restart in {terminal.duration(wait)}: {error}"
    if blocks := engine.get("blocks"):
        # The engine runs, but no order of its symbol is sent; docs/orders.md says what to do.
        blocked = f"no order leaves: {', '.join(map(terminal.neutral, blocks))}"
        error = f"{blocked}; {error}" if error else blocked
    return (
        terminal.neutral(engine.get("symbol", "-")),
        status,
        terminal.neutral(engine.get("wanted", "-")),
        terminal.neutral(engine.get("incarnation", "-")),
        terminal.neutral(engine.get("restarts", "-")),
        terminal.duration(engine.get("uptime_seconds")),
        _position(engine),
        terminal.neutral(engine.get("total_pnl", "-")),
        error,
    )


def _position(engine: "EngineStatus") -> str:
    """The position, and the entry order that rests."""
    held = terminal.neutral(engine.get("position", "-"))
    resting = engine.get("open_order")
    if not isinstance(resting, dict):
        return held
    filled, quantity, price = (
        terminal.neutral(resting.get(key, "-")) for key in ("filled", "quantity", "price")
    )
    return f"{held} ({filled} of {quantity} at {price})"


def _watch(path: str, symbols: Sequence[str], timeout: float, document: "FleetStatus") -> int:
    """Redraw each second; shows the error while the fleet does not answer."""
    lines = describe(document)
    due = time.monotonic()
    try:
        while True:
            clear = "\x1b[H\x1b[2J" if terminal.is_terminal() else ""
            terminal.write(clear + "\n".join(lines))
            due = max(
                due + 1.0, time.monotonic()
            )  # without drift, and without a burst after a stall
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                lines = describe(fetch(path, symbols, timeout))
            except LevitrioError as error:
                lines = [terminal.neutral(str(error))]
    except KeyboardInterrupt:
        return exit_codes.FINE
