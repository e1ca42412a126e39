"""What a supervisor tells: frozen event values, and the record it asks to be kept."""

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
    """An incarnation ended in a way nobody asked for."""

    name: str
    incarnation: int
    crash: Crash
    decision: Decision | None
    """None: it was being stopped anyway, and the crash does not count."""
    delay: float | None
    """Seconds until its restart, the fleet's pause included; None when there will be none."""


@attrs.frozen(kw_only=True)
class GaveUp:
    """A child is `failed`, and the record of it was made first."""

    name: str
    incarnation: int
    reason: str


@attrs.frozen(kw_only=True)
class ChildStuck:
    """An incarnation has not obeyed within its grace. Whatever it holds, it still holds."""

    name: str
    incarnation: int
    grace: float
    """Seconds it was given."""
    place: str
    """Where its code waits, as `file:line in function`; may be empty."""


@attrs.frozen(kw_only=True)
class BreakerTripped:
    """So many children crashed together that the cause is common."""

    wave: int
    """The how-manieth in this storm, from 1."""
    children: int
    """Size of the fleet."""
    pause: float
    """Seconds for which automatic restarts rest."""


@attrs.frozen(kw_only=True)
class RecordFailed:
    """A give-up could not be made durable; the child is `failed` all the same."""

    name: str
    error: str


SupervisionEvent = StateChanged | ChildCrashed | GaveUp | ChildStuck | BreakerTripped | RecordFailed


class Recorder(Protocol):
    """Keeps what must survive the process. The supervisor is its only caller.

    The async methods return once the record is durable and raise a `LevitrioError` when it
    cannot be: a command then changes nothing, a give-up is carried out unrecorded.
    """

    async def wanted(self, name: str, wanted: Wanted) -> None:
        """Called before `wanted` changes and before the command is acknowledged."""

    async def failed(self, name: str, reason: str | None) -> None:
        """Called before a child is given up, and with None before it is reset."""

    def crashed(self, event: ChildCrashed) -> None:
        """Called at each crash, on the way of the restart: must neither block nor raise."""
