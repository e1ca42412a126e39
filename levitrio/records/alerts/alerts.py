"""Alerts: which events become messages to the operator, how often, and sending them.

One operator may face many crashes: the same event of the same engine is sent once in 15 minutes,
with a count, and at most ten messages about engines are sent in a minute.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence

import attrs
import trio

from levitrio.records.alerts.channel import AlertChannel, Message, Send
from levitrio.records.logs.event_log import Event
from levitrio.records.worker_threads import Offload

REPEAT_AFTER = 900.0
"""Seconds for which the same event of the same engine is only counted."""

TRADING_IS = "trading is "
"""Beginning of the text of a `trading_state`; the state follows, and a colon before a reason."""

PER_MINUTE = 10
"""Messages about engines; those about the whole fleet are rare and not limited."""


def kind_of(event: Event) -> str | None:
    """The name in `[alerts] on` that covers an event; None for events that are never sent."""
    match event.kind:
        case "failed" | "convicted":
            return "failed"
        case "trading_state":
            return None if news_of(event) == f"{TRADING_IS}active" else "halted"
        case "stuck" | "stale" | "blocked" | "summary":
            return event.kind
        case "suspended":
            return "stale"
        case "breaker":
            return "failed"
        case "journal_trouble" | "snapshot_trouble" | "snapshot_damaged":
            return "journal"
        case "foreign_order" | "balance_missing" | "capital":
            return "account"
    return None


def news_of(event: Event) -> str:
    """What makes two events the same news: the kind, or for `trading_state` the new state."""
    return event.text.partition(":")[0] if event.kind == "trading_state" else event.kind


@attrs.define(eq=False, kw_only=True)
class AlertRules:
    """Decides which events become messages. Pure: `now` is monotonic seconds."""

    fleet: str
    on: Collection[str]
    """Names in `[alerts] on`."""
    _sent: dict[tuple[str, str | None], float] = attrs.field(factory=dict)
    _repeats: dict[tuple[str, str | None], int] = attrs.field(factory=dict)
    _times: deque[float] = attrs.field(factory=deque)
    suppressed: int = 0
    """Messages above `PER_MINUTE` since the last one that was sent."""

    def judge(self, event: Event, now: float) -> Message | None:
        """The message to send for an event; None when it is not covered, a repeat or too many."""
        if event.kind == "trading_state":
            self._forget_other_states(news_of(event))
        kind = kind_of(event)
        if kind is None or kind not in self.on:
            return None
        key = (news_of(event), event.engine)
        sent = self._sent.get(key)
        if sent is not None and now - sent < REPEAT_AFTER and kind != "summary":
            self._repeats[key] = self._repeats.get(key, 0) + 1
            return None
        while self._times and self._times[0] <= now - 60.0:
            self._times.popleft()
        if event.engine is not None:
            if len(self._times) >= PER_MINUTE:
                self.suppressed += 1
                return None
            self._times.append(now)
        self._sent[key] = now
        notes = []
        if repeats := self._repeats.pop(key, 0):
            notes.append(f"{repeats} more since the last message")
        if self.suppressed:
            notes.append(f"{self.suppressed} other messages were too many")
            self.suppressed = 0
        who = f"{self.fleet} {event.engine}" if event.engine else self.fleet
        body = "\n".join([event.text or event.kind, *notes, event.ts])
        return Message(title=f"levitrio {who}: {event.kind}", body=body)

    def _forget_other_states(self, state: str) -> None:
        """Forget earlier trading states, so that a halt after an `unhalt` is sent at once."""
        for news, engine in tuple(self._sent):
            if news.startswith(TRADING_IS) and news != state:
                del self._sent[news, engine]
                self._repeats.pop((news, engine), None)


@attrs.define(eq=False, kw_only=True)
class Alerts:
    """Sends messages for events: a sink of the event log, and a task.

    Off until `configure` gives addresses; each of them has an `AlertChannel` of its own.
    """

    rules: AlertRules
    offload: Callable[[], Offload]
    """Makes the `Offload` of one address. Cancelled, it does not wait for its thread: a service
    that hangs must not delay the stop of a fleet."""
    failed: Callable[[str], None]
    """Called with the reason, once per message that was not sent; must not raise."""
    channels: tuple[AlertChannel, ...] = ()
    _nursery: trio.Nursery | None = None

    def __call__(self, event: Event) -> None:
        """Queue a message for an event if the rules want one; never blocks."""
        if not self.channels:
            return
        message = self.rules.judge(event, trio.current_time())
        if message is not None:
            for channel in self.channels:
                channel.put(message)

    def configure(self, on: Collection[str], sends: Sequence[Send] | None) -> None:
        """Set which events are sent, and to which addresses; None keeps the addresses.

        Messages that wait for a replaced address are lost.
        """
        self.rules.on = on
        if sends is None:
            return
        for channel in self.channels:
            channel.scope.cancel()
        self.channels = tuple(
            AlertChannel(number=number, send=send, offload=self.offload(), failed=self.failed)
            for number, send in enumerate(sends, start=1)
        )
        if self._nursery is not None:
            for channel in self.channels:
                self._nursery.start_soon(channel.run)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send queued messages until cancelled; a message then being sent is not waited for."""
        async with trio.open_nursery() as self._nursery:
            for channel in self.channels:
                self._nursery.start_soon(channel.run)
            task_status.started()
            await trio.sleep_forever()

    async def flush(self) -> None:
        """Wait until each address has received or refused its queued messages."""
        for channel in self.channels:
            await channel.flush()
