"""Separate process that ends a fleet whose loop is blocked in code that cannot be interrupted.

`FlightRecorder` runs it as a script, with nothing but the standard library. It is a process,
because code inside the fleet's process either needs the GIL, which the blocked call may hold, or
counts elapsed time in C (`faulthandler.dump_traceback_later`), and then kills a healthy fleet in
the moment it is continued after a SIGSTOP. Measured: one of three such pauses did.

Rules:

* It counts its own ticks while the fleet's step stays the same, not elapsed time.
* A fleet that is stopped (SIGSTOP, Ctrl-Z, a debugger) is not counted.
* It writes the verdict before it sends the signal: a dump without a verdict blames no engine.
* Standard input is a pipe from the fleet: when the fleet ends, so does this process.
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
"""Offset of the cells, and how many: unsigned, 64 bits, in this machine's byte order."""
STEP, WHO, PATIENCE_MS, HARD_MS, OWN_HARD_MS, VERDICT_MS, VERDICT_WHO = range(CELLS)
"""Step number, its engine, its extra time, two limits; duration and engine of the verdict."""

WAITING, OWN, FIRST_ENGINE = 0, 1, 2
"""Values of `WHO`: the loop waits, our own code runs, the engine with the first name runs."""
PATIENT = 1 << 32
"""Added to `WHO` while `PATIENCE_MS` counts for this step."""

NAMES_AT, NAME_SIZE, MAX_NAMES = 128, 64, 16_384
"""Table of engine names: offset, bytes of each, how many; unused pages take no disk."""
SIZE = NAMES_AT + MAX_NAMES * NAME_SIZE

SIGNAL = signal.SIGVTALRM
"""Ends a process by default, and is rarely used otherwise; faulthandler dumps first, in C."""

TICK = 0.1
"""Seconds. The fleet may be ended this much after the limit."""

LAST_WORDS = 0.3
"""Seconds for the dump; a process that is still alive then gets SIGKILL."""


def is_stopped(pid: int) -> bool:
    """Whether the process is stopped by a signal or a debugger; False where there is no /proc."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123  pathlib costs its memory
            stat = file.read()
    except OSError:
        return False
    # The process name is in parentheses and may itself contain some.
    return stat[stat.rindex(b")") + 2 :][:1] in (b"T", b"t")


def limit_ms(cells: memoryview) -> int:
    """Milliseconds that the present step may last; 0 while the loop waits."""
    who = cells[WHO]
    if who in (WAITING, OWN):
        return cells[OWN_HARD_MS] if who else 0
    return cells[HARD_MS] + (cells[PATIENCE_MS] if who & PATIENT else 0)


def watch(pid: int, cells: memoryview) -> None:
    """Watch the fleet's steps; return when the fleet has ended, or after ending it."""
    step, counted, last = 0, 0.0, time.monotonic()
    while not select.select([0], [], [], TICK)[0]:
        now = time.monotonic()
        # If this process was not scheduled, the fleet may not have been either: at most two
        # ticks are counted.
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
    """End the fleet with a signal that dumps its stacks, then with SIGKILL."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, SIGNAL)
        if not select.select([0], [], [], LAST_WORDS)[0]:
            os.kill(pid, signal.SIGKILL)


def main(pid: int, path: str) -> None:
    """Watch the parent process `pid`, which writes its steps to the file `path`."""
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
