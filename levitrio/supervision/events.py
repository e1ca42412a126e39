"""Event values that a supervisor reports, and the protocol that makes its decisions durable."""

from typing import Protocol

import attrs
import msgspec

from levitrio.supervision.crash import Crash
from levitrio.supervision.lifecycle import State, Wanted
from levitrio.supervision.restart import Decision


class StateChanged(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A child moved to another state."""

    name: str
    incarnation: int
    old: State
    new: State
    reason: str = ""


class ChildCrashed(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An incarnation crashed, or raised while it was being stopped."""

    name: str
    incarnation: int
    crash: Crash
    decision: Decision | None
    """Restart or give up; None when it was being stopped, and the crash does not count."""
    delay: float | None
    """Seconds until the restart, the pause of the breaker included; None when there is none."""


@attrs.frozen(kw_only=True)
class GaveUp:
    """A child is `failed`; this was recorded first."""

    name: str
    incarnation: int
    reason: str


@attrs.frozen(kw_only=True)
class ChildStuck:
    """An incarnation has not ended within its grace; it still holds its resources."""

    name: str
    incarnation: int
    grace: float
    """Seconds it had to end."""
    place: str
    """Where its code waits, as `file:line in function`; may be empty."""


@attrs.frozen(kw_only=True)
class BreakerTripped:
    """So many children crashed together that the cause is common; restarts are held back."""

    wave: int
    """Number of this wave in its series, from 1."""
    children: int
    """Number of children in the fleet."""
    pause: float
    """Seconds for which automatic restarts are held back."""


@attrs.frozen(kw_only=True)
class RecordFailed:
    """A give-up could not be made durable; the child is `failed` all the same."""

    name: str
    error: str


SupervisionEvent = StateChanged | ChildCrashed | GaveUp | ChildStuck | BreakerTripped | RecordFailed


class Recorder(Protocol):
    """Makes wanted states, give-ups and crashes durable. Only the supervisor calls it.

    The async methods return once the record is durable.

    Raises:
        LevitrioError: from an async method, the record cannot be made durable. A command then
            changes nothing; a give-up is carried out unrecorded.
    """

    async def wanted(self, name: str, wanted: Wanted) -> None:
        """Called before `wanted` changes and before the command is acknowledged."""

    async def failed(self, name: str, reason: str | None) -> None:
        """Called before a child is given up, and with None before it is reset."""

    def crashed(self, event: ChildCrashed) -> None:
        """Called at each crash, before the restart: must neither block nor raise."""
