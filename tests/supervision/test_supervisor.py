"""What a supervisor does to its children, one situation at a time, in virtual time."""

from collections.abc import Callable

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from levitrio.errors import JournalUnavailable, UsageError
from levitrio.supervision.child import Child
from levitrio.supervision.circuit_breaker import BreakerPolicy
from levitrio.supervision.events import (
    BreakerTripped,
    ChildCrashed,
    ChildStuck,
    GaveUp,
    RecordFailed,
)
from levitrio.supervision.health import HealthLimits
from levitrio.supervision.lifecycle import State, Wanted
from levitrio.supervision.restart import RestartPolicy
from levitrio.supervision.start_order import GroupRule
from tests.supervision.outcomes import OUTCOMES
from tests.supervision.scripted import Ended, Incarnation, World, running, settled

pytestmark = pytest.mark.filterwarnings("ignore:.*Async generator:ResourceWarning")


def state_of(child: Child) -> State:
    """Its state now; a plain attribute would be remembered by the type checker."""
    return child.state


async def test_a_crash_is_answered_at_once_and_hurts_nobody(autojump_clock: MockClock) -> None:
    """The next incarnation runs without any time passing; the sibling's stays the first."""
    world = World()
    supervisor = world.supervisor()
    supervisor.add("A")
    supervisor.add("B")
    async with running(supervisor):
        await trio.sleep(7)
        began = trio.current_time()
        world.living["A"].end(Ended("boom"))
        await settled()
        assert trio.current_time() == began
        a, b = supervisor.children["A"], supervisor.children["B"]
        assert (a.state, a.incarnation, a.uptime) == (State.RUNNING, 2, 0.0)
        assert (b.state, b.incarnation, b.uptime) == (State.RUNNING, 1, 7.0)
        assert a.last_error == "Ended: boom"
        assert len(a.crashes.times) == 1
    assert world.moves("A") == "starting running crashed starting running stopping stopped"


async def test_a_crash_loop_ends_in_failed(autojump_clock: MockClock) -> None:
    """At once, then with backoff, then given up: recorded before it is visible."""
    world = World(slow=0.5)
    supervisor = world.supervisor()
    supervisor.add("A")
    async with running(supervisor):
        child = supervisor.children["A"]
        began = trio.current_time()
        for delay in (0.0, 1.0, 2.0, 4.0, 8.0):
            world.living["A"].end(Ended())
            await settled()
            if delay:
                assert state_of(child) is State.CRASHED
                assert child.next_restart_in == delay
                await trio.sleep(delay)
                await settled()
            assert state_of(child) is State.RUNNING
        assert [time - began for time in world.restarts["A"]] == [0.0, 1.0, 3.0, 7.0, 15.0]
        world.living["A"].end(Ended())
        await settled()
        assert state_of(child) is State.CRASHED
        assert child.next_restart_in is None
        refusal = await supervisor.restart("A")
        assert refusal is not None
        await trio.sleep(1)
        assert state_of(child) is State.FAILED
        assert world.records[-1] == ("A", "5 restarts within 3600 s, at most 5")
        assert [event.name for event in world.of(GaveUp)] == ["A"]
        assert len(child.crashes.times) == 5


async def test_a_failed_child_needs_a_reset(autojump_clock: MockClock) -> None:
    """Held back from the start, refused by every command but stop, and new after the reset."""
    world = World()
    supervisor = world.supervisor()
    supervisor.add("A", failed="given up yesterday", crashes=[1.0] * 5, last_error="E: x")
    async with running(supervisor):
        child = supervisor.children["A"]
        assert (child.state, child.incarnation, child.last_error) == (State.FAILED, 0, "E: x")
        for command in (supervisor.start, supervisor.restart, supervisor.pause, supervisor.resume):
            refusal = await command("A")
            assert refusal is not None
            assert refusal.hint == "reset"
            assert "yesterday" in refusal.reason
        assert await supervisor.stop("A") is None
        assert state_of(child) is State.FAILED
        assert child.is_as_wanted
        assert await supervisor.reset("A") is None
        assert await supervisor.wait_as_wanted("A")
        assert (child.state, child.wanted, child.incarnation) == (State.RUNNING, "running", 1)
        assert not child.crashes.times
    assert ("A", None) in world.records


async def test_resetting_one_that_is_well_only_forgets(autojump_clock: MockClock) -> None:
    """Its crashes are forgotten and its incarnation stays."""
    world = World()
    supervisor = world.supervisor()
    supervisor.add("A", crashes=[10.0, 20.0])
    async with running(supervisor):
        child = supervisor.children["A"]
        assert len(child.crashes.times) == 2
        assert await supervisor.reset("A") is None
        assert (len(child.crashes.times), child.incarnation) == (0, 1)


async def test_five_restarts_are_one(autojump_clock: MockClock) -> None:
    """However many ask at once: one new incarnation, and it counts against nothing."""
    world = World()
    supervisor = world.supervisor()
    supervisor.add("A")
    async with running(supervisor):
        world.living["A"].slow_stop = 1.0
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(supervisor.restart, "A")
        assert await supervisor.wait_as_wanted("A")
        child = supervisor.children["A"]
        assert (child.incarnation, len(child.crashes.times)) == (2, 0)
    assert world.moves("A") == (
        "starting running stopping stopped starting running stopping stopped"
    )


async def test_stop_start_pause_resume(autojump_clock: MockClock) -> None:
    """Each is durable before it is acknowledged, and what is not possible is refused."""
    world = World(slow=0.1)
    supervisor = world.supervisor()
    supervisor.add("A")
    async with running(supervisor):
        child = supervisor.children["A"]
        assert await supervisor.pause("A") is None
        assert world.records == [("A", "paused")]
        assert state_of(child) is State.PAUSED
        assert await supervisor.restart("A") is None
        assert await supervisor.wait_as_wanted("A")
        assert (child.state, child.incarnation) == (State.PAUSED, 2)
        assert await supervisor.resume("A") is None
        assert state_of(child) is State.RUNNING
        assert await supervisor.stop("A") is None
        assert await supervisor.wait_as_wanted("A")
        assert state_of(child) is State.STOPPED
        assert child.uptime == 0.0
        for command in (supervisor.pause, supervisor.resume):
            refusal = await command("A")
            assert refusal is not None
            assert refusal.hint == "start"
        assert await supervisor.start("A") is None
        assert await supervisor.wait_as_wanted("A")
        assert await supervisor.stop("A") is None
        assert await supervisor.restart("A") is None
        assert await supervisor.wait_as_wanted("A")
        assert child.wanted is Wanted.RUNNING
    with pytest.raises(UsageError, match="expected one of 1 children, got 'X'"):
        await supervisor.start("X")


async def test_a_record_that_fails_changes_nothing(autojump_clock: MockClock) -> None:
    """The error passes, and the child stays as it was; giving up goes on without a record."""
    world = World(unavailable=True)
    supervisor = world.supervisor(policy=RestartPolicy(max_restarts=0))
    supervisor.add("A")
    async with running(supervisor):
        child = supervisor.children["A"]
        with pytest.raises(JournalUnavailable):
            await supervisor.stop("A")
        assert (child.state, child.wanted) == (State.RUNNING, Wanted.RUNNING)
        world.living["A"].end(Ended())
        await settled()
        assert state_of(child) is State.FAILED
        assert len(world.of(RecordFailed)) == 1


# A detached coroutine never gets to its end, so the script could not say that it is dead.
@pytest.mark.parametrize("outcome", sorted(OUTCOMES.keys() - {"task detached"}))
@pytest.mark.parametrize("moment", ["launching", "starting", "running", "again"])
async def test_whatever_comes_out_whenever_it_comes(
    outcome: str, moment: str, autojump_clock: MockClock
) -> None:
    """One incident each time; the child comes back, the sibling never notices."""
    misdeed, kind = OUTCOMES[outcome]
    bad = 2 if moment == "again" else 1
    world = World()

    async def script(incarnation: Incarnation, started: Callable[[], None]) -> None:
        if incarnation.number > bad:
            return started()
        if moment == "starting":
            await trio.sleep(1)
        elif moment == "running":
            started()
            await trio.sleep(1)
        await misdeed()
        return incarnation.end()

    world.scripts["A"] = script
    supervisor = world.supervisor(health=HealthLimits(start_timeout=1e6, heartbeat_timeout=1e6))
    supervisor.add("A")
    supervisor.add("B")
    async with running(supervisor):
        child = supervisor.children["A"]
        await child.wait_until(lambda: child.incarnation > bad and child.is_up)
        assert child.last_error.startswith(kind)
        assert supervisor.children["B"].incarnation == 1
        assert len(world.of(ChildCrashed)) == bad


async def test_stopped_while_waiting_for_its_restart(autojump_clock: MockClock) -> None:
    """In backoff there is nothing to end: it is stopped at once, and nothing starts later."""
    world = World()
    supervisor = world.supervisor()
    supervisor.add("A", crashes=[1.0, 2.0])
    async with running(supervisor):
        world.living["A"].end(Ended())
        await settled()
        child = supervisor.children["A"]
        assert (child.state, child.next_restart_in) == (State.CRASHED, 2.0)
        await supervisor.stop("A")
        await settled()
        assert state_of(child) is State.STOPPED
        await trio.sleep(100)
        assert child.incarnation == 1


async def test_restart_skips_the_backoff(autojump_clock: MockClock) -> None:
    """The operator knows better than the policy."""
    world = World()
    supervisor = world.supervisor()
    supervisor.add("A", crashes=[1.0, 2.0])
    async with running(supervisor):
        world.living["A"].end(Ended())
        await settled()
        await supervisor.restart("A")
        await settled()
        assert state_of(supervisor.children["A"]) is State.RUNNING


async def test_a_crash_while_stopping_does_not_count(autojump_clock: MockClock) -> None:
    """It is reported as a crash without a decision, and the child is stopped."""
    world = World()

    async def script(_: Incarnation, started: Callable[[], None]) -> None:
        started()
        try:
            await trio.sleep_forever()
        finally:
            raise Ended("on the way out")

    world.scripts["A"] = script
    supervisor = world.supervisor()
    supervisor.add("A")
    async with running(supervisor):
        await supervisor.stop("A")
        await settled()
        child = supervisor.children["A"]
        assert state_of(child) is State.STOPPED
        assert child.last_error == "Ended: on the way out"
        assert not child.crashes.times
    assert [event.decision for event in world.of(ChildCrashed)] == [None]


async def test_one_that_does_not_obey_is_stuck(autojump_clock: MockClock) -> None:
    """Said after the grace, with its place; started again only once the old one has ended."""
    world = World()
    supervisor = world.supervisor(grace=5.0)
    supervisor.add("A")
    supervisor.add("B")
    async with running(supervisor):
        stubborn = world.living["A"]
        stubborn.stubborn = True
        await supervisor.restart("A")
        await trio.sleep(4.9)
        child = supervisor.children["A"]
        assert state_of(child) is State.STOPPING
        await trio.sleep(0.2)
        assert state_of(child) is State.STUCK
        (event,) = world.of(ChildStuck)
        assert "in Incarnation.run" in event.place
        await trio.sleep(1_000)
        assert (child.state, child.incarnation) == (State.STUCK, 1)
        stubborn.end()
        await settled()
        assert (child.state, child.incarnation) == (State.RUNNING, 2)


async def test_shutdown_names_what_is_stuck(autojump_clock: MockClock) -> None:
    """All end together within one grace; `run` returns only when nothing is left alive."""
    world = World()
    supervisor = world.supervisor(grace=5.0)
    for name in "ABCDEFGH":
        supervisor.add(name)
    ended = trio.Event()

    async def run() -> None:
        await supervisor.run()
        ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await settled()
        for name in "AB":
            world.living[name].stubborn = True
        for name in "CDEF":
            world.living[name].slow_stop = 4.0
        began = trio.current_time()
        assert await supervisor.shutdown() == ("A", "B")
        assert trio.current_time() - began == 5.0
        assert set(world.living) == {"A", "B"}
        assert state_of(supervisor.children["C"]) is State.STOPPED
        assert supervisor.children["C"].wanted is Wanted.RUNNING
        refusal = await supervisor.start("C")
        assert refusal is not None
        assert await supervisor.stop("C") is not None
        assert await supervisor.reset("C") is not None
        assert await supervisor.shutdown() == ("A", "B")
        await trio.sleep(100)
        assert not ended.is_set()
        for name in "AB":
            world.living[name].end()
        await ended.wait()


async def test_a_second_shutdown_shortens_the_grace(autojump_clock: MockClock) -> None:
    """Both callers get the same answer, at the earlier deadline."""
    world = World()
    supervisor = world.supervisor(grace=60.0)
    supervisor.add("A")
    answers = []

    async def shut(grace: float) -> None:
        answers.append(await supervisor.shutdown(grace))

    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        await settled()
        stubborn = world.living["A"]
        stubborn.stubborn = True
        began = trio.current_time()
        nursery.start_soon(shut, 60.0)
        await trio.sleep(1)
        await shut(1.0)
        await settled()
        assert trio.current_time() - began == 2.0
        assert answers == [("A",), ("A",)]
        stubborn.end()


async def test_cancelled_from_outside(autojump_clock: MockClock) -> None:
    """The children get their grace, what is stuck wastes no core, and nothing is launched."""
    world = World()
    supervisor = world.supervisor(grace=5.0)
    supervisor.add("A")
    supervisor.add("B")
    supervisor.add("C", crashes=[1.0] * 3)
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        await settled()
        world.living["C"].end(Ended())
        stubborn = world.living["A"]
        stubborn.stubborn = True
        world.living["B"].slow_stop = 3.0
        await settled()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.sleep(10)
            states = {name: child.state for name, child in supervisor.children.items()}
            assert states["A"] is State.STUCK
            assert states["B"] is State.STOPPED
            assert set(world.living) == {"A"}
            stubborn.end()
    assert not world.living


async def test_start_order(autojump_clock: MockClock) -> None:
    """A child starts once those it is after are up; a restart after a crash does not wait."""
    world = World()
    gate = trio.Event()

    async def script(_: Incarnation, started: Callable[[], None]) -> None:
        await gate.wait()
        started()

    world.scripts["A"] = script
    supervisor = world.supervisor()
    supervisor.add("C", after=["B"])
    supervisor.add("B", after=["A"])
    supervisor.add("A")
    async with running(supervisor):
        await trio.sleep(5)
        b, c = supervisor.children["B"], supervisor.children["C"]
        assert (b.state, b.waiting_for, b.incarnation) == (State.STARTING, ("A",), 0)
        assert c.waiting_for == ("B",)
        await supervisor.stop("C")
        await settled()
        assert state_of(c) is State.STOPPED
        gate.set()
        await settled()
        assert state_of(b) is State.RUNNING
        await supervisor.start("C")
        await settled()
        assert state_of(c) is State.RUNNING
        await supervisor.stop("A")
        world.living["B"].end(Ended())
        await settled()
        assert (b.state, b.incarnation) == (State.RUNNING, 2)
        with pytest.raises(UsageError, match="D after D"):
            supervisor.add("D", after=["D"])
        with pytest.raises(UsageError, match="got 'X'"):
            supervisor.add("D", after=["X"])
        assert "D" not in supervisor.children


async def test_a_cycle_is_refused(autojump_clock: MockClock) -> None:
    """`run` names it and starts no child."""
    world = World()
    supervisor = world.supervisor()
    supervisor.add("A", after=["B"])
    supervisor.add("B", after=["A"])
    with pytest.raises(UsageError, match="A after B after A"):
        await supervisor.run()
    with pytest.raises(UsageError, match="a second time"):
        supervisor.add("A")
    with pytest.raises(UsageError, match="expected a known group"):
        supervisor.add("C", group="x")


@pytest.mark.parametrize(
    ("rule", "incarnations"),
    [
        (GroupRule.ONE_FOR_ONE, (1, 2, 1, 1)),
        (GroupRule.ONE_FOR_ALL, (2, 2, 2, 1)),
        (GroupRule.REST_FOR_ONE, (1, 2, 2, 1)),
    ],
)
async def test_groups(
    rule: GroupRule, incarnations: tuple[int, ...], autojump_clock: MockClock
) -> None:
    """Which of A, B, C end with B; D, in no group, never does, and none starts too early."""
    world = World()
    supervisor = world.supervisor(groups={"g": rule})
    for name in "ABC":
        supervisor.add(name, group="g")
    supervisor.add("D")
    async with running(supervisor):
        world.living["C"].slow_stop = 3.0
        world.living["B"].end(Ended())
        await settled()
        if rule is not GroupRule.ONE_FOR_ONE:
            assert supervisor.children["B"].incarnation == 1
        await trio.sleep(3.1)
        assert tuple(c.incarnation for c in supervisor.children.values()) == incarnations
        assert all(c.state is State.RUNNING for c in supervisor.children.values())
        assert sum(len(c.crashes.times) for c in supervisor.children.values()) == 1


async def test_a_stuck_member_does_not_hold_up_its_group(autojump_clock: MockClock) -> None:
    """After the grace the others start without it."""
    world = World()
    supervisor = world.supervisor(groups={"g": GroupRule.ONE_FOR_ALL}, grace=5.0)
    for name in "ABC":
        supervisor.add(name, group="g")
    async with running(supervisor):
        stubborn = world.living["C"]
        stubborn.stubborn = True
        world.living["A"].end(Ended())
        await trio.sleep(5.1)
        assert [c.state for c in supervisor.children.values()] == ["running", "running", "stuck"]
        stubborn.end()


async def test_add_and_remove_while_running(autojump_clock: MockClock) -> None:
    """A removed child is ended and forgotten; those after it no longer wait."""
    world = World()

    async def never(_: Incarnation, __: Callable[[], None]) -> None:
        await trio.sleep_forever()

    world.scripts["A"] = never
    supervisor = world.supervisor(
        groups={"g": GroupRule.ONE_FOR_ALL}, health=HealthLimits(start_timeout=1e6)
    )
    async with running(supervisor):
        supervisor.add("A", group="g")
        supervisor.add("B", after=["A"])
        await settled()
        assert state_of(supervisor.children["B"]) is State.STARTING
        assert await supervisor.remove("A") is None
        await settled()
        assert set(supervisor.children) == {"B"}
        assert state_of(supervisor.children["B"]) is State.RUNNING
        world.living["B"].stubborn = True
        stubborn = world.living["B"]
        refusal = await supervisor.remove("B")
        assert refusal is not None
        assert await supervisor.restart("B") is not None
        stubborn.end()
        await settled()
        assert not supervisor.children
    supervisor = World().supervisor()
    supervisor.add("A")
    assert await supervisor.remove("A") is None
    assert not supervisor.children


async def test_the_breaker_holds_restarts_back(autojump_clock: MockClock) -> None:
    """More than a fifth together: one alarm, a pause for those that crash from then on."""
    world = World()
    supervisor = world.supervisor(breaker=BreakerPolicy(pause_base=10.0))
    for number in range(10):
        supervisor.add(str(number))
    async with running(supervisor):
        for number in range(6):
            world.living[str(number)].end(Ended())
            await settled()
        states = [supervisor.children[str(number)].state for number in range(6)]
        assert states == ["running", "running", "crashed", "crashed", "crashed", "crashed"]
        (event,) = world.of(BreakerTripped)
        assert (event.wave, event.children, event.pause) == (1, 10, 10.0)
        await trio.sleep(10)
        await settled()
        assert all(child.is_up for child in supervisor.children.values())


async def test_limits_can_be_changed(autojump_clock: MockClock) -> None:
    """The next crash is measured by the new policy, the next check by the new limits."""
    world = World()
    supervisor = world.supervisor()
    supervisor.add("A")
    async with running(supervisor):
        supervisor.set_limits(
            policy=RestartPolicy(max_restarts=0), health=HealthLimits(heartbeat_timeout=1.0)
        )
        assert supervisor.policy.max_restarts == 0
        await trio.sleep(5)
        assert state_of(supervisor.children["A"]) is State.FAILED
