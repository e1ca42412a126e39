"""Messages to people: which events are worth one, how often, and sending them off the loop.

A night has one operator and many crashes: the same news of the same engine is told once in a
quarter of an hour with a count, and no more than ten messages about engines leave in a minute.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence

import attrs
import trio

from levitrio.records.alerts.channel import AlertChannel, Message, Send
from levitrio.records.logs.event_log import Event
from levitrio.records.worker_threads import Offload

REPEAT_AFTER = 900.0
"""Seconds for which the same news of the same engine is only counted."""

TRADING_IS = "trading is "
"""How the text of a `trading_state` begins; the state follows, and a colon if there is a reason."""

PER_MINUTE = 10
"""Messages about engines; what concerns the whole fleet is rare, and never one too many."""


def kind_of(event: Event) -> str | None:
    """Under which name of `[alerts] on` an event falls."""
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
    """What is told once: its kind, or the state that trading is in."""
    return event.text.partition(":")[0] if event.kind == "trading_state" else event.kind


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
        if event.kind == "trading_state":
            self._forget_other_states(news_of(event))
        kind = kind_of(event)
        if kind is None or kind not in self.on:
            return None
        key = (news_of(event), event.engine)
        told = self._told.get(key)
        if told is not None and now - told < REPEAT_AFTER and kind != "summary":
            self._repeats[key] = self._repeats.get(key, 0) + 1
            return None
        while self._times and self._times[0] <= now - 60.0:
            self._times.popleft()
        if event.engine is not None:
            if len(self._times) >= PER_MINUTE:
                self.suppressed += 1
                return None
            self._times.append(now)
        self._told[key] = now
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
        """A halt after a halt was lifted is new, however soon it comes."""
        for news, engine in tuple(self._told):
            if news.startswith(TRADING_IS) and news != state:
                del self._told[news, engine]
                self._repeats.pop((news, engine), None)


@attrs.define(eq=False, kw_only=True)
class Alerts:
    """Takes events, hands out messages. A sink of the event log, and a task.

    Off until `configure` names addresses; then each of them has an outlet of its own.
    """

    rules: AlertRules
    offload: Callable[[], Offload]
    """Makes the place where one address is written to. What runs there is left behind when it is
    cancelled: a foreign service must not hold up the end of a fleet."""
    failed: Callable[[str], None]
    """Told once per message that did not go out; must not raise."""
    channels: tuple[AlertChannel, ...] = ()
    _nursery: trio.Nursery | None = None

    def __call__(self, event: Event) -> None:
        """Queue the message an event deserves; never blocks."""
        if not self.channels:
            return
        message = self.rules.judge(event, trio.current_time())
        if message is not None:
            for channel in self.channels:
                channel.put(message)

    def configure(self, on: Collection[str], sends: Sequence[Send] | None) -> None:
        """What is told, and where to; None: to the same addresses as before.

        A message that waits for an address that is given up is lost with it.
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
        """Send what is queued until cancelled; what is on its way then is not waited for."""
        async with trio.open_nursery() as self._nursery:
            for channel in self.channels:
                self._nursery.start_soon(channel.run)
            task_status.started()
            await trio.sleep_forever()

    async def flush(self) -> None:
        """Return when every address has got, or refused, what was queued for it."""
        for channel in self.channels:
            await channel.flush()
