"""Live updates of the page: snapshots of the fleet, sent to each reader as the rows that changed.

While there are readers, the rows are read twice a second; each reading is a picture. Each row
remembers the picture in which it last changed, so a reader that was slow for ten pictures gets
each changed row once, as it is now, and the number of pictures it missed. No reader has a queue.
"""

import os

import attrs
import trio

from levitrio.control.responses import encode
from levitrio.control.status_document import EngineStatus
from levitrio.http.fleet_interface import WebFleetApi

PERIOD = 0.5
"""Seconds between two pictures; people cannot read numbers that change faster."""

EVENTS = 200
"""Events in one message; a reader further behind gets the number of missed ones."""

SLICE = 8
"""Rows read and compared between two checkpoints; they take half a millisecond."""

SHARE = 0.1
"""Largest share of the time spent on pictures; with many engines they come more rarely."""

PERIOD_MAX = 0.9
"""Seconds; so a crash is on the page within one second."""

COLUMNS = (
    "symbol",
    "status",
    "wanted",
    "incarnation",
    "restarts",
    "next_restart_in",
    "uptime_seconds",
    "price",
    "position",
    "daily_pnl",
    "total_pnl",
    "trade_count",
    "ticks",
    "data_age",
    "last_error",
)
"""Members of a row in the order they are sent, without their names; main.js has the same."""

_COARSE = frozenset({"next_restart_in", "uptime_seconds", "data_age"})
"""Shown as whole seconds: a tenth of a second would change every row in every picture."""

ERROR_SHOWN = 160


@attrs.define(eq=False)
class Cursor:
    """The newest event and picture that one reader has."""

    since: int
    """`seq` of the newest event it has."""
    picture: int = 0
    """Number of the newest picture it has; 0: none."""


@attrs.define(eq=False)
class LiveUpdates:
    """Takes pictures while it has readers; `run` it in a nursery, `open` and `close` readers."""

    fleet: WebFleetApi
    readers: int = 0
    _number: int = 0
    """Number of the newest picture."""
    _head: bytes = b"{}"
    _rows: dict[str, tuple[bytes, int]] = attrs.field(factory=dict)
    """By symbol: its row as JSON, and the picture in which it last changed."""
    _gone: dict[str, int] = attrs.field(factory=dict)
    """By symbol that left the fleet: the picture in which it left."""
    _newest: tuple[int, bytes] = (-1, b"")
    """Message for readers that have the picture before; shared, because nearly all do."""
    _taken: trio.Event = attrs.field(factory=trio.Event)
    _wanted: trio.Event = attrs.field(factory=trio.Event)

    async def run(self) -> None:
        """Take pictures until cancelled, at most twice a second; none without readers."""
        while True:
            if not self.readers:
                self._wanted = trio.Event()
                await self._wanted.wait()
            begun = trio.current_time()
            await self.take_picture()
            self._taken.set()  # wakes the readers that wait for this picture
            self._taken = trio.Event()
            took = trio.current_time() - begun
            await trio.sleep_until(begun + min(PERIOD_MAX, max(PERIOD, took / SHARE)))

    async def take_picture(self) -> None:
        """Read every row and note which have changed."""
        number = self._number + 1
        known = self.fleet.symbols()
        for index, symbol in enumerate(tuple(known), start=1):
            if symbol in known:  # a reload may have removed it meanwhile
                now, before = encode(shown(self.fleet.row(symbol))), self._rows.get(symbol)
                if before is None or before[0] != now:
                    self._rows[symbol] = (now, number)
            if index % SLICE == 0:
                await trio.lowlevel.checkpoint()
        # After the loop, which has checkpoints: `known` is a live view and is now up to date.
        for symbol in self._rows.keys() - known:
            del self._rows[symbol]
            self._gone[symbol] = number
        for symbol in self._gone.keys() & known:
            del self._gone[symbol]
        self._head = encode(self.fleet.summary())
        self._number = number
        await trio.lowlevel.checkpoint()

    def open(self, since: int) -> Cursor:
        """Add a reader that has the event log up to `since`; pair it with `close`."""
        self.readers += 1
        self._wanted.set()
        return Cursor(since)

    def close(self) -> None:
        """Remove a reader."""
        self.readers -= 1

    async def wait_message(self, cursor: Cursor) -> bytes:
        """Wait for a picture this reader does not have; returns its next message."""
        await trio.lowlevel.checkpoint()
        while self._number <= cursor.picture or not self._number:
            await self._taken.wait()
        return self.message(cursor)

    def message(self, cursor: Cursor) -> bytes:
        """Server-sent events with what changed since the cursor; moves the cursor on.

        First `status` (head of the status document, changed rows, removed symbols, number of
        skipped pictures), then `events` if there are new ones.
        """
        picture, cursor.picture = cursor.picture, self._number
        # Readers in step share one message: encoding it once serves 32 pages.
        if picture == self._number - 1 and self._newest[0] == self._number:
            status = self._newest[1]
        else:
            status = self._status(picture)
            if picture == self._number - 1:
                self._newest = (self._number, status)
        return status + self._events(cursor)

    def _status(self, picture: int) -> bytes:
        rows = b",".join(row for row, changed in self._rows.values() if changed > picture)
        # A reader without a picture gets every row (`full`), so nothing is gone for it.
        gone = [symbol for symbol, changed in self._gone.items() if changed > picture > 0]
        skipped = self._number - picture - 1 if picture else 0
        full = b"false" if picture else b"true"
        return (
            b'event: status\ndata: {"full":%s,"skipped":%d,"gone":%s,"fleet":%s,"rows":[%s]}\n\n'
            % (full, skipped, encode(gone), self._head, rows)
        )

    def _events(self, cursor: Cursor) -> bytes:
        batch = self.fleet.events(cursor.since, EVENTS)
        missed = batch.missed
        if len(batch.events) == EVENTS:
            # This reader lags: send the newest events, which a person wants to see.
            since = cursor.since
            batch = self.fleet.events(None, EVENTS)
            missed = max(missed, int(batch.events[0]["seq"]) - since - 1)
        cursor.since = batch.next_since
        if not batch.events:
            return b""
        body = encode({"missed": missed, "events": list(batch.events)})
        return b"id: %s\nevent: events\ndata: %s\n\n" % (event_id(cursor.since), body)


def event_id(seq: int) -> bytes:
    """The id a browser sends when it reconnects; with the pid, as `seq` restarts per process."""
    return b"%d-%d" % (os.getpid(), seq)


def since_of(text: str) -> int | None:
    """The event number in an id of this process; None for any other text."""
    process, _, seq = text.partition("-")
    is_ours = process == str(os.getpid()) and seq.isascii() and seq.isdigit() and len(seq) < 16
    return int(seq) if is_ours else None


def shown(row: EngineStatus) -> list[object]:
    """A row of the status document as the values of `COLUMNS`."""
    found: list[object] = []
    for name in COLUMNS:
        value = row.get(name)
        if isinstance(value, float) and name in _COARSE:
            value = round(value)
        elif isinstance(value, str) and name == "last_error":
            value = value[:ERROR_SHOWN]
        found.append(value)
    return found
