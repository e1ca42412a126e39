"""Tab completion for the shell: symbols of the running fleet, fleets, strategies.

The shell waits for it at each press of Tab, so it prints nothing and gives up quickly: without
an answer in time it offers nothing.
"""

from pathlib import Path

import typer

from levitrio.control.client import ControlClient, find_socket
from levitrio.control.protocol import printable
from levitrio.errors import LevitrioError

PATIENCE = 0.5
"""Seconds to wait for the fleet; a person who presses Tab waits no longer."""


def symbols(context: typer.Context, incomplete: str) -> list[str]:
    """The symbols of the fleet that begin with `incomplete`, without those already named."""
    named = {_normal(word) for word in context.params.get("symbols") or ()}
    begin = _normal(incomplete)
    rests = [
        symbol[len(begin) :]
        for symbol in _live(context)
        if symbol.startswith(begin) and symbol not in named
    ]
    # A shell accepts only completions that begin with exactly the typed letters.
    return [incomplete + (rest.lower() if incomplete.islower() else rest) for rest in rests]


def fleets(incomplete: str) -> list[str]:
    """The fleets of this user that have a socket."""
    from levitrio.control import paths

    try:
        found = sorted(path.stem for path in Path(paths.run_directory()).glob("*.sock"))
    except OSError:
        return []
    return [name for name in found if name.startswith(incomplete)]


def strategies(incomplete: str) -> list[str]:
    """The built-in strategies."""
    from levitrio.strategies.catalog import BUILT_IN

    return [name for name in BUILT_IN if name.startswith(incomplete)]


def _normal(word: str) -> str:
    return word.upper().replace("/", "").replace("-", "")


def _live(context: typer.Context) -> list[str]:
    socket, fleet = context.params.get("socket"), context.params.get("fleet")
    above = context.parent.params if context.parent is not None else {}
    try:
        path = find_socket(socket or above.get("socket"), fleet or above.get("fleet"))
        with ControlClient(path, PATIENCE) as client:
            answer = client.call("status")
    except LevitrioError:
        return []
    rows = answer.get("engines", ()) if isinstance(answer, dict) else ()
    found = [str(row.get("symbol")) for row in rows if isinstance(row, dict)]
    return [symbol for symbol in found if printable(symbol) == symbol]
