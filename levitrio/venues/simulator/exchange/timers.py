"""Runs callbacks of the venue after a delay."""

from collections.abc import Callable

import attrs
import trio


@attrs.define(eq=False)
class Timers:
    """Delayed callbacks; `later` may be called at any time, also before `run`."""

    _send: trio.MemorySendChannel[tuple[float, Callable[[], None]]] = attrs.field(init=False)
    _receive: trio.MemoryReceiveChannel[tuple[float, Callable[[], None]]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # Unbounded: each entry is a fault that a client demanded.
        self._send, self._receive = trio.open_memory_channel(2**31)

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` in so many seconds. It must not raise."""
        self._send.send_nowait((trio.current_time() + seconds, act))

    async def run(self) -> None:
        """Run callbacks when they are due; cancellation drops the rest."""
        async with trio.open_nursery() as nursery:
            async for at, act in self._receive:
                nursery.start_soon(_act_at, at, act)


async def _act_at(at: float, act: Callable[[], None]) -> None:
    await trio.sleep_until(at)
    act()
