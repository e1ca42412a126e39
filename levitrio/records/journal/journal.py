"""Appends entries to the journal and returns when they are durable.

One writer task hands batches to one thread. Everything that is queued while a commit runs goes
into the next one (group commit): an idle journal commits at once, a busy one amortises the
fsync, and no entry waits for others to join it.

When a commit fails, two kinds of entries are treated differently:

- *wishes* (an intent, a wanted state, a halt, ...): the caller of `append` gets
  JournalUnavailable and must act as if it had not asked. They are not written later.
- *facts* (an outcome with its fills, and all entries given to `append_nowait`): they happened,
  so the journal keeps them and writes them first once it works again. Callers must not append
  them again.

After a failed commit every append is refused at once, `on_trouble` is called once, and the
writer tries to reopen with growing pauses: on a new connection after "disk full" and the like,
in a *new file* after an I/O error (see `sqlite/journal_file.py`). Whether the failed batch was
committed after all is read from the file; intents in it whose callers were refused are closed
as `LOST`, because they were never sent.
"""

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
import trio

from levitrio.errors import DamagedRecord, JournalUnavailable
from levitrio.records.journal.entries import Entry, History, IncidentEntry
from levitrio.records.journal.folding import fold
from levitrio.records.journal.sqlite.database import Connect, connect
from levitrio.records.journal.sqlite.journal_file import CHECKPOINT_COMMITS, JournalFile, Written
from levitrio.records.journal.write_requests import (
    Failure,
    WriteRequest,
    failure_of,
    owed,
    owed_though_written,
    rows_of_all,
)
from levitrio.records.worker_threads import Offload, in_threads
from levitrio.trading.orders import Fill

QUEUE_LIMIT = 100_000
"""Queued requests above which incidents are dropped and counted; records of money never are."""

RETRY_FIRST = 1.0
"""Seconds before the first attempt to reopen."""
RETRY_MAX = 60.0
"""Seconds; the longest pause, because verifying a large journal costs seconds of disk time."""


@attrs.frozen(kw_only=True)
class JournalStatistics:
    """Counters and state of the journal at one moment."""

    queued: int
    """Requests not durable yet."""
    commits: int
    last_commit_seconds: float
    """From handing the batch to the thread until it was durable."""
    failed: str | None
    """Why no entry can be made durable; None while the journal works."""
    dropped: int
    """Incidents lost because the queue was full."""


def _ignore(_text: str) -> None:
    pass


def _ignore_recovery() -> None:
    pass


class Journal:
    """SQLite file of everything that must survive `kill -9`.

    Call `open`, then `run` in a nursery, then `close`.

    Args:
        path: the file; None keeps the journal in memory.
        offload: runs the blocking parts; `inline` for an autojumping clock.
        on_trouble: called with the reason, on the loop, when a commit fails or a request is
            refused; must not raise.
        on_recovery: called on the loop when the journal works again; must not raise.
        connect: opens a connection to a SQLite URI.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        offload: Offload | None = None,
        on_trouble: Callable[[str], None] = _ignore,
        on_recovery: Callable[[], None] = _ignore_recovery,
        connect: Connect = connect,
    ) -> None:
        self._path = path
        self._offload: Offload = offload or in_threads(1)
        # In memory there is one connection, so reads share the writer's thread.
        self._offload_read: Offload = offload or (self._offload if path is None else in_threads(1))
        self._on_trouble = on_trouble
        self._on_recovery = on_recovery
        self._connect = connect
        self._file: JournalFile | None = None
        self._queue: deque[WriteRequest] = deque()
        self._doubtful: tuple[WriteRequest, ...] = ()
        self._doubtful_batch = 0
        self._lot = trio.lowlevel.ParkingLot()
        self._next_seq = 1
        self._state = "new"
        self._failure: Failure | None = None
        self._hopeless = False
        self._commits = 0
        self._last_commit_seconds = 0.0
        self._dropped = 0

    @property
    def created(self) -> bool:
        """After `open`: whether there was no journal, and this one is new and empty."""
        return self._file is not None and self._file.created

    @property
    def token(self) -> int:
        """After `open`: 32 random bits that no other journal has; 0 in memory."""
        assert self._file is not None, "open() comes first"
        return self._file.token

    def open(self) -> History:
        """Create or verify the file and fold it; blocks, so call it before the fleet runs.

        Raises:
            DamagedRecord: the file is damaged; the text says how to repair it.
            JournalUnavailable: the disk or the machine, not the file, is the cause.
        """
        file = JournalFile.open(self._path, self._connect)
        try:
            history = fold(file.entries())
        except BaseException:
            file.close()
            raise
        self._file = file
        self._next_seq = file.last_seq + 1
        self._state = "open"
        return history

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until cancelled; requests still queued are then written before it returns.

        After that `append` and `append_nowait` still work until `close`, each blocking the
        loop for its commit, so that a fleet that is ending can record its last entries.
        """
        assert self._state == "open", "open() comes first"
        self._state = "running"
        task_status.started()  # from now on appended entries are written
        retry_after = RETRY_FIRST
        try:
            while True:
                if self._failure is None:
                    retry_after = RETRY_FIRST
                    while not self._queue:
                        await self._lot.park()
                    await self._commit()
                elif self._hopeless:
                    await trio.sleep_forever()
                else:
                    await trio.sleep(retry_after)
                    retry_after = min(retry_after * 2, RETRY_MAX)
                    await self._recover()
        finally:
            # No await, which would need a shield: blocks the ending loop for one fsync.
            self._state = "ending"
            self._commit_blocking()

    @property
    def last_seq(self) -> int:
        """The highest sequence that was reserved or is in the file."""
        return self._next_seq - 1

    def reserve(self) -> int:
        """Return the sequence of the next intent: above all in the file, never returned twice."""
        seq = self._next_seq
        self._next_seq += 1
        return seq

    async def append(self, *entries: Entry) -> tuple[Fill, ...]:
        """Make the entries durable, all or none of them.

        Cancelled, the entries may still become durable.

        Returns:
            The fills among them that the journal had already: they are not recorded again, and
            must not be applied to a position again.

        Raises:
            JournalUnavailable: they cannot be made durable; at once after a failed commit. An
                outcome is then kept and written later: do not append it again.
            ValueError: an entry can never be stored, or its sequence was used already.
        """
        request = WriteRequest(entries, rows_of_all(entries), trio.Event())
        assert request.done is not None
        self._accept(request)
        if self._state == "ending":
            self._commit_blocking()
        await request.done.wait()
        if request.error is not None:
            raise request.error
        return request.duplicates

    def append_nowait(self, *entries: Entry) -> None:
        """Queue the entries to be written in order; after a failed commit they are kept for later.

        Above `QUEUE_LIMIT` requests, a call with nothing but incidents is dropped and counted.

        Raises:
            ValueError: an entry can never be stored.
            JournalUnavailable: the journal is closed.
        """
        if len(self._queue) >= QUEUE_LIMIT and all(isinstance(e, IncidentEntry) for e in entries):
            self._dropped += 1
            return
        self._accept(WriteRequest(entries, rows_of_all(entries)))
        if self._state == "ending":
            self._commit_blocking()

    def _accept(self, request: WriteRequest) -> None:
        if self._state == "closed":
            raise JournalUnavailable("expected an open journal, it is closed")
        if self._failure is not None and not request.is_owed():
            raise JournalUnavailable(self._failure.text)
        self._queue.append(request)
        if self._failure is not None and request.done is not None:
            raise JournalUnavailable(f"{self._failure.text} (kept in memory until it works again)")
        self._lot.unpark_all()

    async def _commit(self) -> None:
        batch = tuple(self._queue)  # stays queued, so that a cancellation loses nothing
        begun = trio.current_time()
        self._settle(batch, await self._offload(lambda: self._write(batch)))
        self._last_commit_seconds = trio.current_time() - begun
        if self._failure is None and self._commits % CHECKPOINT_COMMITS == 0:
            failure = await self._offload(self._checkpoint)
            if failure is not None:
                self._fail(failure)

    def _commit_blocking(self) -> None:
        if self._failure is not None and not self._hopeless:
            self._resume(self._reopen())
        if self._failure is None and self._queue:
            batch = tuple(self._queue)
            self._settle(batch, self._write(batch))

    def _write(self, batch: Sequence[WriteRequest]) -> list[Written] | Failure:
        assert self._file is not None
        try:
            return self._file.write([request.rows for request in batch])
        except (sqlite3.Error, OSError) as error:
            return failure_of(error)

    def _checkpoint(self) -> Failure | None:
        assert self._file is not None
        try:
            self._file.checkpoint()
        except (sqlite3.Error, OSError) as error:
            return failure_of(error)
        return None

    def _settle(self, batch: Sequence[WriteRequest], outcome: list[Written] | Failure) -> None:
        if isinstance(outcome, Failure):
            assert self._file is not None
            self._doubtful, self._doubtful_batch = tuple(batch), self._file.batch + 1
            self._fail(outcome)
            return
        self._commits += 1
        for request, written in zip(batch, outcome, strict=True):
            self._queue.popleft()
            request.duplicates = written.duplicates
            if written.refused:
                request.error = ValueError(f"{request.entries}: {written.refused}")
                if request.done is None:
                    self._on_trouble(str(request.error))
            if request.done is not None:
                request.done.set()

    def _fail(self, failure: Failure) -> None:
        self._failure = failure
        waiting, self._queue = self._queue, owed(self._queue)
        for request in waiting:
            if request.done is not None:
                request.error = JournalUnavailable(failure.text)
                request.done.set()
        self._on_trouble(failure.text)

    async def _recover(self) -> None:
        self._resume(await self._offload(self._reopen))

    def _reopen(self) -> JournalFile | Exception:
        assert self._file is not None
        assert self._failure is not None
        try:
            return self._file.reopened(new_file=self._failure.new_file)
        except (DamagedRecord, JournalUnavailable, sqlite3.Error, OSError) as error:
            return error

    def _resume(self, outcome: JournalFile | Exception) -> None:
        assert self._failure is not None
        if isinstance(outcome, DamagedRecord):
            # Reopening again cannot help; the next start of the fleet says what to type.
            self._hopeless = True
            self._failure = Failure(str(outcome), new_file=False)
            self._on_trouble(self._failure.text)
            return
        if isinstance(outcome, Exception):
            return
        self._file = outcome
        if self._doubtful and outcome.batch >= self._doubtful_batch:
            self._queue = owed_though_written(self._queue, self._doubtful)
        self._doubtful = ()
        self._failure = None
        self._on_recovery()

    async def incidents(self, symbol: str, limit: int = 20) -> tuple[IncidentEntry, ...]:
        """The newest incidents of a symbol, newest first; read off the loop.

        Raises:
            JournalUnavailable: they cannot be read, or the journal is not open.
        """
        file = self._file
        if file is None or self._state == "closed":
            raise JournalUnavailable("expected an open journal")
        try:
            return await self._offload_read(lambda: file.incidents(symbol, limit))
        except (sqlite3.Error, DamagedRecord) as error:
            raise JournalUnavailable(f"incidents of {symbol}: {error}") from error

    def statistics(self) -> JournalStatistics:
        """Counters and state at this moment; cheap."""
        return JournalStatistics(
            queued=len(self._queue),
            commits=self._commits,
            last_commit_seconds=self._last_commit_seconds,
            failed=None if self._failure is None else self._failure.text,
            dropped=self._dropped,
        )

    def close(self) -> None:
        """Write what is queued, blocking, and close the file; a second call does nothing.

        Call it after `run` has returned.
        """
        if self._state in ("new", "closed"):
            self._state = "closed"
            return
        assert self._state != "running", "cancel run() first"
        self._commit_blocking()
        self._state = "closed"
        assert self._file is not None
        self._file.close()
