"""A small process of its own that ends a fleet whose loop hangs for good.

Run as a script by `blackbox`, with nothing but the standard library. Why a process: whatever
lives in the fleet's own either needs the GIL, which the hanging call may hold, or counts elapsed
time in C (`faulthandler.dump_traceback_later`), and then kills a healthy fleet in the moment it
is continued after a SIGSTOP. Measured: one of three such pauses did.

Rules:

* Counted are this process's own ticks while the fleet's step stays the same, not elapsed time.
* A fleet that is stopped (SIGSTOP, Ctrl-Z, a debugger) is not counted.
* The verdict is written before the signal, so that a dump without verdict blames nobody.
* Standard input is a pipe from the fleet: its end is ours, so nothing is left behind.
"""

import contextlib
import mmap
import os
import select
import signal
import sys
import time

MAGIC = b"levibox2"

CELLS_AT, CELLS = 8, 7
"""Where the cells begin, and how many: unsigned, 64 bits, of this machine's byte order."""
STEP, WHO, PATIENCE_MS, HARD_MS, OWN_HARD_MS, VERDICT_MS, VERDICT_WHO = range(CELLS)
"""Number of the step; whose it is; what it gets on top; limits; how long the last one lasted."""

WAITING, OWN, FIRST_ENGINE = 0, 1, 2
"""In `WHO`: the loop waits, our own code runs, the engine with the first name does."""
PATIENT = 1 << 32
"""Added to `WHO` while `PATIENCE_MS` counts for this step."""

NAMES_AT, NAME_SIZE, MAX_NAMES = 128, 64, 16_384
"""The table of engines' names: where, bytes of each, how many; the pages not used take no disk."""
SIZE = NAMES_AT + MAX_NAMES * NAME_SIZE

SIGNAL = signal.SIGVTALRM
"""Ends a process by default, and hardly anybody uses it: faulthandler dumps first, in C."""

TICK = 0.1
"""Seconds. The end may come this much after the limit."""

LAST_WORDS = 0.3
"""Seconds for the dump; a process that is not gone by then gets SIGKILL."""


def is_stopped(pid: int) -> bool:
    """Whether the process is stopped by a signal or a debugger. Only Linux tells."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  pathlib costs its memory
            stat = file.read()
    except OSError:
        return False
    # The name in parentheses may hold anything, parentheses too.
    return stat[stat.rindex(b")") + 2 :][:1] in (b"T", b"t")


def limit_ms(cells: memoryview) -> int:
    """How long the step under way may last; 0 while the loop waits."""
    who = cells[WHO]
    if who in (WAITING, OWN):
        return cells[OWN_HARD_MS] if who else 0
    return cells[HARD_MS] + (cells[PATIENCE_MS] if who & PATIENT else 0)


def watch(pid: int, cells: memoryview) -> None:
    """Return when the fleet has gone, or after ending it."""
    step, counted, last = 0, 0.0, time.monotonic()
    while not select.select([0], [], [], TICK)[0]:
        now = time.monotonic()
        # Were we not let run ourselves, the fleet was not either: that proves nothing.
        elapsed, last = min(now - last, 2 * TICK), now
        limit = limit_ms(cells)
        if limit == 0 or cells[STEP] != step:
            step, counted = cells[STEP], 0.0
        elif not is_stopped(pid):
            counted += elapsed * 1000
            if counted >= limit:
                cells[VERDICT_WHO] = cells[WHO]
                cells[VERDICT_MS] = int(counted)
                end(pid)
                return


def end(pid: int) -> None:
    """End the fleet: with its last words if it can still speak."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, SIGNAL)
        if not select.select([0], [], [], LAST_WORDS)[0]:
            os.kill(pid, signal.SIGKILL)


def main(pid: int, path: str) -> None:
    """Watch the process `pid`, our parent, that notes its steps in the file `path`."""
    with (
        open(path, "r+b") as file,  # noqa: PTH123  as above
        mmap.mmap(file.fileno(), SIZE) as box,
        memoryview(box) as memory,
        memory[CELLS_AT : CELLS_AT + 8 * CELLS] as part,
        part.cast("Q") as cells,
    ):
        watch(pid, cells)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
