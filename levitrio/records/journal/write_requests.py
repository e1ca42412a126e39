"""Requests that wait to be written to the journal, and which remain after a failure. Pure."""

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
    """Set when the request is written or has failed; None when no caller waits."""
    duplicates: tuple[Fill, ...] = ()
    """Fills of the request that the journal had already."""
    error: Exception | None = None

    def is_owed(self) -> bool:
        """Whether it must still be written after a failed commit, because it records facts."""
        return self.done is None or any(isinstance(entry, OutcomeEntry) for entry in self.entries)


@attrs.frozen
class Failure:
    """Why a commit failed."""

    text: str
    new_file: bool
    """Whether the journal must go on in a new file, because this one must not be synced again."""


def failure_of(error: sqlite3.Error | OSError) -> Failure:
    """Tell from an error of SQLite or the disk whether the same file can be used again."""
    suspect = result_code(error) == sqlite3.SQLITE_IOERR
    return Failure(f"the journal cannot make records durable: {error}", new_file=suspect)


def rows_of_all(entries: Sequence[Entry]) -> tuple[Row, ...]:
    """The rows of several entries.

    Raises:
        ValueError: a value cannot be stored.
    """
    return tuple(row for entry in entries for row in rows_of(entry))


def owed(waiting: Iterable[WriteRequest]) -> deque[WriteRequest]:
    """Requests still to be written after a failed commit, whose callers no longer wait."""
    return deque(attrs.evolve(request, done=None) for request in waiting if request.is_owed())


def owed_though_written(
    queue: Iterable[WriteRequest], batch: Sequence[WriteRequest]
) -> deque[WriteRequest]:
    """Requests still to be written when the commit of `batch` failed but is in the file.

    Its facts are not written twice. Its intents are in the journal although their callers got
    `JournalUnavailable` and sent nothing, so each is closed with an outcome `LOST`.
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
