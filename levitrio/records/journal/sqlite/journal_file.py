"""Creates, verifies and writes journal.db, and moves to a new file after an I/O error.

Everything here blocks and runs in the journal's thread. Rules of the file:

- WAL with synchronous=FULL: a commit that returned is on the disk.
- The journal makes the checkpoints, never inside a commit: SQLite ignores the failure of an
  automatic one.
- After a failed fsync the kernel may mark pages as written that are lost, so the same file is
  never synced again: `reopened(new_file=True)` copies what can be read into a new file, verifies
  it, and puts it in place of the old one. From the rename to `.rescue` on the copy is the
  journal; a start that finds a `.rescue` finishes the exchange.
"""

import heapq
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import attrs

from levitrio.errors import DamagedRecord, JournalUnavailable
from levitrio.records.journal.entries import Entry, IncidentEntry
from levitrio.records.journal.rows import Row, checked, checksum, entries_of
from levitrio.records.journal.sqlite import tables
from levitrio.records.journal.sqlite.database import (
    TRANSIENT,
    Connect,
    beside,
    check_kind,
    connect,
    create,
    exists,
    finish_rescue,
    result_code,
    sync,
)
from levitrio.trading.orders import Fill

INCIDENTS_KEPT = 1_000
"""Per symbol: an engine that crashes for weeks must not fill the disk that fills need."""

CHECKPOINT_COMMITS = 200
"""Commits between two checkpoints: a few MB of WAL, so that recovery after a kill is short.
Commits are counted, not bytes, because a WAL that is reused keeps its size."""

FULL_CHECK_BYTES = 64 * 2**20
"""Up to this size the indexes are verified at open too; above, that would take seconds."""


class Written(NamedTuple):
    """Result of one request of a committed batch."""

    duplicates: tuple[Fill, ...]
    """Its fills that the journal had already."""
    refused: str
    """Why the request was left out; empty when it was written."""


@attrs.define(eq=False)
class JournalFile:
    """An open, verified journal file. One thread at a time; the caller closes it."""

    path: Path | None
    """None keeps it in memory."""
    created: bool
    """Whether `open` created the file."""
    _connect: Connect
    _connection: sqlite3.Connection
    batch: int = 0
    """Number of the newest committed transaction."""
    position: int = 0
    """Position of the newest row."""
    token: int = 0
    """Tells its orders from those of any other journal."""
    last_seq: int = 0
    """Highest sequence of an intent."""
    _inode: int = 0

    @classmethod
    def open(
        cls, path: Path | None, connect: Connect = connect, *, may_create: bool = True
    ) -> "JournalFile":
        """Create the file, or open and verify it.

        Raises:
            DamagedRecord: the file is damaged or not ours; nothing was changed, and the text
                says what to do.
            JournalUnavailable: the disk or the machine, not the file, is the cause.
        """
        if path is None:
            connection = connect("file::memory:")
            for statement in tables.STATEMENTS:
                connection.execute(statement)
            return cls(path, True, connect, connection)
        try:
            finish_rescue(path)
            created = not exists(path)
            if created and not may_create:
                raise JournalUnavailable(f"{path}: expected the journal, it is gone")
            if created:
                create(path, connect)
            check_kind(path)
            inode = path.lstat().st_ino
            connection = connect(path.absolute().as_uri() + "?mode=rw")
        except (OSError, sqlite3.Error) as error:
            raise JournalUnavailable(f"{path}: expected a journal to open: {error}") from error
        journal = cls(path, created, connect, connection, inode=inode)
        try:
            journal._verify()
        except BaseException:
            connection.close()
            raise
        return journal

    def _verify(self) -> None:
        run = self._connection.execute
        try:
            found = (_one(run, "PRAGMA application_id"), _one(run, "PRAGMA user_version"))
            if found[0] != tables.APPLICATION_ID:
                raise DamagedRecord(f"{self.path}: expected our journal, it is another database")
            version = found[1]
            if version not in (tables.VERSION, *tables.UPGRADES):
                raise DamagedRecord(
                    f"{self.path}: expected layout {tables.VERSION}, found {version}:"
                    " use the levitrio that wrote it, or a newer one"
                )
            run("PRAGMA journal_mode = WAL")
            run("PRAGMA synchronous = FULL")
            run("PRAGMA wal_autocheckpoint = 0")
            small = self.path is None or self.path.stat().st_size <= FULL_CHECK_BYTES
            verdict = _one(run, f"PRAGMA {'integrity_check' if small else 'quick_check'}(1)")
            if verdict != "ok":
                raise DamagedRecord(f"{self.path}: {verdict}; {self._hint()}")
            progress = run("SELECT batch, position FROM progress").fetchone()
            if progress is None or not all(type(each) is int for each in progress):
                raise DamagedRecord(
                    f"{self.path}: expected two numbers in `progress`, found {progress!r:.80};"
                    f" {self._hint()}"
                )
            self.batch, self.position = progress
            self.last_seq = _one(run, "SELECT coalesce(max(seq), 0) FROM intents")
            newest = max(
                _one(run, f"SELECT coalesce(max(position), 0) FROM {table}")  # noqa: S608  ours
                for table in tables.tables(version)
            )
        except (sqlite3.Error, OSError, TypeError, UnicodeDecodeError) as error:
            if isinstance(error, OSError) or result_code(error) in TRANSIENT:
                raise JournalUnavailable(f"{self.path}: {error}") from error
            raise DamagedRecord(f"{self.path}: {error}; {self._hint()}") from error
        if newest > self.position:
            raise DamagedRecord(
                f"{self.path}: expected no record above {self.position}, found {newest};"
                f" {self._hint()}"
            )
        if version != tables.VERSION:
            self._upgrade(version)
        self.token = _one(self._connection.execute, "SELECT token FROM progress")

    def _upgrade(self, version: int) -> None:
        """Upgrade an older layout in one transaction; no existing row is rewritten."""
        run = self._connection.execute
        try:
            run("BEGIN IMMEDIATE")
            for step in range(version, tables.VERSION):
                for statement in tables.UPGRADES[step]:
                    run(statement)
            run("COMMIT")
        except sqlite3.Error as error:
            # The caller closes the connection, which rolls the transaction back.
            wanted = f"expected to bring layout {version} to {tables.VERSION}"
            raise JournalUnavailable(f"{self.path}: {wanted}: {error}") from error

    def _hint(self) -> str:
        return (
            f"nothing was changed: keep a copy, see `levi journal check`,"
            f" restore a backup or move {self.path} away to start without history"
        )

    def entries(self) -> Iterator[Entry]:
        """Yield all entries in journal order.

        Raises:
            DamagedRecord: at the first damaged row.
            JournalUnavailable: the disk or the machine, not the file, is the cause.
        """
        rows = (self._rows(table) for table in tables.COLUMNS)
        try:
            yield from entries_of(heapq.merge(*rows))
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if result_code(error) in TRANSIENT:
                raise JournalUnavailable(f"{self.path}: {error}") from error
            raise DamagedRecord(f"{self.path}: {error}; {self._hint()}") from error
        except DamagedRecord as error:
            raise DamagedRecord(f"{self.path}: {error}; {self._hint()}") from error

    def _rows(self, table: str) -> Iterator[tuple[int, str, tuple[Any, ...]]]:
        for raw in self._connection.execute(tables.select(table)):
            if type(raw[0]) is not int:
                raise DamagedRecord(f"table {table}: expected a position, got {raw[0]!r:.80}")
            yield raw[0], table, raw

    def write(self, requests: Sequence[Sequence[Row]]) -> list[Written]:
        """Write all requests, in order, in one durable transaction.

        Only a request that contradicts the journal (a sequence used twice) is left out.

        Raises:
            sqlite3.Error: the transaction failed. Whether it is in the file is then unknown until
                the journal is reopened and its `batch` compared.
            OSError: the file cannot be found, or was replaced.
        """
        if self.path is not None and self.path.stat().st_ino != self._inode:
            # SQLite would go on writing to a file that has no name any more.
            raise FileNotFoundError(f"{self.path}: expected the file we opened, it was replaced")
        run = self._connection.execute
        position = self.position
        results: list[Written] = []
        try:
            run("BEGIN IMMEDIATE")
            for rows in requests:
                run("SAVEPOINT request")
                try:
                    duplicates, end = self._insert(rows, position)
                except sqlite3.IntegrityError as error:
                    run("ROLLBACK TO request")
                    results.append(Written((), str(error)))
                else:
                    position = end
                    results.append(Written(duplicates, ""))
                run("RELEASE request")
            run("UPDATE progress SET batch = ?, position = ?", (self.batch + 1, position))
            run("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):  # the first error is the one to report
                    run("ROLLBACK")
            raise
        self.batch += 1
        self.position = position
        return results

    def _insert(self, rows: Sequence[Row], position: int) -> tuple[tuple[Fill, ...], int]:
        run = self._connection.execute
        duplicates = []
        for row in rows:
            position += 1
            crc = checksum(row.table, position, row.values)
            done = run(tables.insert(row.table), (position, *row.values, crc)).rowcount
            if row.fill is not None and not done:
                duplicates.append(row.fill)
            elif row.table == "incidents":
                symbol = row.values[0]
                run(
                    "DELETE FROM incidents WHERE symbol = ? AND position <= (SELECT position"
                    " FROM incidents WHERE symbol = ? ORDER BY position DESC LIMIT 1 OFFSET ?)",
                    (symbol, symbol, INCIDENTS_KEPT),
                )
            elif row.table == "market_time":
                run(  # only the highest counts
                    "DELETE FROM market_time"
                    " WHERE market_ms < (SELECT max(market_ms) FROM market_time)"
                )
        return tuple(duplicates), position

    def checkpoint(self) -> None:
        """Move the WAL into the main file.

        Raises:
            sqlite3.Error: the disk refused.
        """
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def incidents(self, symbol: str, limit: int) -> tuple[IncidentEntry, ...]:
        """The newest incidents of a symbol, newest first, on a connection of its own."""
        if self.path is None:
            return _incidents(self._connection, symbol, limit)
        with closing(self._connect(self.path.absolute().as_uri() + "?mode=ro")) as connection:
            return _incidents(connection, symbol, limit)

    def reopened(self, *, new_file: bool) -> "JournalFile":
        """Open and verify the journal on a new connection; with `new_file` on a copy of the file.

        Closes this one. After an exception it may be called again.

        Raises:
            DamagedRecord: the file or its copy is damaged.
            JournalUnavailable: the disk or the machine, not the file, is the cause.
            OSError: the copy cannot be made durable or renamed.
            sqlite3.Error: the file cannot be read to copy it.
        """
        if self.path is None:
            return self
        if new_file and not exists(beside(self.path, ".rescue")):
            _copy_out(self.path, self._connect)
        self.close()
        return JournalFile.open(self.path, self._connect, may_create=False)

    def close(self) -> None:
        """Close the connection; a clean close leaves one file without a WAL."""
        self._connection.close()


def _incidents(
    connection: sqlite3.Connection, symbol: str, limit: int
) -> tuple[IncidentEntry, ...]:
    columns = ", ".join(tables.COLUMNS["incidents"])
    rows = connection.execute(
        f"SELECT position, {columns}, crc FROM incidents"  # noqa: S608  our own column names
        " WHERE symbol = ? ORDER BY position DESC LIMIT ?",
        (symbol, max(0, limit)),
    ).fetchall()
    found = (checked("incidents", row) for row in rows)
    return tuple(entry for entry in found if isinstance(entry, IncidentEntry))


def _one(run: Callable[[str], sqlite3.Cursor], statement: str) -> Any:
    return run(statement).fetchone()[0]


def _copy_out(path: Path, connect: Connect) -> None:
    part = beside(path, ".part")
    for leftover in (part, beside(part, "-wal"), beside(part, "-shm")):
        leftover.unlink(missing_ok=True)
    with closing(connect(path.absolute().as_uri() + "?mode=ro")) as source:
        source.execute("VACUUM INTO ?", (str(part.absolute()),))
        progress = source.execute("SELECT batch, position FROM progress").fetchone()
    part.chmod(0o600)
    sync(part)
    copy = JournalFile.open(part, connect)  # verifies the pages
    with closing(copy):
        for _ in copy.entries():
            pass  # verifies each row
    if (copy.batch, copy.position) != tuple(progress):
        raise DamagedRecord(f"{part}: expected {progress}, copied {copy.batch, copy.position}")
    os.rename(part, beside(path, ".rescue"))  # noqa: PTH104
    sync(path.parent)
