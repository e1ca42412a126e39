"""Which living children are over a limit, and which are not."""

from collections.abc import Callable

import trio
from trio.testing import MockClock

from levitrio.supervision.events import ChildCrashed
from levitrio.supervision.health import HealthLimits
from levitrio.supervision.lifecycle import State
from levitrio.supervision.restart import RestartPolicy
from tests.supervision.scripted import Incarnation, World, running, settled


def causes(world: World) -> list[str]:
    return [event.crash.cause for event in world.of(ChildCrashed)]


async def test_a_lost_heartbeat_is_a_crash(autojump_clock: MockClock) -> None:
    """After the timeout, and not before, the silent one is replaced by the restart policy."""
    world = World()
    supervisor = world.supervisor()
    supervisor.add("A")
    supervisor.add("B")
    async with running(supervisor):
        world.living["A"].silent = True
        child = supervisor.children["A"]
        await trio.sleep(59.5)
        assert child.incarnation == 1
        assert child.heartbeat_age == 59.5
        await trio.sleep(3)
        assert (child.state, child.incarnation) == (State.RUNNING, 2)
        assert child.last_error.startswith("HeartbeatLost: no sign of life for 6")
        assert len(child.crashes.times) == 1
        assert supervisor.children["B"].incarnation == 1
        assert causes(world) == ["heartbeat"]


async def test_too_many_absorbed_errors_are_a_crash(autojump_clock: MockClock) -> None:
    """The limit itself is still fine."""
    world = World()
    supervisor = world.supervisor(health=HealthLimits(max_errors=3))
    supervisor.add("A")
    async with running(supervisor):
        child = supervisor.children["A"]
        world.living["A"].error_count = 3
        await trio.sleep(5)
        assert (child.incarnation, child.error_count) == (1, 3)
        world.living["A"].error_count = 4
        await trio.sleep(2)
        assert (child.incarnation, child.error_count) == (2, 0)
        assert causes(world) == ["errors"]


async def test_any_other_ailment_is_a_crash(autojump_clock: MockClock) -> None:
    """The reported problem is the text of the crash, and it repeats until given up."""
    world = World()
    supervisor = world.supervisor(
        health_problem=lambda name, _: "no data for 31 s" if name == "A" else None,
        policy=RestartPolicy(max_restarts=2),
    )
    supervisor.add("A")
    supervisor.add("B")
    async with running(supervisor):
        child = supervisor.children["A"]
        await child.wait_until(lambda: child.state is State.FAILED)
        assert supervisor.children["A"].last_error == "Stale: no data for 31 s"
        assert causes(world) == ["stale"] * 3
        assert supervisor.children["B"].incarnation == 1
        assert not await supervisor.wait_as_wanted("A", timeout=1)


async def test_one_that_never_says_it_runs(autojump_clock: MockClock) -> None:
    """The start has its own limit; waiting for others does not count."""
    world = World()

    async def slow(incarnation: Incarnation, started: Callable[[], None]) -> None:
        if incarnation.number == 1:
            await trio.sleep_forever()
        started()

    world.scripts["A"] = slow
    supervisor = world.supervisor(health=HealthLimits(start_timeout=10.0))
    supervisor.add("A")
    supervisor.add("B", after=["A"])
    async with running(supervisor):
        await trio.sleep(9)
        assert supervisor.children["A"].state is State.STARTING
        await trio.sleep(3)
        assert [c.incarnation for c in supervisor.children.values()] == [2, 1]
        assert causes(world) == ["start_timeout"]


async def test_no_alarm_when_the_machine_was_busy(mock_clock: MockClock) -> None:
    """When the check itself came late, each child gets the whole timeout again."""
    world = World()
    supervisor = world.supervisor()
    supervisor.add("A")
    async with running(supervisor):
        child = supervisor.children["A"]
        world.living["A"].silent = True
        mock_clock.jump(500.0)
        await settled()
        assert child.incarnation == 1
        for _ in range(59):
            mock_clock.jump(1.0)
            await settled()
        assert child.incarnation == 1
        for _ in range(3):
            mock_clock.jump(1.0)
            await settled()
        assert child.incarnation == 2


async def test_stopped_while_it_was_ended_as_unhealthy(autojump_clock: MockClock) -> None:
    """The incident is on record, the operator's wish is fulfilled, nothing starts again."""
    world = World()
    supervisor = world.supervisor()
    supervisor.add("A")
    async with running(supervisor):
        world.living["A"].silent = True
        world.living["A"].slow_stop = 4.0
        child = supervisor.children["A"]
        await child.wait_until(lambda: child.state is State.STOPPING)
        assert await supervisor.stop("A") is None
        await trio.sleep(100)
        assert (child.state, child.incarnation) == (State.STOPPED, 1)
        assert causes(world) == ["heartbeat"]


async def test_many_children_are_examined_in_batches(autojump_clock: MockClock) -> None:
    """A fleet larger than one batch is examined to its end."""
    world = World()
    supervisor = world.supervisor()
    for number in range(600):
        supervisor.add(str(number))
    async with running(supervisor):
        world.living["599"].error_count = 99
        await trio.sleep(2)
        assert supervisor.children["599"].incarnation == 2
