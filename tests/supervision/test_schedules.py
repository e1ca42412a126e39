"""Any schedule of commands and faults, over virtual hours, keeps the promises.

The scripted world asserts at most one living incarnation per name and only legal moves, all
the time; the test adds the restart budget and that the wanted state is reached in the end.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from levitrio.errors import UsageError
from levitrio.supervision.circuit_breaker import BreakerPolicy
from levitrio.supervision.health import HealthLimits
from levitrio.supervision.lifecycle import State
from levitrio.supervision.restart import RestartPolicy
from levitrio.supervision.start_order import GroupRule
from levitrio.supervision.supervisor import Supervisor
from tests.supervision.scripted import Ended, World

pytestmark = pytest.mark.long


NAMES = ("A", "B", "C", "D")
POLICY = RestartPolicy(max_restarts=3, window=600.0, stable_after=120.0)

COMMANDS = ("start", "stop", "pause", "resume", "restart", "reset", "remove", "add")
FAULTS = ("crash", "return", "silence", "errors", "stubborn", "slow", "relent")

steps = st.lists(
    st.tuples(
        st.sampled_from(COMMANDS + FAULTS),
        st.sampled_from(NAMES),
        st.sampled_from([0.0, 0.0, 0.01, 1.0, 7.0, 61.0, 601.0]),
    ),
    max_size=40,
)


def fault(world: World, kind: str, name: str) -> None:
    incarnation = world.living.get(name)
    if incarnation is None:
        return
    if kind == "crash":
        incarnation.end(Ended())
    elif kind == "return":
        incarnation.end()
    elif kind == "silence":
        incarnation.silent = True
    elif kind == "errors":
        incarnation.error_count = 99
    elif kind == "stubborn":
        incarnation.stubborn = True
    elif kind == "slow":
        incarnation.slow_stop = 3.0
    elif kind == "relent" and incarnation.stubborn:
        incarnation.end()


async def ask(command: Callable[[str], Awaitable[object]], name: str) -> None:
    # It may be removed before the command begins.
    with suppress(UsageError):
        await command(name)


async def live(schedule: list[tuple[str, str, float]], world: World) -> None:
    supervisor = world.supervisor(
        policy=POLICY,
        health=HealthLimits(heartbeat_timeout=60.0, max_errors=10, start_timeout=10.0),
        breaker=BreakerPolicy(),
        groups={"all": GroupRule.ONE_FOR_ALL, "rest": GroupRule.REST_FOR_ONE},
        chance=lambda: 0.5,
    )
    places: dict[str, dict[str, object]] = {
        "A": {},
        "B": {"after": ["A"]},
        "C": {"group": "all"},
        "D": {"group": "all"},
    }

    def add(name: str) -> None:
        known: dict[str, object] = {"after": []} if "A" not in supervisor.children else {}
        supervisor.add(name, **(places[name] | known))  # type: ignore[arg-type]

    for name in NAMES:
        add(name)
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        for what, name, pause in schedule:
            if what in FAULTS:
                fault(world, what, name)
            elif what == "add":
                if name not in supervisor.children:
                    world.restarts.pop(name, None)
                    world.states.pop(name, None)
                    add(name)
            elif name in supervisor.children:
                command: Callable[[str], Awaitable[object]] = getattr(supervisor, what)
                if what == "reset":
                    world.restarts.pop(name, None)
                nursery.start_soon(ask, command, name)
            await trio.sleep(pause)
        await converge(world, supervisor)
        await supervisor.shutdown()
    assert not world.living
    assert all(
        child.state in (State.STOPPED, State.FAILED) for child in supervisor.children.values()
    )


async def converge(world: World, supervisor: Supervisor) -> None:
    """Once the faults are over, each child reaches its wanted state."""
    for incarnation in tuple(world.living.values()):
        incarnation.error_count = 0
        incarnation.silent = False
        if incarnation.stubborn:
            incarnation.end()
    await trio.sleep(700)
    down = {name for name, child in supervisor.children.items() if not child.is_up}
    for child in supervisor.children.values():
        if child.state is not State.FAILED and not down.intersection(child.after):
            assert child.is_as_wanted, (child.name, child.state, child.wanted)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_any_schedule(schedule: list[tuple[str, str, float]]) -> None:
    """One living incarnation, legal moves, at most N restarts per window, the wish in the end."""
    world = World()
    trio.run(live, schedule, world, clock=trio.testing.MockClock(autojump_threshold=0))
    for times in world.restarts.values():
        for index, first in enumerate(times):
            within = [time for time in times[index:] if time - first < POLICY.window]
            assert len(within) <= POLICY.max_restarts
