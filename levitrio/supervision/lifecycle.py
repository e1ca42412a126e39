"""The life of a child: its states, what may be wanted of it, and every legal move.

Rules:

- A child is in exactly one state. A move that is not in `TRANSITIONS` is a bug and fails.
- An incarnation lives only in `LIVE` states, in `stopping`, and in `stuck`.
- Every ending that nobody asked for goes through `crashed`: a child is `failed` only because
  a crash was answered with giving up, and is launched again only from `starting`.
- `starting` covers the wait for the children named in `after`, so it may end in `stopped`
  without anything ever having run.
- Nothing leads from `stuck` to a launch but the end of what is stuck.
- What is wanted is level, not edge: asking twice for the same thing is asking once.
"""

from collections.abc import Mapping
from enum import StrEnum

from levitrio.errors import LevitrioError


class State(StrEnum):
    # Enum's own is written in Python, and a restart looks a state up ten times.
    __hash__ = str.__hash__

    STOPPED = "stopped"
    STARTING = "starting"
    """Waits for those it starts after, or is launched and has not said that it runs."""
    RUNNING = "running"
    PAUSED = "paused"
    """Alive, opens nothing new; what that means is the business of whoever runs it."""
    STOPPING = "stopping"
    """Told to end, within its grace."""
    CRASHED = "crashed"
    """Waits for its restart."""
    FAILED = "failed"
    """Given up; only a reset helps."""
    STUCK = "stuck"
    """Told to end, and has not obeyed within its grace."""


class Wanted(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


LIVE = frozenset({State.STARTING, State.RUNNING, State.PAUSED})
"""An incarnation is at work, or about to be, and nobody told it to end."""

UP = frozenset({State.RUNNING, State.PAUSED})
"""Those that start after this child may start."""

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
    """A child was moved along an edge that does not exist: a bug of the supervisor."""


def check_transition(old: State, new: State) -> None:
    """Raise `IllegalTransition` unless the table knows the move."""
    if new not in TRANSITIONS[old]:
        known = ", ".join(sorted(TRANSITIONS[old])) or "nothing"
        raise IllegalTransition(f"from {old}: expected {known}, got {new}")


def is_as_wanted(state: State, wanted: Wanted) -> bool:
    """Whether the operator's wish is fulfilled. `starting` never counts as running."""
    return state in _AS_WANTED[wanted]
