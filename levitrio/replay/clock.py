"""trio's clock in a replay: it follows the tape, whatever the machine does."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import trio

PATIENCE = 60.0
"""Real seconds that work outside the loop (a thread, a worker process) may take before the
deadlines around it expire: tape time stands still meanwhile, so the machine's speed decides
nothing."""


@attrs.define(eq=False)
class ReplayClock(trio.abc.Clock):
    """trio's clock, moved by the task that plays the tape.

    While a strategy's own method waits, the tape stands still, so time has to pass by itself:
    within `waiting` it jumps to the next deadline when no task can go on.
    """

    now: float = 0.0
    """Seconds since the tape began."""
    _jumps: bool = False
    _usual: int = 0
    """Tasks that always wait for a file descriptor: trio has one of its own."""

    def start_clock(self) -> None:
        """Do nothing: only `reach` and `waiting` move this clock."""

    def current_time(self) -> float:
        """Return seconds since the tape began."""
        return self.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Return how long trio may wait, in real seconds; called when no task can go on."""
        if not self._jumps or math.isinf(deadline):
            return math.inf
        if _waiting_outside() > self._usual:
            return PATIENCE
        self.now = max(self.now, deadline)
        return 0.0

    def settle_in(self) -> None:
        """Take the tasks that wait for a file descriptor now as those that always do."""
        self._usual = _waiting_outside()

    def reach(self, now: float) -> None:
        """Advance to `now`, in seconds since the tape began; never back."""
        if now > self.now:
            self.now = now

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Let time jump from deadline to deadline within the block."""
        self._jumps = True
        try:
            yield
        finally:
            self._jumps = False


def until_next_deadline() -> float:
    """Return the seconds until the next deadline of any task; infinity without one."""
    return trio.lowlevel.current_statistics().seconds_to_next_deadline


def _waiting_outside() -> int:
    """Count the tasks that wait for a thread or a file descriptor, which takes real time."""
    io = trio.lowlevel.current_statistics().io_statistics
    waiting: int = getattr(io, "tasks_waiting_read", 0) + getattr(io, "tasks_waiting_write", 0)
    return waiting + trio.to_thread.current_default_thread_limiter().borrowed_tokens
