"""CPU time, memory, descriptors and threads of this process, read from the kernel."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypedDict

import attrs
from msgspec import Meta

MAX_AGE = 1.0
"""Seconds a figure is reused: reading /proc costs more than the rest of a status document."""

_PAGE = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")
_DESCRIPTORS = Path("/proc/self/fd")
_TASKS = Path("/proc/self/task")


class ProcessUsage(TypedDict):
    """What a process costs, as the status document has it; None: the system does not say."""

    cpu_seconds: float
    cpu_percent: Annotated[float, Meta(description="Percent of one core, since the last look.")]
    memory_bytes: int | None
    descriptors: int | None
    threads: int | None


@attrs.define(eq=False)
class ProcessFigures:
    """Reads the figures of this process from /proc, at most once a second."""

    now: Callable[[], float]
    """Seconds, monotonic."""
    _figures: ProcessUsage | None = None
    _taken_at: float = 0.0
    _cpu: float = 0.0

    def document(self) -> ProcessUsage:
        """Plain data; what the system does not tell is None.

        `cpu_percent` is of one core, since the last reading.
        """
        now = self.now()
        age = now - self._taken_at
        if self._figures and age < MAX_AGE:
            return self._figures
        times = os.times()
        cpu = times.user + times.system
        percent = 100 * (cpu - self._cpu) / age if self._figures else 0.0
        self._figures = {
            "cpu_seconds": round(cpu, 2),
            "cpu_percent": round(percent, 1),
            "memory_bytes": resident_bytes(),
            "descriptors": _count(_DESCRIPTORS),
            "threads": _count(_TASKS),
        }
        self._taken_at, self._cpu = now, cpu
        return self._figures


def resident_bytes() -> int | None:
    """Memory of this process that is in RAM; None where the system has no /proc."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE
    except OSError:
        return None


def _count(folder: Path) -> int | None:
    try:
        # Listing /proc/self/fd opens a descriptor itself, which is in the list.
        return len(os.listdir(folder)) - (folder is _DESCRIPTORS)  # noqa: PTH208  no Path each
    except OSError:
        return None
