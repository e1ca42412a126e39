"""Journals crashes as incidents, without delaying the restart."""

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
"""Crashes that may wait for source lines; with more, the oldest is journaled without them."""


@attrs.frozen
class _Waiting:
    event: ChildCrashed
    wall_ms: int
    recent: tuple[Event, ...]


@attrs.define(eq=False, kw_only=True)
class IncidentRecorder:
    """Journals the supervisor's decisions. Implements its `Recorder`."""

    journal: Journal
    wall_ms: Callable[[], int]
    offload: Offload
    """Runs the reading of source lines, which blocks."""
    recent: Callable[[str], tuple[Event, ...]]
    """An engine's last events, oldest first."""
    redact: Callable[[str], str] = str
    """Takes secrets out of errors and tracebacks."""
    _waiting: deque[_Waiting] = attrs.field(factory=deque)
    _lot: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    async def wanted(self, name: str, wanted: Wanted) -> None:
        """Journal what the operator wants of an engine; returns once it is durable.

        Raises:
            JournalUnavailable: It is not durable.
        """
        await self.journal.append(
            WantedEntry(symbol=name, wanted=wanted.value, wall_ms=self.wall_ms())
        )

    async def failed(self, name: str, reason: str | None) -> None:
        """Journal that an engine is given up, or, without a reason, that it was reset.

        Raises:
            JournalUnavailable: It is not durable.
        """
        # In order: the crashes that led to the give-up are journaled before it.
        while any(waiting.event.name == name for waiting in self._waiting):
            await self._write_next()
        await self.journal.append(FailedEntry(symbol=name, reason=reason, wall_ms=self.wall_ms()))

    def crashed(self, event: ChildCrashed) -> None:
        """Queue a crash for the journal; does not block."""
        self._waiting.append(_Waiting(event, self.wall_ms(), self.recent(event.name)))
        if len(self._waiting) > MAX_WAITING:
            self._write(self._waiting.popleft(), "")
        self._lot.unpark()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Add source lines and journal, until cancelled; the rest is journaled without them."""
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
        # A give-up or a full queue may have written it meanwhile.
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
    """A traceback without source lines, from the places copied at the crash; reads no file."""
    places = [f'  File "{file}", line {line}, in {name}' for file, line, name in event.crash.frames]
    return "\n".join([*places, event.crash.error])
