"""From a crash to an incident in the journal, off the way of the restart."""

from collections import deque
from collections.abc import Callable
from functools import partial

import attrs
import trio

from levitrio.records.journal.entries import FailedEntry, IncidentEntry, WantedEntry
from levitrio.records.journal.journal import Journal
from levitrio.records.logs.event_log import Event
from levitrio.records.worker_threads import Offload
from levitrio.supervision.crash import describe
from levitrio.supervision.events import ChildCrashed
from levitrio.supervision.lifecycle import Wanted
from levitrio.supervision.restart import Restart

MAX_WAITING = 1_000
"""Crashes that wait for their source lines; beyond it they are journaled without."""


@attrs.frozen
class _Waiting:
    event: ChildCrashed
    wall_ms: int
    recent: tuple[Event, ...]


@attrs.define(eq=False, kw_only=True)
class IncidentRecorder:
    """Makes durable what the supervisor decides. Implements its `Recorder`."""

    journal: Journal
    wall_ms: Callable[[], int]
    offload: Offload
    """Reading source lines blocks."""
    recent: Callable[[str], tuple[Event, ...]]
    """The last events of an engine, oldest first."""
    redact: Callable[[str], str] = str
    """Takes secrets out of what is kept."""
    _waiting: deque[_Waiting] = attrs.field(factory=deque)
    _lot: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    async def wanted(self, name: str, wanted: Wanted) -> None:
        await self.journal.append(
            WantedEntry(symbol=name, wanted=wanted.value, wall_ms=self.wall_ms())
        )

    async def failed(self, name: str, reason: str | None) -> None:
        # In order: the crashes that led to the give-up are on record before it.
        while any(waiting.event.name == name for waiting in self._waiting):
            await self._write_next()
        await self.journal.append(FailedEntry(symbol=name, reason=reason, wall_ms=self.wall_ms()))

    def crashed(self, event: ChildCrashed) -> None:
        self._waiting.append(_Waiting(event, self.wall_ms(), self.recent(event.name)))
        if len(self._waiting) > MAX_WAITING:
            self._write(self._waiting.popleft(), "")
        self._lot.unpark()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Add source lines and journal, until cancelled; what still waits is journaled without."""
        task_status.started()
        try:
            while True:
                while not self._waiting:
                    await self._lot.park()
                await self._write_next()
        finally:
            while self._waiting:
                self._write(self._waiting.popleft(), "")

    async def _write_next(self) -> None:
        waiting = self._waiting[0]
        text = await self.offload(partial(describe, waiting.event.crash))
        # A give-up or a flood may have written it meanwhile.
        if self._waiting and self._waiting[0] is waiting:
            self._waiting.popleft()
            self._write(waiting, text)

    def _write(self, waiting: _Waiting, traceback: str) -> None:
        event = waiting.event
        self.journal.append_nowait(
            IncidentEntry(
                symbol=event.name,
                incarnation=event.incarnation,
                cause=event.crash.cause,
                error=self.redact(event.crash.error),
                traceback=self.redact(traceback or describe_places(event)),
                counts=isinstance(event.decision, Restart),
                delay=event.delay,
                wall_ms=waiting.wall_ms,
                last_lines="\n".join(f"{e.ts} {e.kind} {e.text[:200]}" for e in waiting.recent),
            )
        )


def describe_places(event: ChildCrashed) -> str:
    """A traceback without source lines: only what was copied at the crash, no disk."""
    places = [f'  File "{file}", line {line}, in {name}' for file, line, name in event.crash.frames]
    return "\n".join([*places, event.crash.error])
