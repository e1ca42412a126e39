"""`python -m benchmarks.footprint WHAT NUMBER` prints bytes of resident memory, in a process of
its own: what the measuring process used before would hide a growth.

`bare` and `idle`: for each of NUMBER engines; `crashes`: what NUMBER crashes added.
"""

import gc
import os
import sys
from pathlib import Path

import trio
import trio.testing

from benchmarks.children import Crasher, StandInChild, make_supervisor

_WARM_UP = 2_000
"""Crashes after which every table and arena has the size it needs."""


def resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def bare(count: int) -> float:
    """What waits with a task, a cancel scope and a channel, and nothing else."""

    async def wait() -> None:
        _, receive = trio.open_memory_channel[object](1)
        with trio.CancelScope():
            await receive.receive()

    async with trio.open_nursery() as nursery:
        before = resident()
        for _ in range(count):
            nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        used = resident() - before
        nursery.cancel_scope.cancel()
    return used / count


async def idle(count: int) -> float:
    """A supervised child that runs and waits."""
    async with trio.open_nursery() as nursery:
        before = resident()
        supervisor = make_supervisor(lambda _name, _number: Crasher(StandInChild()), count)
        await nursery.start(supervisor.run)
        for name in supervisor.children:
            await supervisor.wait_as_wanted(name)
        used = resident() - before
        nursery.cancel_scope.cancel()
    return used / count


async def crashes(count: int) -> float:
    """The same child, crashing again and again."""
    child = StandInChild()
    async with trio.open_nursery() as nursery:
        supervisor = make_supervisor(lambda _name, _number: Crasher(child), 1)
        await nursery.start(supervisor.run)
        await supervisor.wait_as_wanted("0")
        for _ in range(_WARM_UP):
            await child.crash()
        before = resident()
        for _ in range(count):
            await child.crash()
        grown = resident() - before
        nursery.cancel_scope.cancel()
    return grown


if __name__ == "__main__":
    kinds = {"bare": bare, "idle": idle, "crashes": crashes}
    print(trio.run(kinds[sys.argv[1]], int(sys.argv[2])))
