"""Alert channel: one address with its own queue and thread, so that a failure affects no other.

A service that does not answer delays each further message to the same address by half a minute;
it delays neither other addresses nor the stop of a fleet.
"""

from collections import deque
from collections.abc import Callable

import attrs
import trio

from levitrio.records.worker_threads import Offload

WAITING = 100
"""Messages queued for one address; above it the oldest is dropped and counted."""

SEND_TIMEOUT = 30.0
"""Seconds one message may take, including the wait for the thread of the one before."""


@attrs.frozen(kw_only=True)
class Message:
    """A message to the operator."""

    title: str
    body: str


Send = Callable[[Message], bool]
"""Sends a message, blocking; False or an exception when it was not sent."""


@attrs.define(eq=False, kw_only=True)
class AlertChannel:
    """Queues and sends the messages to one address."""

    number: int
    """Position of the address, from 1, for texts: the address itself holds a token."""
    send: Send
    offload: Offload
    failed: Callable[[str], None]
    """Called with the reason, once per message that was not sent; must not raise."""
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    """Cancel it to end `run`."""
    dropped: int = 0
    """Messages dropped because the queue was full."""
    _waiting: deque[Message] = attrs.field(factory=deque)
    _lot: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    _done: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def put(self, message: Message) -> None:
        """Queue a message; never blocks."""
        if len(self._waiting) >= WAITING:
            del self._waiting[1]  # the first is being sent
            self.dropped += 1
        self._waiting.append(message)
        self._lot.unpark()

    async def run(self) -> None:
        """Send queued messages, one after the other, until cancelled."""
        with self.scope:
            while True:
                while not self._waiting:
                    self._done.unpark_all()
                    await self._lot.park()
                await self._send_one(self._waiting[0])
                self._waiting.popleft()

    async def flush(self) -> None:
        """Wait until no message is queued or being sent; returns at once if `run` has ended."""
        await trio.lowlevel.checkpoint()
        while self._waiting and not self.scope.cancel_called:
            await self._done.park()

    async def _send_one(self, message: Message) -> None:
        problem = f"no answer within {SEND_TIMEOUT:g} s"
        with trio.move_on_after(SEND_TIMEOUT):
            problem = await self.offload(lambda: attempt(self.send, message))
        if problem:
            self.failed(f"{message.title}: address number {self.number}: {problem}")


def attempt(send: Send, message: Message) -> str:
    """Send a message, blocking; return the problem, or an empty text."""
    try:
        return "" if send(message) else "the service did not take it"
    except Exception as exc:  # noqa: BLE001  apprise may raise anything
        return type(exc).__name__  # its text may hold the address, which is a secret
