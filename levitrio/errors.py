"""Every exception levitrio raises on purpose.

Each text says what was expected and what came. A refusal that is part of normal work
(an order denied by risk, a command refused in this state) is a value, not an exception.
"""


def first_error(error: BaseException) -> BaseException:
    """Return the first error that nurseries have wrapped in groups, or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class LevitrioError(Exception):
    """Base class of every exception levitrio foresees; a bug is none of them."""


class UsageError(LevitrioError):
    """The user asked for something impossible: exit code 2 and one clear message."""


class ConfigError(UsageError):
    """fleet.toml was refused.

    `problems` holds every problem found, as `file:line: key: expected ..., came ...`.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class FleetLocked(LevitrioError):
    """Another process runs this fleet, or holds its data directory: exit code 1."""


class DamagedRecord(LevitrioError):
    """A snapshot or journal on disk cannot be trusted: exit code 1, nothing was changed."""


class JournalUnavailable(LevitrioError):
    """The journal cannot make an entry durable: no order may leave until it can."""


class VenueError(LevitrioError):
    """The venue broke its own protocol, or closed the connection."""


class ControlError(LevitrioError):
    """A control request failed.

    `code` is the JSON-RPC error code, `hint` the next command to type (may be empty).
    """

    def __init__(self, code: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class FleetUnreachable(LevitrioError):
    """No fleet answers on the socket: exit code 4. `hint` is the next command to type."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
