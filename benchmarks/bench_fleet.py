"""A large fleet together: what the others notice of crashes, how long start and stop take."""

import gc
import time
from collections.abc import Callable, Iterable, Sequence

import attrs
import trio

from benchmarks.children import Crasher, StandInChild, do_nothing, make_supervisor, start_all
from benchmarks.measurement import Goal, Row, measures
from benchmarks.sampling import REPETITIONS, interleaved, median_percentile, percentile
from levitrio.supervision.circuit_breaker import BreakerPolicy


@attrs.define(eq=False)
class _Sibling:
    """Wakes up at regular times, and notes how late it was."""

    late: list[float]
    phase: float
    heartbeat: float = 0.0
    error_count: int = 0

    async def run(self, started: Callable[[], None]) -> None:
        started()
        due = trio.current_time() + self.phase
        while True:
            due += 0.5
            await trio.sleep_until(due)
            self.late.append(trio.current_time() - due)


async def _lateness(freeze: bool) -> tuple[Sequence[float], Sequence[float]]:
    """How late 900 siblings are in 2 s of peace, and in 2 s with 100 crashing 10 times.

    `freeze` spares the collector what lives as long as the fleet.
    """
    late: list[float] = []
    children = [StandInChild() for _ in range(100)]

    def launch(name: str, _: int) -> Crasher | _Sibling:
        number = int(name)
        if number < len(children):
            return Crasher(children[number])
        return _Sibling(late, phase=number % 500 / 1000)

    async with trio.open_nursery() as nursery:
        supervisor = make_supervisor(launch, 1_000, breaker=BreakerPolicy())
        await start_all(nursery, supervisor)
        await trio.sleep(1.0)
        if freeze:
            gc.collect()
            gc.freeze()
        late.clear()
        await trio.sleep(2.0)
        quiesce = tuple(late)
        late.clear()
        for _ in range(10):
            for child in children:
                child.lot.unpark()
            await trio.sleep(0.2)
        stormy = tuple(late)
        gc.unfreeze()
        nursery.cancel_scope.cancel()
    return quiesce, stormy


@measures
def lateness_of_siblings() -> Iterable[Row]:
    """What the others notice when 100 of 1,000 crash at once."""
    found = interleaved(
        {
            "": lambda: trio.run(_lateness, False),
            ", heap frozen": lambda: trio.run(_lateness, True),
        },
        5,
    )
    for suffix, pairs in found.items():
        yield Row(
            name=f"lateness of siblings p99, 100 of 1,000 crash{suffix}",
            value=median_percentile([stormy for _, stormy in pairs], 99) * 1e3,
            unit="ms",
            floor_name="nobody crashes",
            floor=median_percentile([quiesce for quiesce, _ in pairs], 99) * 1e3,
            goal=Goal(limit=20, of="value"),
        )


@attrs.define(eq=False)
class _Stubborn:
    """Swallows everything that could end it, until it is let go."""

    release: trio.Event
    heartbeat: float = 0.0
    error_count: int = 0

    async def run(self, started: Callable[[], None]) -> None:
        started()
        while not self.release.is_set():
            try:
                await self.release.wait()
            except BaseException:  # noqa: BLE001  the fault that is measured
                continue


async def _start_and_stop(count: int, stubborn: int, grace: float) -> tuple[float, float]:
    """Seconds until all run, and until all have ended or are stuck."""
    release = trio.Event()

    def launch(name: str, _: int) -> Crasher | _Stubborn:
        return _Stubborn(release) if int(name) < stubborn else Crasher(StandInChild())

    async with trio.open_nursery() as nursery:
        supervisor = make_supervisor(launch, count, grace=grace)
        begun = time.perf_counter()
        await start_all(nursery, supervisor)
        running = time.perf_counter()
        stuck = await supervisor.shutdown()
        ended = time.perf_counter()
        assert len(stuck) == stubborn, f"expected {stubborn} stuck, got {stuck}"
        release.set()
    return running - begun, ended - running


async def _start_and_stop_bare(count: int) -> tuple[float, float]:
    begun = time.perf_counter()
    async with trio.open_nursery() as nursery:
        children = [StandInChild() for _ in range(count)]
        for child in children:
            nursery.start_soon(child.live, do_nothing)
        for child in children:
            await child.back.wait()
        running = time.perf_counter()
        nursery.cancel_scope.cancel()
    return running - begun, time.perf_counter() - running


@measures
def start_and_stop() -> Iterable[Row]:
    """All of a large fleet together; with ten that have to be reported as stuck."""
    grace = 1.0
    found = interleaved(
        {
            "bare": lambda: trio.run(_start_and_stop_bare, 1_000),
            "all": lambda: trio.run(_start_and_stop, 1_000, 0, grace),
            "stuck": lambda: trio.run(_start_and_stop, 1_000, 10, grace),
        },
        REPETITIONS,
    )
    starts = {name: percentile([s for s, _ in each], 50) * 1e3 for name, each in found.items()}
    stops = {name: percentile([s for _, s in each], 50) * 1e3 for name, each in found.items()}
    for name, spans, goal in (
        ("start of 1,000", starts, None),
        ("stop of 1,000", stops, Goal(limit=2_000, of="value")),
    ):
        yield Row(
            name=name,
            value=spans["all"],
            unit="ms",
            floor_name="1,000 bare tasks",
            floor=spans["bare"],
            goal=goal,
        )
    yield Row(
        name=f"stop of 1,000, ten swallow it, grace {grace:g} s",
        value=stops["stuck"],
        unit="ms",
        goal=Goal(limit=(grace + 1) * 1e3, of="value"),
    )
