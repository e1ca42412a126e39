"""The transition table, edge by edge."""

from itertools import product

import pytest

from levitrio.supervision.lifecycle import (
    LIVE,
    TRANSITIONS,
    UP,
    IllegalTransition,
    State,
    Wanted,
    check_transition,
    is_as_wanted,
)

LEGAL = {
    ("stopped", "starting"),
    ("starting", "running"),
    ("starting", "paused"),
    ("starting", "stopping"),
    ("starting", "stopped"),
    ("starting", "crashed"),
    ("running", "paused"),
    ("running", "stopping"),
    ("running", "crashed"),
    ("paused", "running"),
    ("paused", "stopping"),
    ("paused", "crashed"),
    ("stopping", "stopped"),
    ("stopping", "crashed"),
    ("stopping", "stuck"),
    ("crashed", "starting"),
    ("crashed", "stopped"),
    ("crashed", "failed"),
    ("failed", "stopped"),
    ("stuck", "stopped"),
    ("stuck", "crashed"),
}


@pytest.mark.parametrize(("old", "new"), list(product(State, State)))
def test_every_pair_is_legal_or_fails(old: State, new: State) -> None:
    """All 64 pairs: those written down here pass, every other raises."""
    if (old.value, new.value) in LEGAL:
        check_transition(old, new)
    else:
        with pytest.raises(IllegalTransition, match=f"from {old}: expected"):
            check_transition(old, new)


def test_every_state_has_a_way_out_and_a_way_in() -> None:
    """No state is a trap and none is unreachable, from `stopped`."""
    reached = {State.STOPPED}
    while new := {to for state in reached for to in TRANSITIONS[state]} - reached:
        reached |= new
    assert reached == set(State)
    assert all(TRANSITIONS[state] for state in State)


def test_every_live_state_can_crash_and_be_stopped() -> None:
    """In each living state an incarnation may crash, and may be cancelled."""
    for state in LIVE:
        assert TRANSITIONS[state] >= {State.CRASHED, State.STOPPING}
    assert UP < LIVE


def test_as_wanted() -> None:
    """Starting is never running, and a failed child counts as stopped when that is wanted."""
    fulfilled = {pair for pair in product(State, Wanted) if is_as_wanted(*pair)}
    assert fulfilled == {
        (State.RUNNING, Wanted.RUNNING),
        (State.PAUSED, Wanted.PAUSED),
        (State.STOPPED, Wanted.STOPPED),
        (State.FAILED, Wanted.STOPPED),
    }
