"""How a `levi ctl` command ends: its exit code, and its error as text or as JSON."""

import json

from levitrio.cli import terminal
from levitrio.control import error_codes
from levitrio.control.client import FleetRefused
from levitrio.errors import ConfigError, ControlError, FleetUnreachable, LevitrioError, UsageError

FINE = 0
FAILED = 1
USAGE = 2
NOT_AS_WANTED = 3
UNREACHABLE = 4

_USAGE_CODES = {
    error_codes.INVALID_REQUEST,
    error_codes.INVALID_PARAMS,
    error_codes.TOO_LARGE,
    error_codes.UNKNOWN_SYMBOL,
}


def exit_code(error: LevitrioError) -> int:
    """The exit code of contracts.md for an error."""
    if isinstance(error, FleetUnreachable):
        return UNREACHABLE
    if isinstance(error, UsageError):
        return USAGE
    if isinstance(error, ControlError) and error.code in _USAGE_CODES:
        return USAGE
    return FAILED


def _lines(error: LevitrioError) -> list[str]:
    """One, but for what a fleet says of a whole file."""
    return str(error).split("\n") if isinstance(error, ControlError) else [str(error)]


def report(error: LevitrioError, *, as_json: bool, is_status: bool = False) -> int:
    """Tell the error where the caller looks for it, and return the exit code."""
    hint = getattr(error, "hint", "")
    code = exit_code(error)
    if not as_json:
        # What is wrong with a fleet.toml is told at once, each on a line of its own.
        *texts, last = error.problems if isinstance(error, ConfigError) else _lines(error)
        for text in texts:
            terminal.complain(text)
        terminal.complain(last, hint)
        return code
    document: dict[str, object]
    if is_status:
        reachable = isinstance(error, ControlError)  # it was the fleet that said no
        document = {"schema": 1, "reachable": reachable, "error": str(error)}
        if hint:
            document["hint"] = hint
    else:
        body: dict[str, object] = {"message": str(error), "hint": hint}
        if isinstance(error, ControlError):
            body["code"] = error.code
        if isinstance(error, FleetRefused):
            body.update(error.data)
        document = {"ok": False, "error": body}
    terminal.write(json.dumps(document))
    return code
