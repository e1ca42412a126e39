"""Time in replay: as long as the tape says, whatever the machine does."""

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
    """trio's clock, moved by the one who plays the tape.

    While a strategy's own method waits, the tape stands still, so time has to pass by itself:
    within `waiting` it jumps to the next deadline when nobody has anything else to do.
    """

    now: float = 0.0
    """Seconds since the tape began."""
    _jumps: bool = False
    _usual: int = 0
    """Tasks that always wait for a file descriptor: trio has one of its own."""

    def start_clock(self) -> None:
        """It goes when it is told to."""

    def current_time(self) -> float:
        return self.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Called by trio when no task can go on."""
        if not self._jumps or math.isinf(deadline):
            return math.inf
        if _waiting_outside() > self._usual:
            return PATIENCE
        self.now = max(self.now, deadline)
        return 0.0

    def settle_in(self) -> None:
        """Nobody waits for anything outside now: what waits more from here on, does."""
        self._usual = _waiting_outside()

    def reach(self, now: float) -> None:
        """Go on to that moment; a tape whose time runs backwards stands still instead."""
        if now > self.now:
            self.now = now

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Somebody waits for what only the passing of time can bring."""
        self._jumps = True
        try:
            yield
        finally:
            self._jumps = False


def until_next_deadline() -> float:
    """Seconds until some task wants to wake up by itself; infinity when none does."""
    return trio.lowlevel.current_statistics().seconds_to_next_deadline


def _waiting_outside() -> int:
    """Tasks that wait for a thread or a file descriptor: real time brings their answers."""
    io = trio.lowlevel.current_statistics().io_statistics
    waiting: int = getattr(io, "tasks_waiting_read", 0) + getattr(io, "tasks_waiting_write", 0)
    return waiting + trio.to_thread.current_default_thread_limiter().borrowed_tokens
