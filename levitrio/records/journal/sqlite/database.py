"""Creates journal.db, checks its owner and mode, and exchanges it for a rescued copy.

- A new file is created under another name and renamed when it is complete, so that an empty
  `journal.db` is never ours and never taken for "no history".
- A `.rescue` beside it is a complete, verified copy that was made after an I/O error: the next
  open finishes the exchange, however often a crash interrupts it.
"""

import os
import secrets
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from levitrio.errors import DamagedRecord
from levitrio.records.journal.sqlite import tables

Connect = Callable[[str], sqlite3.Connection]
"""Opens a connection to a SQLite URI; tests inject faults through it."""

TRANSIENT = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)
"""Result codes caused by the disk or the machine; any other error at open is damage of the file."""


def result_code(error: BaseException) -> int:
    """SQLite's primary result code of an error; 0 when it has none."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def connect(uri: str) -> sqlite3.Connection:
    """A connection without implicit transactions, usable from any thread, one at a time."""
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def beside(path: Path, suffix: str) -> Path:
    """The path with `suffix` appended to its name."""
    return path.with_name(path.name + suffix)


def exists(path: Path) -> bool:
    """Whether the name exists, even as a broken symlink."""
    return os.path.lexists(path)


def has_journal(path: Path) -> bool:
    """Whether there is a journal, or the rescued copy that the next open puts in its place."""
    return exists(path) or exists(beside(path, ".rescue"))


def check_kind(path: Path) -> None:
    """Check that the journal is a regular file that only this user can write to.

    Raises:
        DamagedRecord: it is not; the text says what to type.
        OSError: it cannot be examined.
    """
    found = path.lstat()
    refusal = ""
    if not stat.S_ISREG(found.st_mode):
        refusal = "it is no regular file"
    elif found.st_uid != os.geteuid():
        refusal = f"it belongs to user {found.st_uid}"
    elif found.st_mode & stat.S_IWOTH:
        refusal = f"all users may write to it; type: chmod 600 {path}"
    elif found.st_nlink != 1:
        refusal = "it has a second name (hard link)"
    elif found.st_size == 0:
        refusal = (
            "it is empty, which ours never is: history is lost;"
            " restore a backup, or move it away to start without history"
        )
    if refusal:
        raise DamagedRecord(f"{path}: expected our own journal file, {refusal}")


def create(path: Path, connect: Connect) -> None:
    """Create a new, empty, durable journal.

    Raises:
        DamagedRecord: the WAL of a lost journal is there.
        OSError: the file cannot be created or renamed.
        sqlite3.Error: the tables cannot be written.
    """
    new = beside(path, ".new")
    for leftover in (new, beside(new, "-journal")):
        leftover.unlink(missing_ok=True)
    for stray in (beside(path, "-wal"), beside(path, "-shm")):
        if exists(stray):
            raise DamagedRecord(
                f"{path}: expected the file beside {stray.name}, it is missing:"
                f" put it back, or move {stray.name} away to start without history"
            )
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(connect(new.absolute().as_uri() + "?mode=rw")) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN")
        for statement in tables.STATEMENTS:
            connection.execute(statement)
        connection.execute("UPDATE progress SET token = ?", (secrets.randbits(32),))
        connection.execute("COMMIT")
    os.rename(new, path)  # noqa: PTH104  the system call is the point
    sync(path.parent)


def finish_rescue(path: Path) -> None:
    """Put a complete rescued copy in place of the journal, if there is one."""
    rescue = beside(path, ".rescue")
    if not exists(rescue):
        return
    for old in (beside(path, "-wal"), beside(path, "-shm")):
        old.unlink(missing_ok=True)
    os.rename(rescue, path)  # noqa: PTH104
    sync(path.parent)


def sync(path: Path) -> None:
    """Call fsync on a file or directory by name."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
