"""journal.db itself: creating, verifying, writing, and starting over after an I/O error.

Everything here blocks and runs in the journal's thread. Rules of the file:

- WAL with synchronous=FULL: a commit that returned is on the disk.
- Checkpoints are made by us, never inside a commit: SQLite ignores a failing automatic one.
- After a failed fsync the kernel may believe pages written that are lost, so the same file is
  never synced again: `reopened(new_file=True)` copies what can be read into a new file,
  verifies it, and puts it in the old one's place. The rename to `.rescue` is the moment it
  counts; a start that finds a `.rescue` finishes the exchange.
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
"""Per symbol: a crash loop of weeks must not fill the disk that money records need."""

CHECKPOINT_COMMITS = 200
"""A few MB of WAL: keeps recovery after a kill short. Commits are counted, not bytes: a WAL
that starts over keeps its size."""

FULL_CHECK_BYTES = 64 * 2**20
"""Up to here the indexes are verified at open too; above, that would delay a start by seconds."""


class Written(NamedTuple):
    """What became of one request of a committed batch."""

    duplicates: tuple[Fill, ...]
    """Its fills that the journal had already."""
    refused: str
    """Why the request was left out; empty when it is in."""


@attrs.define(eq=False)
class JournalFile:
    """An open, verified journal. One thread at a time; `close` when done."""

    path: Path | None
    """None: in memory."""
    created: bool
    _connect: Connect
    _connection: sqlite3.Connection
    batch: int = 0
    """Number of the newest committed transaction."""
    position: int = 0
    token: int = 0
    """Tells its orders from those of any other journal."""
    last_seq: int = 0
    """Highest sequence of an intent."""
    _inode: int = 0

    @classmethod
    def open(
        cls, path: Path | None, connect: Connect = connect, *, may_create: bool = True
    ) -> "JournalFile":
        """Create or verify.

        Raises DamagedRecord with a hint, and has changed nothing then; JournalUnavailable when
        the disk, not the file, is the trouble.
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
        """Bring an older layout to ours, whole or not at all; nothing of it is rewritten."""
        run = self._connection.execute
        try:
            run("BEGIN IMMEDIATE")
            for step in range(version, tables.VERSION):
                for statement in tables.UPGRADES[step]:
                    run(statement)
            run("COMMIT")
        except sqlite3.Error as error:
            # What is open is rolled back with the connection, which the caller closes.
            wanted = f"expected to bring layout {version} to {tables.VERSION}"
            raise JournalUnavailable(f"{self.path}: {wanted}: {error}") from error

    def _hint(self) -> str:
        return (
            f"nothing was changed: keep a copy, see `levi journal check`,"
            f" restore a backup or move {self.path} away to start without history"
        )

    def entries(self) -> Iterator[Entry]:
        """Everything remembered, in journal order.

        Raises DamagedRecord at the first bad row, JournalUnavailable when it cannot be read.
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
        """One durable transaction of all requests, in order.

        A request that contradicts the journal (a sequence used twice) is left out alone.
        Raises sqlite3.Error or OSError when the transaction failed; whether it is in the file
        is then unknown until the journal is reopened and its `batch` looked at.
        """
        if self.path is not None and self.path.stat().st_ino != self._inode:
            # SQLite would go on writing to a file that no name leads to.
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
        """Move the WAL into the main file; raises sqlite3.Error."""
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def incidents(self, symbol: str, limit: int) -> tuple[IncidentEntry, ...]:
        """The newest incidents of a symbol, newest first, on a connection of its own."""
        if self.path is None:
            return _incidents(self._connection, symbol, limit)
        with closing(self._connect(self.path.absolute().as_uri() + "?mode=ro")) as connection:
            return _incidents(connection, symbol, limit)

    def reopened(self, *, new_file: bool) -> "JournalFile":
        """The journal on a new connection, verified; on a new file when the old one's is suspect.

        Closes this one. Raises DamagedRecord, JournalUnavailable, OSError or sqlite3.Error when
        that is impossible, and may be called again.
        """
        if self.path is None:
            return self
        if new_file and not exists(beside(self.path, ".rescue")):
            _copy_out(self.path, self._connect)
        self.close()
        return JournalFile.open(self.path, self._connect, may_create=False)

    def close(self) -> None:
        """End the connection; a clean close leaves one file without a WAL."""
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
    copy = JournalFile.open(part, connect)  # verifies
    with closing(copy):
        for _ in copy.entries():
            pass  # verifies each row
    if (copy.batch, copy.position) != tuple(progress):
        raise DamagedRecord(f"{part}: expected {progress}, copied {copy.batch, copy.position}")
    os.rename(part, beside(path, ".rescue"))  # noqa: PTH104
    sync(path.parent)
