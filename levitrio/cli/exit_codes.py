"""Exit codes of `levi`, and how an error is printed: as text or as JSON."""

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
    """The exit code for an error."""
    if isinstance(error, FleetUnreachable):
        return UNREACHABLE
    if isinstance(error, UsageError):
        return USAGE
    if isinstance(error, ControlError) and error.code in _USAGE_CODES:
        return USAGE
    return FAILED


def _lines(error: LevitrioError) -> list[str]:
    """The lines of an error; a refused reload has several, one for each mistake in the file."""
    return str(error).split("\n") if isinstance(error, ControlError) else [str(error)]


def report(error: LevitrioError, *, as_json: bool, is_status: bool = False) -> int:
    """Print an error, as JSON on standard output or as text on standard error.

    Returns:
        The exit code.
    """
    hint = getattr(error, "hint", "")
    code = exit_code(error)
    if not as_json:
        # Every mistake in a fleet.toml is shown at once, each on its own line.
        *texts, last = error.problems if isinstance(error, ConfigError) else _lines(error)
        for text in texts:
            terminal.complain(text)
        terminal.complain(last, hint)
        return code
    document: dict[str, object]
    if is_status:
        reachable = isinstance(error, ControlError)  # the fleet itself refused
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
