"""What supervision costs while nothing happens: memory, and the watchdog at each step."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import trio

from benchmarks import footprint
from benchmarks.measurement import Goal, Row, measures
from benchmarks.sampling import REPETITIONS, medians
from levitrio.supervision.watchdog.alarm import Watchdog
from levitrio.supervision.watchdog.code_ownership import CodeOwnership

_ENGINES = 2_000
_STEPS = 20_000
_KIB = 1024


def _in_a_process(*words: str) -> float:
    """The number a fresh process prints: what this one used before must not hide a growth."""
    command = [sys.executable, "-m", footprint.__name__, *words]
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        command, cwd=root, check=True, capture_output=True, text=True, timeout=600
    )
    return float(done.stdout)


@measures
def memory_of_idle_engine() -> Iterable[Row]:
    """Resident memory of a fleet that runs and waits, for each engine of it."""
    count = str(_ENGINES)
    found = medians(
        {
            "bare": lambda: _in_a_process("bare", count),
            "idle": lambda: _in_a_process("idle", count),
        },
        5,
    )
    yield Row(
        name=f"memory of an idle engine, of {_ENGINES:,}",
        value=found["idle"] / _KIB,
        unit="KiB",
        floor_name="task, cancel scope, channel",
        floor=found["bare"] / _KIB,
        goal=Goal(limit=4),
    )


@measures
def growth_by_crashes() -> Iterable[Row]:
    """Resident memory after 20,000 crashes of one engine, beyond what it was after 2,000."""
    growth = medians({"": lambda: _in_a_process("crashes", "20000")}, 3)[""]
    yield Row(
        name="growth by 20,000 crashes",
        value=growth / _KIB**2,
        unit="MiB",
        goal=Goal(limit=5, of="value"),
    )


async def _step(watchdog: Watchdog | None) -> float:
    """Seconds for each checkpoint of two tasks that take turns."""
    ended: list[float] = []

    async def walk() -> None:
        for _ in range(_STEPS):
            await trio.lowlevel.checkpoint()
        ended.append(trio.current_time())

    async with trio.open_nursery() as guard:
        if watchdog is not None:
            await guard.start(watchdog.run)
        begun = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(walk)
            nursery.start_soon(walk)
        guard.cancel_scope.cancel()
    return (max(ended) - begun) / (2 * _STEPS)


def _watched(blocked_after: float) -> float:
    ownership = CodeOwnership.around(Path(footprint.__file__).parent, lent=(), entry_points=())
    watchdog = Watchdog(ownership=ownership, on_blocked=lambda _: None, blocked_after=blocked_after)
    return trio.run(_step, watchdog)


@measures
def watchdog_at_each_step() -> Iterable[Row]:
    """What a step of a task costs with the instrument, with and without its timer signal."""
    us = {
        name: seconds * 1e6
        for name, seconds in medians(
            {
                "none": lambda: trio.run(_step, None),
                "blackbox": lambda: _watched(0.0),
                "alarm": lambda: _watched(0.5),
            },
            REPETITIONS,
        ).items()
    }
    for name, text in (("blackbox", "the steps noted"), ("alarm", "and the alarm")):
        yield Row(
            name=f"step of a task, watchdog: {text}",
            value=us[name],
            unit="us",
            floor_name="without a watchdog",
            floor=us["none"],
        )
