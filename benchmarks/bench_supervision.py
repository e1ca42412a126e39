"""From a crash to the next incarnation, beside a bare `try` in a loop in the same trio run."""

import time
from collections.abc import Callable, Iterable

import trio

from benchmarks.children import Crasher, StandInChild, bare_loop, make_supervisor, start_all
from benchmarks.measurement import Goal, Row, measures
from benchmarks.sampling import interleaved, median_percentile, percentile
from levitrio.supervision.circuit_breaker import BreakerPolicy

_SIZES = (15, 1_000, 10_000)
_ROUNDS = 5
"""Of each size, in turns."""
_TURNS = 50
"""Of floor and subject within a round, so that both see the same phases of the machine."""
_CRASHES = 10
"""In a turn, one after the other."""

_Pair = tuple[list[float], list[float]]
"""Seconds of each crash: of the floor, of the subject."""


async def _crash_one(count: int) -> _Pair:
    """One of `count` crashes again and again, the others idle; so does one of `count` bare."""
    bare, children = ([StandInChild() for _ in range(count)] for _ in range(2))
    floors: list[float] = []
    subjects: list[float] = []
    async with trio.open_nursery() as nursery:
        for child in bare:
            nursery.start_soon(bare_loop, child)
        supervisor = make_supervisor(
            lambda name, _: Crasher(children[int(name)]), count, breaker=BreakerPolicy()
        )
        await start_all(nursery, supervisor)
        for _ in range(_TURNS):
            for found, child in ((floors, bare[0]), (subjects, children[0])):
                for _ in range(_CRASHES):
                    await child.crash()
                    found.append(child.away)
        nursery.cancel_scope.cancel()
    return floors, subjects


@measures
def crash_to_running() -> Iterable[Row]:
    """One engine crashes while all others are idle."""
    subjects: dict[str, Callable[[], _Pair]] = {
        str(size): lambda size=size: trio.run(_crash_one, size)  # type: ignore[misc]
        for size in _SIZES
    }
    p50: dict[int, float] = {}
    for name, pairs in interleaved(subjects, _ROUNDS).items():
        floors = [floor for floor, _ in pairs]
        blocks = [subject for _, subject in pairs]
        size = int(name)
        p50[size] = median_percentile(blocks, 50) * 1e6
        for percent, goal in ((50, Goal(limit=6, target=4)), (95, None)):
            yield Row(
                name=f"crash to running, {size:,} engines, p{percent}",
                value=median_percentile(blocks, percent) * 1e6,
                unit="us",
                floor_name="try in a loop, one checkpoint",
                floor=median_percentile(floors, percent) * 1e6,
                goal=goal,
            )
    few, many = min(_SIZES), max(_SIZES)
    yield Row(
        name=f"the same, {many:,} engines, p50",
        value=p50[many],
        unit="us",
        floor_name=f"{few} engines, p50",
        floor=p50[few],
        goal=Goal(limit=1.5),
    )


async def _crash_all(count: int, breaker: BreakerPolicy | None) -> tuple[float, float]:
    """Seconds until the last of `count` is back: of bare loops, and supervised."""
    bare, children = ([StandInChild() for _ in range(count)] for _ in range(2))
    spans = []
    async with trio.open_nursery() as nursery:
        for child in bare:
            nursery.start_soon(bare_loop, child)
        supervisor = make_supervisor(
            lambda name, _: Crasher(children[int(name)]), count, breaker=breaker
        )
        await start_all(nursery, supervisor)
        for group in (bare, children):
            begun = time.perf_counter()
            for child in group:
                child.back = trio.Event()
                child.lot.unpark()
            for child in group:
                await child.back.wait()
            spans.append(max(child.running_at for child in group) - begun)
        nursery.cancel_scope.cancel()
    return spans[0], spans[1]


@measures
def crash_of_all() -> Iterable[Row]:
    """1,000 engines crash at once; the breaker lets restarts rest for 100 to 120 ms of that."""
    found = interleaved(
        {
            "with the breaker": lambda: trio.run(_crash_all, 1_000, BreakerPolicy()),
            "without the breaker": lambda: trio.run(_crash_all, 1_000, None),
        }
    )
    for name, spans in found.items():
        yield Row(
            name=f"1,000 crash at once, all back, {name}",
            value=percentile([span for _, span in spans], 50) * 1e3,
            unit="ms",
            floor_name="1,000 bare loops",
            floor=percentile([floor for floor, _ in spans], 50) * 1e3,
            goal=Goal(limit=250, target=160, of="value"),
        )
