"""What waits to be written to the journal, and what of it is still owed after a failure. Pure."""

import sqlite3
from collections import deque
from collections.abc import Iterable, Sequence

import attrs
import trio

from levitrio.records.journal.entries import Entry, IntentEntry, OutcomeEntry
from levitrio.records.journal.rows import Row, rows_of
from levitrio.records.journal.sqlite.database import result_code
from levitrio.trading.orders import Fill, OrderStatus


@attrs.define(eq=False)
class WriteRequest:
    """Entries that are written together or not at all."""

    entries: tuple[Entry, ...]
    rows: tuple[Row, ...]
    done: trio.Event | None = None
    """Set when it is settled; None: nobody waits."""
    duplicates: tuple[Fill, ...] = ()
    error: Exception | None = None

    def is_owed(self) -> bool:
        """It tells of facts: a failed commit does not undo them."""
        return self.done is None or any(isinstance(entry, OutcomeEntry) for entry in self.entries)


@attrs.frozen
class Failure:
    """Why a commit failed."""

    text: str
    new_file: bool
    """The same file must not be synced again."""


def failure_of(error: sqlite3.Error | OSError) -> Failure:
    """What an error of the disk means for the file."""
    suspect = result_code(error) == sqlite3.SQLITE_IOERR
    return Failure(f"the journal cannot make records durable: {error}", new_file=suspect)


def rows_of_all(entries: Sequence[Entry]) -> tuple[Row, ...]:
    """The rows of several entries; raises ValueError for what cannot be stored."""
    return tuple(row for entry in entries for row in rows_of(entry))


def owed(waiting: Iterable[WriteRequest]) -> deque[WriteRequest]:
    """What is left to write when the callers of all `waiting` are told of a failure."""
    return deque(attrs.evolve(request, done=None) for request in waiting if request.is_owed())


def owed_though_written(
    queue: Iterable[WriteRequest], batch: Sequence[WriteRequest]
) -> deque[WriteRequest]:
    """What is left to write when the commit of `batch` failed and is in the file after all.

    Its facts are not written twice. Its intents stand in the journal though their callers were
    refused and sent nothing, so each gets its end: `LOST`.
    """
    written = {id(request.rows) for request in batch if request.is_owed()}
    ends = [
        OutcomeEntry(
            client_id=entry.order.client_id,
            status=OrderStatus.LOST,
            reason="the journal failed, it was never sent",
            wall_ms=entry.wall_ms,
        )
        for request in batch
        if not request.is_owed()
        for entry in request.entries
        if isinstance(entry, IntentEntry)
    ]
    left = [request for request in queue if id(request.rows) not in written]
    return deque([*(WriteRequest((end,), rows_of_all((end,))) for end in ends), *left])
