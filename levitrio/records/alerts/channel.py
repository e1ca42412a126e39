"""Where messages leave: one address, its queue, and a thread that may fail or hang alone.

Sending is a foreign library and a foreign network. A service that does not answer costs the next
messages to itself half a minute each; it costs other addresses nothing, nor the end of a fleet.
"""

from collections import deque
from collections.abc import Callable

import attrs
import trio

from levitrio.records.worker_threads import Offload

WAITING = 100
"""Messages that wait for the network; older ones are dropped and counted."""

SEND_TIMEOUT = 30.0
"""Seconds one message may take, the wait for the one before it included."""


@attrs.frozen(kw_only=True)
class Message:
    """One message."""

    title: str
    body: str


Send = Callable[[Message], bool]
"""Blocks until the message is out; False or an exception when it is not."""


@attrs.define(eq=False, kw_only=True)
class AlertChannel:
    """One address."""

    number: int
    """Which one, from 1: the address itself holds a token."""
    send: Send
    offload: Offload
    failed: Callable[[str], None]
    """Told once per message that did not go out; must not raise."""
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    """Of `run`."""
    dropped: int = 0
    _waiting: deque[Message] = attrs.field(factory=deque)
    _lot: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    _done: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def put(self, message: Message) -> None:
        """Queue a message; never blocks."""
        if len(self._waiting) >= WAITING:
            del self._waiting[1]  # the first is on its way
            self.dropped += 1
        self._waiting.append(message)
        self._lot.unpark()

    async def run(self) -> None:
        """Send what is queued, one after the other, until cancelled."""
        with self.scope:
            while True:
                while not self._waiting:
                    self._done.unpark_all()
                    await self._lot.park()
                await self._send_one(self._waiting[0])
                self._waiting.popleft()

    async def flush(self) -> None:
        """Return when nothing is queued or on its way; at once if `run` has ended."""
        await trio.lowlevel.checkpoint()
        while self._waiting and not self.scope.cancel_called:
            await self._done.park()

    async def _send_one(self, message: Message) -> None:
        problem = f"nothing within {SEND_TIMEOUT:g} s"
        with trio.move_on_after(SEND_TIMEOUT):
            problem = await self.offload(lambda: attempt(self.send, message))
        if problem:
            self.failed(f"{message.title}: address number {self.number}: {problem}")


def attempt(send: Send, message: Message) -> str:
    """Send; what went wrong, or nothing. Blocks."""
    try:
        return "" if send(message) else "the service did not take it"
    except Exception as exc:  # noqa: BLE001  a foreign library's failure is this message's failure
        return type(exc).__name__  # its text may hold the address, which is a secret
