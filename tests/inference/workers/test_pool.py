"""The pool's rules, with workers that die and hang on command, in virtual time."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from trio.testing import MockClock

from levitrio.inference.interface import Missing, ModelCall
from levitrio.inference.models.feature_schema import CANDLES, MARKET
from levitrio.inference.models.model_file import ModelFile
from levitrio.inference.workers.pool import WorkerPool
from levitrio.inference.workers.worker import Answer
from levitrio.inference.workers.worker_slot import OpenWorker, WorkerBroken
from levitrio.supervision.restart import RestartPolicy
from tests.inference.model_files import model_file, pretended_onnx

GOOD = model_file(pretended_onnx(), name="good.onnx")
POISON = model_file(pretended_onnx(MARKET), MARKET, name="poison.onnx")
ASK_GOOD: ModelCall = (GOOD.key, (0.0,) * len(CANDLES.names))
ASK_POISON: ModelCall = (POISON.key, (0.0,) * len(MARKET.names))


@attrs.define(eq=False)
class FakeWorker:
    """A worker that takes `takes` seconds and answers, or does worse."""

    harness: "Harness"
    pid: int
    ended: trio.Event = attrs.field(factory=trio.Event)
    loaded: list[str] = attrs.field(factory=list)

    async def load(self, file: ModelFile) -> str:
        await trio.sleep(self.harness.load_takes)
        self.loaded.append(file.name)
        return self.harness.refuses.get(file.name, "")

    async def ask(self, calls: Sequence[ModelCall], patience: float) -> Sequence[Answer]:
        self.harness.asked.append((self.pid, len(calls)))
        if any(key == POISON.key for key, _ in calls):
            if self.harness.poison == "dies":
                raise WorkerBroken("it died of signal 9")
            if self.harness.poison == "hangs":
                await trio.sleep(patience)
                raise WorkerBroken("it hung")
        with trio.move_on_after(patience):
            await trio.sleep(self.harness.takes)
            return [self.harness.answer] * len(calls)
        raise WorkerBroken("it hung")

    async def wait_ended(self) -> None:
        await self.ended.wait()


@attrs.define(eq=False)
class Harness:
    """A pool and the workers it opened."""

    takes: float = 0.01
    load_takes: float = 0.1
    open_takes: float = 0.2
    poison: str = "dies"
    answer: Answer = 0.7
    opens_fail: int = 0
    refuses: dict[str, str] = attrs.field(factory=dict)
    workers: list[FakeWorker] = attrs.field(factory=list)
    asked: list[tuple[int, int]] = attrs.field(factory=list)
    events: list[tuple[float, str, str]] = attrs.field(factory=list)

    def open(self) -> OpenWorker:
        @asynccontextmanager
        async def opened() -> AsyncIterator[FakeWorker]:
            await trio.sleep(self.open_takes)
            if self.opens_fail:
                self.opens_fail -= 1
                raise WorkerBroken("it did not come up")
            worker = FakeWorker(self, pid=1 + len(self.workers))
            self.workers.append(worker)
            yield worker

        return opened()

    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.events]

    def pool(self, *, workers: int = 1) -> WorkerPool:
        return WorkerPool(
            workers=workers,
            deadline=0.25,
            policy=lambda: RestartPolicy(jitter=0.0),
            chance=lambda: 0.0,
            tell=lambda kind, text: self.events.append((trio.current_time(), kind, text)),
            open_worker=self.open,
        )


def run(scenario: Callable[[WorkerPool], object], harness: Harness, *, workers: int = 1) -> None:
    """A scenario on a pool with both models, in virtual time from the pool's start."""

    async def main() -> None:
        pool = harness.pool(workers=workers)
        pool.add(GOOD)
        pool.add(POISON)
        async with trio.open_nursery() as nursery:
            await nursery.start(pool.run)
            await scenario(pool)  # type: ignore[misc]
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))


def code_of(found: Sequence[float | Missing]) -> list[str | float]:
    return [each.code if isinstance(each, Missing) else each for each in found]


def test_models_are_loaded_before_the_first_call() -> None:
    """Once in each worker."""
    harness = Harness()

    async def scenario(pool: WorkerPool) -> None:
        assert await pool.ask([ASK_GOOD]) == (0.7,)
        assert await pool.ask([ASK_GOOD]) == (0.7,)
        assert [worker.loaded for worker in harness.workers] == [["good.onnx", "poison.onnx"]]
        assert pool.statistics().ready == 1

    run(scenario, harness)


def test_a_late_answer_is_none_and_the_worker_is_kept() -> None:
    """It is counted, and the next call is answered by the same worker."""
    harness = Harness(takes=0.3)

    async def scenario(pool: WorkerPool) -> None:
        began = trio.current_time()
        assert code_of(await pool.ask([ASK_GOOD])) == ["late"]
        assert trio.current_time() - began == pytest.approx(0.25)
        harness.takes = 0.01
        assert await pool.ask([ASK_GOOD]) == (0.7,)
        assert len(harness.workers) == 1
        assert (pool.statistics().late, pool.statistics().lost) == (1, 0)

    run(scenario, harness)


@pytest.mark.parametrize("poison", ["dies", "hangs"])
def test_who_waited_behind_a_lost_worker_waits_on(poison: str) -> None:
    """The engine that was being served gets no signal, the others miss nothing."""
    harness = Harness(poison=poison)
    found: dict[str, list[str | float]] = {}

    async def scenario(pool: WorkerPool) -> None:
        began = trio.current_time()

        async def ask(name: str, call: ModelCall) -> None:
            found[name] = code_of(await pool.ask([call]))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "poison", ASK_POISON)
            await trio.testing.wait_all_tasks_blocked()
            for number in range(5):
                nursery.start_soon(ask, f"good {number}", ASK_GOOD)
        assert trio.current_time() - began <= 1.0
        assert found.pop("poison") == ["worker_lost" if poison == "dies" else "late"]
        assert list(found.values()) == [[0.7]] * 5
        assert harness.kinds() == ["worker_ready", "worker_lost", "worker_ready"]

    run(scenario, harness)


def test_a_model_that_breaks_its_workers_is_set_aside() -> None:
    """Its engine pays, longer each time; other engines are served meanwhile."""
    harness = Harness()

    async def scenario(pool: WorkerPool) -> None:
        assert code_of(await pool.ask([ASK_POISON])) == ["worker_lost"]
        assert await pool.ask([ASK_GOOD]) == (0.7,)
        assert code_of(await pool.ask([ASK_POISON])) == ["worker_lost"]
        assert code_of(await pool.ask([ASK_POISON, ASK_GOOD])) == ["set_aside", 0.7]
        assert len(harness.workers) == 3
        await trio.sleep(1.0)
        harness.poison = "is cured"
        assert await pool.ask([ASK_POISON]) == (0.7,)
        assert await pool.ask([ASK_POISON, ASK_GOOD]) == (0.7, 0.7)

    run(scenario, harness)


def test_an_idle_worker_that_dies_is_replaced_without_costing_a_call() -> None:
    """Its end is seen when it happens, not at the next call."""
    harness = Harness()

    async def scenario(pool: WorkerPool) -> None:
        harness.workers[0].ended.set()
        await trio.sleep(0.5)
        assert await pool.ask([ASK_GOOD]) == (0.7,)
        assert [pid for pid, _ in harness.asked] == [2]
        assert pool.statistics().lost == 1

    run(scenario, harness)


def test_workers_that_do_not_come_up_are_tried_with_backoff() -> None:
    """At once, then after one second, two, four."""
    harness = Harness(opens_fail=4, open_takes=0.0, load_takes=0.0)

    async def scenario(pool: WorkerPool) -> None:
        assert [round(time - harness.events[0][0], 3) for time, _, _ in harness.events] == [
            0,
            0,
            1,
            3,
            7,
        ]
        assert harness.kinds()[-1] == "worker_ready"
        assert await pool.ask([ASK_GOOD]) == (0.7,)

    run(scenario, harness)


def test_the_fleet_does_not_wait_for_ever_for_its_models() -> None:
    """It starts without, and its calls find no worker within their patience."""
    harness = Harness(open_takes=10_000.0)

    async def scenario(pool: WorkerPool) -> None:
        assert trio.current_time() > 0
        began = trio.current_time()
        assert code_of(await pool.ask([ASK_GOOD])) == ["late"]
        assert trio.current_time() - began == pytest.approx(1.0)

    run(scenario, harness)


def test_a_model_that_cannot_be_loaded_is_told_and_the_others_are_asked() -> None:
    """It is no error of the engine: it will not get better by a restart."""
    harness = Harness(refuses={"poison.onnx": "InvalidGraph"})

    async def scenario(pool: WorkerPool) -> None:
        found = await pool.ask([ASK_POISON, ASK_GOOD])
        assert code_of(found) == ["not_loaded", 0.7]
        assert isinstance(found[0], Missing)
        assert not found[0].is_error
        assert code_of(await pool.ask([ASK_POISON])) == ["not_loaded"]
        assert "model_refused" in harness.kinds()

    run(scenario, harness)


def test_a_wrong_answer_is_counted() -> None:
    """NaN, a shape, an exception: in the words of the worker."""
    harness = Harness(answer="expected a probability from 0 to 1, got nan")

    async def scenario(pool: WorkerPool) -> None:
        found = await pool.ask([ASK_GOOD])
        assert code_of(found) == ["wrong_answer"]
        assert isinstance(found[0], Missing)
        assert found[0].is_error
        assert pool.statistics().wrong == 1

    run(scenario, harness)


def test_a_withdrawn_request_is_not_worked_on() -> None:
    """Cancelled while it waited, it leaves nothing behind."""
    harness = Harness(takes=0.2)

    async def scenario(pool: WorkerPool) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pool.ask, [ASK_GOOD])
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(0.05):
                await pool.ask([ASK_GOOD, ASK_GOOD])
        await trio.sleep(1.0)
        assert [count for _, count in harness.asked] == [1]

    run(scenario, harness)


def test_two_workers_work_at_the_same_time() -> None:
    """Two slow calls take as long as one."""
    harness = Harness(takes=0.2)

    async def scenario(pool: WorkerPool) -> None:
        await trio.sleep(1.0)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pool.ask, [ASK_GOOD])
            nursery.start_soon(pool.ask, [ASK_GOOD])
        assert trio.current_time() - began == pytest.approx(0.2)
        assert {pid for pid, _ in harness.asked} == {1, 2}

    run(scenario, harness, workers=2)


async def test_without_models_no_process_is_started(autojump_clock: MockClock) -> None:
    """Until a reload names the first."""
    harness = Harness()
    pool = harness.pool()
    async with trio.open_nursery() as nursery:
        await nursery.start(pool.run)
        await trio.sleep(60.0)
        assert not harness.workers
        assert pool.statistics().workers == 0
        pool.add(GOOD)
        assert await pool.ask([ASK_GOOD]) == (0.7,)
        pool.add(POISON)
        harness.poison = "is cured"
        assert await pool.ask([ASK_POISON]) == (0.7,)
        assert harness.workers[0].loaded == ["good.onnx", "poison.onnx"]
        nursery.cancel_scope.cancel()
