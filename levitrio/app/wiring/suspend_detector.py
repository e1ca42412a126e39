"""Notices that the whole process stood still: stopped by a signal, or asleep with its machine.

What waits in the sockets then is old, though it has only just arrived, and fills may have been
missed: every symbol is compared with the venue before its next order leaves.
"""

import time
from collections.abc import Callable

import attrs
import trio

LOOK = 1.0
"""Seconds between two looks."""

STOOD_STILL = 5.0
"""Seconds beyond a look. A blocked loop is told about much sooner, by the watchdog."""


def boot_clock() -> float:
    """Seconds that go on while the machine sleeps, unlike those of trio's clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@attrs.define(eq=False, kw_only=True)
class SuspendDetector:
    """Looks once a second. `on_standstill(seconds)` is called on the loop and must not raise."""

    on_standstill: Callable[[float], None]
    clock: Callable[[], float] = boot_clock

    async def run(self) -> None:
        """Look until cancelled.

        This task is woken together with those that read the sockets. An order they lead to is
        journaled first, in a thread, so what is blocked here is blocked before the order leaves.
        """
        while True:
            before = self.clock()
            await trio.sleep(LOOK)
            stood = self.clock() - before - LOOK
            if stood >= STOOD_STILL:
                self.on_standstill(stood)
