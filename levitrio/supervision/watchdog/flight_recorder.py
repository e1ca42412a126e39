"""Records each step of the loop in a file that outlives the process: layer 2 of the watchdog.

The file is in the data directory and mapped into memory; it holds the present step and its
engine, whatever ends the process. `sentinel` reads it from outside and ends a process whose
step has lasted too long; faulthandler then writes in C where it was blocked.

An engine is the culprit only if verdict *and* dump exist: a plain `kill -9` blames no engine.
"""

import contextlib
import faulthandler
import mmap
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import IO

import attrs

from levitrio.supervision.crash import Frame
from levitrio.supervision.watchdog import sentinel
from levitrio.supervision.watchdog.code_ownership import CodeOwnership

BOX = "blackbox"
DUMP = "blackbox.dump"
_LAST = ".last"

HARD_AFTER = 3.0
"""Seconds a step of an engine may last: what layer 1 cannot interrupt by then, it never will."""

OWN_HARD_AFTER = 30.0
"""Seconds a step of our own code may last: no usable disk blocks it for so long."""

_MAX_DUMP = 64 * 1024
_ENTRY = re.compile(r'  File "(.*)", line (\d+) in (.*)')


@attrs.frozen(kw_only=True)
class Culprit:
    """The engine whose step ended the last process."""

    engine: str
    seconds: float
    """How long the step had lasted."""
    place: Frame
    """File, line and function, in the engine's own module."""
    dump: str
    """The stacks of all threads, innermost frame first, at most 64 KiB."""

    def __str__(self) -> str:
        file, line, function = self.place
        return (
            f"blocked the loop for {self.seconds:.1f} s and could not be interrupted: "
            f"{file}:{line} in {function}"
        )


def last_culprit(directory: Path, ownership: CodeOwnership) -> Culprit | None:
    """The engine that ended the last process with a flight recorder in `directory`, or None.

    Only reads, so that the answer can be made durable first; `FlightRecorder.open` then renames
    the files. A file that is missing or not ours is no evidence.
    """
    try:
        box = (directory / BOX).read_bytes()
        with (directory / DUMP).open("rb") as file:
            dump = file.read(_MAX_DUMP).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    if len(box) != sentinel.SIZE or not box.startswith(sentinel.MAGIC):
        return None
    cells = memoryview(box)[sentinel.CELLS_AT :][: 8 * sentinel.CELLS].cast("Q")
    engine = _name(box, cells[sentinel.VERDICT_WHO])
    place = ownership.place(_frames(dump))
    if cells[sentinel.VERDICT_MS] == 0 or not engine or place is None:
        return None
    seconds = cells[sentinel.VERDICT_MS] / 1000
    return Culprit(engine=engine, seconds=seconds, place=place, dump=dump)


def _name(box: bytes, who: int) -> str:
    """The engine that a value of `WHO` stands for; empty for our own code."""
    index = (who & ~sentinel.PATIENT) - sentinel.FIRST_ENGINE
    if not 0 <= index < sentinel.MAX_NAMES:
        return ""
    name = box[sentinel.NAMES_AT + index * sentinel.NAME_SIZE :][: sentinel.NAME_SIZE]
    return name.rstrip(b"\0").decode("utf-8", "replace")


def _frames(dump: str) -> Iterator[Frame]:
    """The frames of the dump's current thread, which is the one that runs the loop."""
    _, _, stack = dump.partition("Current thread")
    for line in stack.splitlines()[1:]:
        entry = _ENTRY.match(line)
        if entry is None:
            return
        yield entry[1], int(entry[2]), entry[3]


@attrs.define(eq=False, kw_only=True)
class FlightRecorder:
    """Records each step of the loop; its sentinel ends the process when a step does not end."""

    cells: memoryview
    """Written by the watchdog; `sentinel` documents the cells."""
    _box: mmap.mmap
    _sentinel: subprocess.Popen[bytes]
    _names: int = attrs.field(default=0, init=False)

    @classmethod
    @contextlib.contextmanager
    def open(
        cls,
        directory: Path,
        *,
        hard_after: float = HARD_AFTER,
        own_hard_after: float = OWN_HARD_AFTER,
    ) -> Iterator["FlightRecorder"]:
        """Create the file in `directory`, and start the sentinel.

        Open it around the trio run, on the main thread, while holding the lock on `directory`
        that keeps a second fleet out. A step of an engine may last `hard_after` seconds, one of
        our own code `own_hard_after`. At exit the sentinel ends, and the file stays. The files of
        the last process are kept as `blackbox.last` and `blackbox.dump.last`.

        Raises:
            OSError: the file cannot be created or the sentinel cannot be started.
        """
        for name in (BOX, DUMP):
            with contextlib.suppress(FileNotFoundError):
                (directory / name).replace(directory / (name + _LAST))
        path = directory / BOX
        with (
            open(path, "x+b", opener=_ours_alone) as file,
            _mapped(file) as box,
            memoryview(box) as memory,
            memory[sentinel.CELLS_AT :][: 8 * sentinel.CELLS] as part,
            part.cast("Q") as cells,
            open(directory / DUMP, "xb", buffering=0, opener=_ours_alone) as dump,
            _last_words(dump),
        ):
            cells[sentinel.HARD_MS] = round(hard_after * 1000)
            cells[sentinel.OWN_HARD_MS] = round(own_hard_after * 1000)
            with _sentinel(path) as process:
                try:
                    yield cls(cells=cells, box=box, sentinel=process)
                finally:
                    cells[sentinel.WHO] = sentinel.WAITING

    def enter(self, engine: str) -> int:
        """Write an engine's name into the table; return its value for the cell `WHO`.

        Call it once for each name. Names are cut to 64 bytes; an engine for which the table has
        no room can never be found as the culprit.
        """
        index = self._names
        self._names += 1
        if index < sentinel.MAX_NAMES:
            at = sentinel.NAMES_AT + index * sentinel.NAME_SIZE
            name = engine.encode()[: sentinel.NAME_SIZE]
            self._box[at : at + len(name)] = name
        return sentinel.FIRST_ENGINE + index


def _ours_alone(path: str, flags: int) -> int:
    """Opens with mode 0600 whatever the umask says: a dump shows stacks of the strategies."""
    return os.open(path, flags, 0o600)


@contextlib.contextmanager
def _mapped(file: IO[bytes]) -> Iterator[mmap.mmap]:
    """Map the new file; its magic is written last, so that an incomplete file is not read."""
    file.truncate(sentinel.SIZE)
    with mmap.mmap(file.fileno(), sentinel.SIZE) as box:
        box[: len(sentinel.MAGIC)] = sentinel.MAGIC
        yield box


@contextlib.contextmanager
def _last_words(dump: FileIO) -> Iterator[None]:
    """Register faulthandler to write all stacks when the sentinel's signal ends the process."""
    before = signal.signal(sentinel.SIGNAL, signal.SIG_DFL)
    faulthandler.register(sentinel.SIGNAL, file=dump, all_threads=True, chain=True)
    try:
        yield
    finally:
        faulthandler.unregister(sentinel.SIGNAL)
        signal.signal(sentinel.SIGNAL, before)


@contextlib.contextmanager
def _sentinel(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    # -I -S: without site-packages, which would be most of its memory and start time. In a session
    # of its own, so that Ctrl-C and Ctrl-Z in the terminal do not reach it.
    command = [sys.executable, "-I", "-S", sentinel.__file__, str(os.getpid()), str(path)]
    with subprocess.Popen(  # noqa: S603  our own interpreter and our own script
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
