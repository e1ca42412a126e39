"""Detects that the whole process stood still: stopped by a signal, or suspended with its machine.

Data that waits in the sockets then is old although it arrives now, and fills may have been missed:
the gateway reconciles every symbol before its next order leaves.
"""

import time
from collections.abc import Callable

import attrs
import trio

LOOK = 1.0
"""Seconds between two readings of the clock."""

STOOD_STILL = 5.0
"""Seconds beyond `LOOK` that count as a standstill. The watchdog reports a blocked loop sooner."""


def boot_clock() -> float:
    """Seconds of a clock that goes on while the machine is suspended, unlike trio's clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@attrs.define(eq=False, kw_only=True)
class SuspendDetector:
    """Reads the clock once a second and reports a standstill.

    `on_standstill(seconds)` is called on the loop and must not raise.
    """

    on_standstill: Callable[[float], None]
    clock: Callable[[], float] = boot_clock

    async def run(self) -> None:
        """Watch the clock until cancelled.

        trio wakes this task together with those that read the sockets. Their orders are journaled
        first, in a thread, so `on_standstill` blocks the symbols before such an order leaves.
        """
        while True:
            before = self.clock()
            await trio.sleep(LOOK)
            stood = self.clock() - before - LOOK
            if stood >= STOOD_STILL:
                self.on_standstill(stood)
