"""States of a child, its wanted states, and every legal transition.

Rules:

- A child is in exactly one state. A move that is not in `TRANSITIONS` is a bug and fails.
- An incarnation is alive only in `LIVE` states, in `stopping`, and in `stuck`.
- Every unwanted end goes through `crashed`: a child is `failed` only because the restart policy
  gave up after a crash, and is launched only from `starting`.
- `starting` covers the wait for the children named in `after`, so it may end in `stopped`
  without any incarnation having run.
- A stuck child is launched again only after its incarnation has ended.
- The wanted state is level-triggered: setting it twice is setting it once.
"""

from collections.abc import Mapping
from enum import StrEnum

from levitrio.errors import LevitrioError


class State(StrEnum):
    """The state a child is in."""

    # Enum's own `__hash__` is written in Python, and a restart looks a state up ten times.
    __hash__ = str.__hash__

    STOPPED = "stopped"
    STARTING = "starting"
    """Waits for the children it starts after, or is launched and has not called `started()`."""
    RUNNING = "running"
    PAUSED = "paused"
    """Alive, opens nothing new; the incarnation itself decides what that means."""
    STOPPING = "stopping"
    """Cancelled, within its grace."""
    CRASHED = "crashed"
    """Waits for its restart."""
    FAILED = "failed"
    """Given up; only a reset starts it again."""
    STUCK = "stuck"
    """Cancelled, and has not ended within its grace."""


class Wanted(StrEnum):
    """The state the operator wants a child to be in."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


LIVE = frozenset({State.STARTING, State.RUNNING, State.PAUSED})
"""An incarnation runs or is about to, and was not cancelled."""

UP = frozenset({State.RUNNING, State.PAUSED})
"""States of a child in which the children that start after it may start."""

TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.STOPPED: frozenset({State.STARTING}),
    State.STARTING: frozenset(
        {State.RUNNING, State.PAUSED, State.STOPPING, State.STOPPED, State.CRASHED}
    ),
    State.RUNNING: frozenset({State.PAUSED, State.STOPPING, State.CRASHED}),
    State.PAUSED: frozenset({State.RUNNING, State.STOPPING, State.CRASHED}),
    State.STOPPING: frozenset({State.STOPPED, State.CRASHED, State.STUCK}),
    State.CRASHED: frozenset({State.STARTING, State.STOPPED, State.FAILED}),
    State.FAILED: frozenset({State.STOPPED}),
    State.STUCK: frozenset({State.STOPPED, State.CRASHED}),
}

_AS_WANTED: Mapping[Wanted, frozenset[State]] = {
    Wanted.RUNNING: frozenset({State.RUNNING}),
    Wanted.PAUSED: frozenset({State.PAUSED}),
    Wanted.STOPPED: frozenset({State.STOPPED, State.FAILED}),
}


class IllegalTransition(LevitrioError):
    """A child was moved in a way `TRANSITIONS` does not list: a bug of the supervisor."""


def check_transition(old: State, new: State) -> None:
    """Check a move against `TRANSITIONS`.

    Raises:
        IllegalTransition: the table has no such move.
    """
    if new not in TRANSITIONS[old]:
        known = ", ".join(sorted(TRANSITIONS[old])) or "nothing"
        raise IllegalTransition(f"from {old}: expected {known}, got {new}")


def is_as_wanted(state: State, wanted: Wanted) -> bool:
    """Whether a child's state is the wanted one; `starting` never counts as running."""
    return state in _AS_WANTED[wanted]
