"""Runs blocking work in a thread with its own limiter, or inline where time is virtual.

The journal and the snapshots each get a limiter, because the whole process shares trio's default
one: forty blocked threads of strategies must not keep a fill off the disk.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

import trio

T = TypeVar("T")


class Offload(Protocol):
    """Runs blocking work off the loop. Called by the journal and the snapshot writer."""

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Return what `work` returns, or raise what it raises.

        Cancelled before the work begins, it does not begin; once begun it is waited for, because
        a thread that goes on writing after "stopped" is worse than a late stop.
        """
        ...


def in_threads(limit: int) -> Offload:
    """An `Offload` with a limiter of its own, for at most `limit` threads at once."""
    limiter = trio.CapacityLimiter(limit)

    async def offload(work: Callable[[], T], /) -> T:
        return await trio.to_thread.run_sync(work, limiter=limiter)

    return offload


def in_a_thread_left_behind() -> Offload:
    """An `Offload` of one thread that, cancelled, is not waited for; it ends with the process.

    For work that writes no file of the fleet, such as a request to a service that may hang.
    """
    limiter = trio.CapacityLimiter(1)

    async def offload(work: Callable[[], T], /) -> T:
        return await trio.to_thread.run_sync(work, limiter=limiter, abandon_on_cancel=True)

    return offload


async def inline(work: Callable[[], T], /) -> T:
    """The `Offload` of tests and replay: an autojumping clock would run past a thread."""
    await trio.lowlevel.checkpoint()
    return work()
