"""What the venue does later: a queue of moments, and the one task that keeps them."""

from collections.abc import Callable

import attrs
import trio


@attrs.define(eq=False)
class Timers:
    """`later` may be called at any time, also before `run`."""

    _send: trio.MemorySendChannel[tuple[float, Callable[[], None]]] = attrs.field(init=False)
    _receive: trio.MemoryReceiveChannel[tuple[float, Callable[[], None]]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # Unbounded: an entry is a fault that somebody demanded.
        self._send, self._receive = trio.open_memory_channel(2**31)

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` once so many seconds have passed, counted from now. It must not raise."""
        self._send.send_nowait((trio.current_time() + seconds, act))

    async def run(self) -> None:
        """Keep the moments until cancelled; what has not come by then never does."""
        async with trio.open_nursery() as nursery:
            async for at, act in self._receive:
                nursery.start_soon(_act_at, at, act)


async def _act_at(at: float, act: Callable[[], None]) -> None:
    await trio.sleep_until(at)
    act()
