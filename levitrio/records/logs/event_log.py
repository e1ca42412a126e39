"""The fleet's events as one ordered stream, in a bounded ring that readers follow by cursor.

A slow reader misses events and gets their number; it never slows the fleet.
"""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import attrs
import trio

CAPACITY = 10_000
"""Events kept: some hours of a normal run, or all of a minute in which every engine crashes."""


@attrs.frozen(kw_only=True)
class Event:
    """One event of an engine or of the fleet."""

    seq: int
    """From 1, without gaps; starts again in each run."""
    wall_ms: int
    """Wall clock, ms since 1970."""
    engine: str | None
    """Symbol; None for the fleet as a whole."""
    kind: str
    text: str
    data: "MappingProxyType[str, Any]"
    """Plain values only."""

    @property
    def ts(self) -> str:
        """The wall clock in UTC, as `2026-11-22T10:15:00.123Z`."""
        return iso_ms(self.wall_ms)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        head = {"seq": self.seq, "ts": self.ts, "engine": self.engine, "kind": self.kind}
        return {**head, "text": self.text, "data": dict(self.data)}


def iso_ms(wall_ms: int) -> str:
    """Milliseconds since 1970 as ISO 8601 in UTC, with milliseconds and `Z`."""
    seconds, ms = divmod(wall_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"


@attrs.frozen(kw_only=True)
class Backlog:
    """Events after a reader's cursor."""

    events: tuple[Event, ...]
    """Oldest first."""
    missed: int
    """Number of events after the cursor that are no longer kept."""


Sink = Callable[[Event], None]
"""Called on the loop for each event, in order; must neither block nor raise."""


class RecentEvents:
    """A sink that keeps the last few events of each engine, for the incident of its next crash."""

    def __init__(self, keep: int = 8) -> None:
        self._keep = keep
        self._of: dict[str, deque[Event]] = {}

    def __call__(self, event: Event) -> None:
        """Keep an event of an engine; events of the fleet are ignored."""
        if event.engine is not None:
            kept = self._of.get(event.engine)
            if kept is None:
                kept = self._of[event.engine] = deque(maxlen=self._keep)
            kept.append(event)

    def of(self, engine: str) -> tuple[Event, ...]:
        """The kept events of an engine, oldest first."""
        return tuple(self._of.get(engine, ()))


def _as_it_is(value: Any) -> Any:
    return value


class EventLog:
    """Numbers events, keeps the newest, and passes each to its sinks.

    `emit` is called on the thread of the loop only, also before and after a trio run.
    """

    def __init__(
        self,
        *,
        wall_clock_ms: Callable[[], int],
        capacity: int = CAPACITY,
        sinks: Sequence[Sink] = (),
        redact: Callable[[Any], Any] = _as_it_is,
    ) -> None:
        """Create an empty log.

        Args:
            wall_clock_ms: wall clock, ms since 1970.
            capacity: number of events kept.
            sinks: called with each event, in this order.
            redact: removes secrets from text and data before the event is kept or passed on.
        """
        self._wall_clock_ms = wall_clock_ms
        self._capacity = capacity
        self._sinks = list(sinks)
        self._ring: list[Event] = []
        self._last_seq = 0
        self._redact = redact
        self._lot = trio.lowlevel.ParkingLot()

    @property
    def last_seq(self) -> int:
        """Number of the newest event; 0 before the first."""
        return self._last_seq

    def add_sink(self, sink: Sink, *, with_past: bool = False) -> None:
        """Pass every event from now on to `sink`; `with_past`: first those that are kept."""
        for event in self.since(0).events if with_past else ():
            sink(event)
        self._sinks.append(sink)

    def emit(self, kind: str, text: str, engine: str | None = None, **data: Any) -> Event:
        """Add an event and wake readers; `data` must be plain values and is not copied.

        Args:
            kind: the event kind.
            text: one line for people.
            engine: the symbol; None for the fleet as a whole.
            data: further values by key.
        """
        self._last_seq += 1
        event = Event(
            seq=self._last_seq,
            wall_ms=self._wall_clock_ms(),
            engine=engine,
            kind=kind,
            text=self._redact(text),
            data=MappingProxyType(self._redact(data)),
        )
        if len(self._ring) < self._capacity:
            self._ring.append(event)
        else:
            self._ring[(event.seq - 1) % self._capacity] = event
        for sink in self._sinks:
            sink(event)
        self._lot.unpark_all()
        return event

    def since(self, seq: int, limit: int | None = None) -> Backlog:
        """Events after `seq`, oldest first, at most `limit`.

        A cursor from an earlier run (above `last_seq`) or below zero starts at the beginning.
        """
        cursor = seq if 0 <= seq <= self._last_seq else 0
        first = max(cursor, self._last_seq - len(self._ring)) + 1
        end = self._last_seq + 1 if limit is None else min(self._last_seq + 1, first + limit)
        events = tuple(self._ring[(n - 1) % self._capacity] for n in range(first, end))
        return Backlog(events=events, missed=first - cursor - 1)

    async def wait_newer(self, seq: int) -> None:
        """Wait until there is an event after `seq`; always a checkpoint."""
        await trio.lowlevel.checkpoint()
        while self._last_seq == seq:
            await self._lot.park()
