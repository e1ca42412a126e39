"""`python -m tests.acceptance.slow_disk SHIM FOLDER`: 200 intents a second on a disk that is slow.

Run with SHIM (see `slow_fsync.c`) in LD_PRELOAD, so that SQLite's own calls take 2 s, in the kernel
as far as Python can tell. Prints one JSON object: how late the loop was in a block without and in
one with slow fsyncs, several times, how long an intent took to be durable in the slow ones, and how
late the loop is where the journal blocks it, to show that this would be seen.
"""

import ctypes
import json
import sys
from collections.abc import Callable
from pathlib import Path

import trio

from levitrio.records.journal.journal import Journal
from levitrio.records.worker_threads import Offload, in_threads, inline
from tests.records.samples import intent

RATE = 200
BLOCK = 5
"""Seconds: a slow commit or two, each with what came during the one before."""

ROUNDS = 3
SLOW_MS = 2_000


def p99(values: list[float]) -> float:
    return sorted(values)[len(values) * 99 // 100]


async def block(
    folder: Path, offload: Offload, set_slow: Callable[[int], None], intents: int
) -> tuple[list[float], list[float]]:
    """How late the loop was, and how long each intent took; in seconds."""
    late: list[float] = []
    took: list[float] = []
    journal = Journal(folder / f"{trio.current_time()}.db", offload=offload)
    journal.open()

    async def once() -> None:
        begun = trio.current_time()
        await journal.append(intent(journal.reserve()))
        took.append(trio.current_time() - begun)

    async with trio.open_nursery() as writing:
        await writing.start(journal.run)
        async with trio.open_nursery() as nursery:
            set_slow(SLOW_MS)
            due = trio.current_time()
            for _ in range(intents):
                due += 1 / RATE
                await trio.sleep_until(due)
                late.append(trio.current_time() - due)
                nursery.start_soon(once)
        set_slow(0)
        writing.cancel_scope.cancel()
    journal.close()
    return late, took


async def main(shim: str, folder: Path) -> None:
    """Blocks in turn: what else the machine does meets both kinds."""
    slow_ms = ctypes.c_int.in_dll(ctypes.CDLL(shim), "slow_ms")

    def set_slow(milliseconds: int) -> None:
        slow_ms.value = milliseconds

    def leave_it(milliseconds: int) -> None:
        """Fsyncs as they are."""

    found: dict[str, list[float]] = {"usual": [], "slow": [], "durable": [], "blocked": []}
    for _ in range(ROUNDS):
        late, _ = await block(folder, in_threads(1), leave_it, RATE * BLOCK)
        found["usual"].append(p99(late))
        late, took = await block(folder, in_threads(1), set_slow, RATE * BLOCK)
        found["slow"].append(p99(late))
        found["durable"].append(max(took))
    late, _ = await block(folder, inline, set_slow, 8)
    found["blocked"].append(max(late))
    print(json.dumps(found))


if __name__ == "__main__":
    trio.run(main, sys.argv[1], Path(sys.argv[2]))
