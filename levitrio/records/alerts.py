"""Messages to people: which events are worth one, how often, and sending them off the loop.

A night has one operator and many crashes: the same news of the same engine is told once in a
quarter of an hour with a count, and no more than ten messages leave in a minute. Sending is a
foreign library and a foreign network, so it happens in a thread that may fail or hang alone.
"""

from collections import deque
from collections.abc import Callable, Collection

import attrs
import trio

from levitrio.records.events import Event
from levitrio.records.offload import Offload

REPEAT_AFTER = 900.0
"""Seconds for which the same news of the same engine is only counted."""

PER_MINUTE = 10

WAITING = 100
"""Messages that wait for the network; older ones are dropped and counted."""

SEND_TIMEOUT = 30.0
"""Seconds one message may take; a hanging service costs the next ones this long, not the fleet."""


@attrs.frozen(kw_only=True)
class Message:
    """One message."""

    title: str
    body: str


Send = Callable[[Message], bool]
"""Blocks until the message is out; False or an exception when it is not."""


def kind_of(event: Event) -> str | None:
    """Under which name of `[alerts] on` an event falls."""
    match event.kind:
        case "failed" | "convicted":
            return "failed"
        case "trading_state":
            return "halted" if "halted" in event.text or "reducing" in event.text else None
        case "stuck" | "stale" | "blocked" | "summary":
            return event.kind
        case "suspended":
            return "stale"
        case "breaker":
            return "failed"
        case "journal_trouble" | "snapshot_trouble" | "snapshot_damaged":
            return "journal"
    return None


@attrs.define(eq=False, kw_only=True)
class AlertRules:
    """Which events become messages. Pure: `now` is monotonic seconds."""

    fleet: str
    on: Collection[str]
    _told: dict[tuple[str, str | None], float] = attrs.field(factory=dict)
    _repeats: dict[tuple[str, str | None], int] = attrs.field(factory=dict)
    _times: deque[float] = attrs.field(factory=deque)
    suppressed: int = 0
    """Messages that were too many."""

    def judge(self, event: Event, now: float) -> Message | None:
        """The message an event deserves now, if any."""
        kind = kind_of(event)
        if kind is None or kind not in self.on:
            return None
        key = (event.kind, event.engine)
        told = self._told.get(key)
        if told is not None and now - told < REPEAT_AFTER and kind != "summary":
            self._repeats[key] = self._repeats.get(key, 0) + 1
            return None
        while self._times and self._times[0] <= now - 60.0:
            self._times.popleft()
        if len(self._times) >= PER_MINUTE:
            self.suppressed += 1
            return None
        self._told[key] = now
        self._times.append(now)
        notes = []
        if repeats := self._repeats.pop(key, 0):
            notes.append(f"{repeats} more since the last message")
        if self.suppressed:
            notes.append(f"{self.suppressed} other messages were too many")
            self.suppressed = 0
        who = f"{self.fleet} {event.engine}" if event.engine else self.fleet
        body = "\n".join([event.text or event.kind, *notes, event.ts])
        return Message(title=f"levitrio {who}: {event.kind}", body=body)


@attrs.define(eq=False, kw_only=True)
class Alerts:
    """Takes events, sends messages. A sink of the event log, and a task."""

    rules: AlertRules
    send: Send
    offload: Offload
    failed: Callable[[str], None]
    """Told once per message that did not go out; must not raise."""
    _waiting: deque[Message] = attrs.field(factory=deque)
    _lot: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    dropped: int = 0

    def __call__(self, event: Event) -> None:
        """Queue the message an event deserves; never blocks."""
        message = self.rules.judge(event, trio.current_time())
        if message is None:
            return
        if len(self._waiting) >= WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(message)
        self._lot.unpark()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send what is queued, one after the other, until cancelled.

        Cancelled, a message on its way is not waited for longer than its thread takes.
        """
        task_status.started()
        while True:
            while not self._waiting:
                await self._lot.park()
            await self.send_one(self._waiting.popleft())

    async def send_one(self, message: Message) -> bool:
        """Send a message; a failure is told, never raised."""
        problem = await self.offload(lambda: _try(self.send, message))
        if problem:
            self.failed(f"{message.title}: {problem}")
        return not problem


def _try(send: Send, message: Message) -> str:
    try:
        return "" if send(message) else "the service did not take it"
    except Exception as exc:  # noqa: BLE001  a foreign library's failure is this message's failure
        return type(exc).__name__  # its text may hold the address, which is a secret
