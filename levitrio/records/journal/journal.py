"""The journal as the fleet sees it: append, and know that it is durable.

One writer task hands batches to one thread. Everything that was queued while a commit ran
goes into the next one (group commit), so an idle journal commits at once and a busy one
amortises the fsync; nothing waits for company.

Two kinds of entries, told apart when a commit fails:

- *wishes* (an intent, a wanted state, a halt, ...): the caller of `append` is told, by
  JournalUnavailable, and must act as if it had not been said. They are not written later.
- *facts* (an outcome with its fills, and whatever came through `append_nowait`): they happened,
  so they are owed and written first once the journal works again. Nobody appends them twice.

After a failed commit the state is `failed`: every append is refused at once, `on_trouble` is
called once, and the writer tries to reopen with growing pauses: on a new connection after
"disk full" and the like, on a *new file* after an I/O error (see `sqlite/file.py`). Whether the
doubtful batch was committed is read from the file; intents in it whose callers were refused
are closed as `LOST`, for they were never sent.
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
"""Requests queued above which incidents are dropped and counted; records of money never are."""

RETRY_FIRST = 1.0
RETRY_MAX = 60.0
"""Seconds between attempts to reopen: verifying a large journal costs seconds of disk."""


@attrs.frozen(kw_only=True)
class JournalStatistics:
    """What the journal did so far."""

    queued: int
    """Requests not durable yet."""
    commits: int
    last_commit_seconds: float
    """From handing the batch to the thread until it was durable."""
    failed: str | None
    """Why nothing can be made durable; None when all is well."""
    dropped: int
    """Incidents lost because the queue was full."""


def _ignore(_text: str) -> None:
    pass


def _ignore_recovery() -> None:
    pass


class Journal:
    """SQLite file of everything that must survive `kill -9`.

    `open`, then `run` in a nursery, then `close`. `path` None keeps it in memory. `offload` runs
    the blocking parts; with `inline` it works under an autojumping clock. `on_trouble(reason)`
    and `on_recovery()` are called on the loop and must not raise.
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
        # In memory there is one connection, so a read waits for its turn.
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
        """After `open`: there was no journal, this one is new and empty."""
        return self._file is not None and self._file.created

    @property
    def token(self) -> int:
        """After `open`: 32 random bits that no other journal has; 0 in memory."""
        assert self._file is not None, "open() comes first"
        return self._file.token

    def open(self) -> History:
        """Create or verify the file and fold it; blocks, so before the fleet runs.

        Raises DamagedRecord with a repair hint, JournalUnavailable when the disk is the trouble.
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
        """Write until cancelled; what is queued then is written before it returns.

        After that `append` and `append_nowait` still work until `close`, each blocking the
        loop for its commit: the last words of a fleet that is ending.
        """
        assert self._state == "open", "open() comes first"
        self._state = "running"
        task_status.started()  # true now: what is appended will be written
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
            # No await here: it would need a shield. One fsync of a loop that is ending.
            self._state = "ending"
            self._commit_blocking()

    @property
    def last_seq(self) -> int:
        """The highest sequence that was reserved, or is in the file."""
        return self._next_seq - 1

    def reserve(self) -> int:
        """The sequence for the next intent: above every one in the file, never given twice."""
        seq = self._next_seq
        self._next_seq += 1
        return seq

    async def append(self, *entries: Entry) -> tuple[Fill, ...]:
        """Return once the entries are durable, all or none of them.

        Returns the fills among them that the journal had already: they are not recorded again,
        and must not be booked again.

        Raises JournalUnavailable when they cannot be made durable, at once while the journal is
        failed. An outcome is then owed and written later; do not append it again. ValueError: an
        entry that can never be stored, or a sequence used twice. Cancelled: the entries may
        still become durable.
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
        """Durable soon, in order. While the journal is failed the entries are owed.

        Raises ValueError for an entry that can never be stored, JournalUnavailable when closed.
        With a huge queue, entries that are all incidents are dropped and counted.
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
            self._hopeless = True  # no further attempt can help; a restart says what to type
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

        Raises JournalUnavailable when they cannot be read.
        """
        file = self._file
        if file is None or self._state == "closed":
            raise JournalUnavailable("expected an open journal")
        try:
            return await self._offload_read(lambda: file.incidents(symbol, limit))
        except (sqlite3.Error, DamagedRecord) as error:
            raise JournalUnavailable(f"incidents of {symbol}: {error}") from error

    def statistics(self) -> JournalStatistics:
        """A frozen view, cheap."""
        return JournalStatistics(
            queued=len(self._queue),
            commits=self._commits,
            last_commit_seconds=self._last_commit_seconds,
            failed=None if self._failure is None else self._failure.text,
            dropped=self._dropped,
        )

    def close(self) -> None:
        """Write what is queued, blocking, and end; harmless twice. After `run` has returned."""
        if self._state in ("new", "closed"):
            self._state = "closed"
            return
        assert self._state != "running", "cancel run() first"
        self._commit_blocking()
        self._state = "closed"
        assert self._file is not None
        self._file.close()
