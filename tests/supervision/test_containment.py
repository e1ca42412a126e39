"""Every way user code can end, at every moment."""

import contextvars
import decimal
import gc
from collections.abc import Iterator

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from levitrio.supervision.async_generators import keep_abandoned_generators
from levitrio.supervision.containment import Containment, Crashed, Stopped, contain
from levitrio.supervision.crash import Crash
from tests.supervision.outcomes import KEPT, OUTCOMES

# trio says so about every generator that was abandoned, and it is right.
pytestmark = pytest.mark.filterwarnings("ignore:.*Async generator:ResourceWarning")

OUTCOME = pytest.mark.parametrize("outcome", OUTCOMES)


@pytest.fixture(autouse=True)
def no_generator_left() -> Iterator[None]:
    """A generator of one test must not be finalized in the next."""
    yield
    if KEPT:
        KEPT.clear()
        gc.collect()


def collect(outcome: str) -> None:
    if "generator" in outcome:
        gc.collect()


async def sibling(ticks: list[float]) -> None:
    while True:
        await trio.sleep(0.1)
        ticks.append(trio.current_time())


@OUTCOME
async def test_whatever_comes_out_is_one_crash(outcome: str, autojump_clock: MockClock) -> None:
    """At once or after a wait it is a crash of that kind; a sibling goes on, and so do we."""
    misdeed, kind = OUTCOMES[outcome]

    async def late() -> None:
        await trio.sleep(1)
        await misdeed()

    ticks: list[float] = []
    with keep_abandoned_generators():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sibling, ticks)
            for run in (misdeed, late):
                ending = await contain(run)
                assert isinstance(ending, Crashed)
                assert ending.crash.kind == kind
                collect(outcome)
                await trio.sleep(1)
            assert len(ticks) >= 29
            nursery.cancel_scope.cancel()


@OUTCOME
async def test_whatever_comes_out_while_stopping_is_a_stop(
    outcome: str, autojump_clock: MockClock
) -> None:
    """After `stop` it is stopped; an exception is an incident, cancellation is not."""
    misdeed, _ = OUTCOMES[outcome]

    async def run() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 30):
                await misdeed()

    with keep_abandoned_generators():
        containment = Containment(run)
        async with trio.open_nursery() as nursery:
            endings: list[object] = []

            async def live() -> None:
                endings.append(await containment.run())

            nursery.start_soon(live)
            await trio.testing.wait_all_tasks_blocked()
            containment.stop()
            containment.stop()
        assert len(endings) == 1
        assert isinstance(endings[0], Stopped)
        if outcome in ("early return", "stale Cancelled"):
            assert endings[0].incident is None
        collect(outcome)
        await trio.sleep(1)


@OUTCOME
async def test_cancellation_from_outside_goes_on_outward(
    outcome: str, autojump_clock: MockClock
) -> None:
    """Whatever user code makes of it, the enclosing scope gets its cancellation back."""
    misdeed, _ = OUTCOMES[outcome]

    async def run() -> None:
        try:
            await trio.sleep_forever()
        finally:
            await misdeed()

    with keep_abandoned_generators():
        with trio.move_on_after(1) as scope:
            await contain(run)
            pytest.fail("went on")
        assert scope.cancelled_caught
        collect(outcome)
        await trio.sleep(1)


async def test_stopped_before_it_began_nothing_is_launched(autojump_clock: MockClock) -> None:
    """Stopped before it runs, it never calls user code."""

    async def run() -> None:
        pytest.fail("launched")

    containment = Containment(run)
    containment.stop()
    assert await containment.run() == Stopped()
    assert containment.over


async def test_clean_incarnations_follow_each_other_on_one_task(autojump_clock: MockClock) -> None:
    """As long as nothing is torn, the next begins on the same task, with a fresh context."""
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    tasks, values, crashes = [], [], []

    async def run() -> None:
        tasks.append(trio.lowlevel.current_task())
        values.append((variable.get(), decimal.getcontext().prec))
        variable.set(1)
        decimal.getcontext().prec = 3
        raise ValueError

    def again(crash: Crash) -> bool:
        crashes.append((crash.kind, variable.get()))
        return len(crashes) < 3

    before = decimal.getcontext().prec
    ending = await Containment(run, again).run()
    assert ending == Crashed(crash=Crash(kind="ValueError", frames=ending.crash.frames))  # type: ignore[union-attr]
    assert len(set(tasks)) == 1
    assert values == [(0, before)] * 3
    assert crashes == [("ValueError", 0)] * 3
    assert decimal.getcontext().prec == before


async def test_a_stop_between_two_incarnations(autojump_clock: MockClock) -> None:
    """Stopped after `again` allowed the next, before it began: it never begins."""
    launches = []

    async def run() -> None:
        launches.append(1)
        raise ValueError

    def again(_: Crash) -> bool:
        containment.stop()
        return True

    containment = Containment(run, again)
    assert await containment.run() == Stopped()
    assert launches == [1]


async def test_one_that_swallows_cancellation_is_calmed(autojump_clock: MockClock) -> None:
    """After `quiesce` it blocks at checkpoints again, and may still end by itself."""
    wakes = 0
    enough = trio.Event()

    async def run() -> None:
        nonlocal wakes
        while not enough.is_set():
            wakes += 1
            try:
                await enough.wait()
            except BaseException:  # noqa: BLE001  the misdeed under test
                continue

    containment = Containment(run)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(containment.run)
        await trio.testing.wait_all_tasks_blocked()
        assert "in test_one_that_swallows_cancellation_is_calmed" in containment.place()
        containment.stop()
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        assert wakes > 5
        containment.quiesce()
        await trio.testing.wait_all_tasks_blocked()
        quiesce = wakes
        await trio.sleep(1_000)
        assert wakes == quiesce
        assert not containment.over
        enough.set()
    assert containment.over
    assert containment.place() == ""


async def test_what_has_not_begun_can_be_calmed(autojump_clock: MockClock) -> None:
    """Nothing to shield yet is no error, and the run that follows can still be stopped."""
    containment = Containment(trio.sleep_forever)
    containment.quiesce()
    assert containment.place() == ""
    assert not containment.over
    async with trio.open_nursery() as nursery:
        nursery.start_soon(containment.run)
        await trio.testing.wait_all_tasks_blocked()
        containment.stop()
    assert containment.over


async def test_tasks_of_an_open_nursery_are_waited_for(autojump_clock: MockClock) -> None:
    """`run` does not return while a task of the incarnation is alive."""
    alive = True

    async def slow() -> None:
        nonlocal alive
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 3):
                await trio.sleep_forever()
            alive = False

    async def run() -> None:
        nursery = await trio.open_nursery().__aenter__()
        nursery.start_soon(slow)
        await trio.sleep(1)

    ending = await contain(run)
    assert isinstance(ending, Crashed)
    assert not alive
