"""Journals that something else has written to: refused with what to type, and left as they are."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from levitrio.errors import DamagedRecord, JournalUnavailable
from levitrio.records.journal.folding import fold
from levitrio.records.journal.journal import Journal
from levitrio.records.journal.sqlite.database import connect
from levitrio.records.journal.sqlite.journal_file import JournalFile
from levitrio.trading.orders import OrderStatus
from tests.records.journal.sqlite.test_journal_file import filled, rows
from tests.records.samples import fill, intent, outcome


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE fills SET price = 'NaN' WHERE position = (SELECT max(position) FROM fills)",
        "UPDATE fills SET quantity = '1e999' WHERE position = (SELECT max(position) FROM fills)",
        "UPDATE fills SET price = NULL WHERE position = (SELECT max(position) FROM fills)",
        "UPDATE fills SET price = x'00ff' WHERE position = (SELECT max(position) FROM fills)",
        "UPDATE intents SET symbol = 'BTC' || char(8232) WHERE seq = 2",
        "UPDATE intents SET symbol = 'ETHUSDT' WHERE seq = 2",
        "UPDATE intents SET client_id = hex(zeroblob(5000000)) WHERE seq = 2",
        "UPDATE intents SET position = 9000 WHERE seq = 2",
        "UPDATE intents SET position = -1 WHERE seq = 2",
        "DELETE FROM outcomes WHERE position = (SELECT min(position) FROM outcomes)",
        "UPDATE progress SET position = position - 1",
        "UPDATE progress SET batch = 'x'",
        "UPDATE progress SET position = 'x'",
        "DELETE FROM progress",
    ],
)
def test_a_changed_row_is_refused(path: Path, statement: str) -> None:
    """No number, another symbol, 10 MB, a line separator, a sequence that goes
    backwards or has a hole: never another history, and nothing is repaired in silence."""
    filled(path)
    try:
        change(path, statement)
    except sqlite3.IntegrityError:
        return  # the file's own rules did not let it be written
    before = path.read_bytes()
    with pytest.raises(DamagedRecord, match=r"journal\.db"):
        Journal(path).open()
    assert path.read_bytes() == before


@pytest.mark.parametrize("at", ["first page", "middle", "last page"])
def test_a_block_of_nul_is_refused(path: Path, at: str) -> None:
    """A page that came back as zeros after a power cut."""
    history = filled(path)
    sound = bytearray(path.read_bytes())
    pages = len(sound) // 4096
    page = {"first page": 0, "middle": pages // 2, "last page": pages - 1}[at]
    was_empty = not any(sound[page * 4096 : page * 4096 + 4096])
    sound[page * 4096 : page * 4096 + 4096] = bytes(4096)
    path.write_bytes(sound)
    try:
        journal = JournalFile.open(path)
    except DamagedRecord:
        assert path.read_bytes() == bytes(sound)
        return
    with closing(journal):
        assert was_empty or fold(journal.entries()) == history


def test_a_torn_end_of_the_log_is_cut(path: Path) -> None:
    """Truncated anywhere, a WAL loses only what was never acknowledged whole; the
    commits before the cut are all there."""
    journal = JournalFile.open(path)
    ends = []
    for seq in range(1, 6):
        journal.write([rows(intent(seq)), rows(outcome(seq, OrderStatus.FILLED, fill(seq, seq)))])
        ends.append(path.with_name("journal.db-wal").stat().st_size)
    main, wal = path.read_bytes(), path.with_name("journal.db-wal").read_bytes()
    journal.close()
    for length in range(0, len(wal), 509):
        path.write_bytes(main)
        path.with_name("journal.db-wal").write_bytes(wal[:length])
        path.with_name("journal.db-shm").unlink(missing_ok=True)
        again = JournalFile.open(path)
        fills = [each.trade_id for each in fold(again.entries()).fills]
        again.close()
        whole = sum(end <= length for end in ends)
        assert fills == list(range(1, whole + 1)), length


@pytest.mark.parametrize("suffix", ["-wal", ".rescue", ".new"])
def test_neighbours_that_are_no_files_are_refused(path: Path, suffix: str) -> None:
    """A directory or a FIFO in the place of a file that belongs to the journal."""
    filled(path)
    os.mkfifo(path.with_name(path.name + suffix))
    journal = Journal(path)
    try:
        journal.open()
    except (DamagedRecord, JournalUnavailable) as error:
        assert "journal.db" in str(error)  # noqa: PT017  either is an answer, both name the file
    finally:
        journal.close()


def failing(code: int, wanted: str) -> Callable[[str], sqlite3.Connection]:
    """Connections on which statements that begin so fail, as with a disk that cannot be read."""

    class Connection(sqlite3.Connection):
        def execute(self, statement: str, *args: Any) -> sqlite3.Cursor:
            if statement.startswith(wanted):
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = code
                raise error
            return super().execute(statement, *args)

    def connect_failing(uri: str) -> sqlite3.Connection:
        return sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, factory=Connection
        )

    return connect_failing


@pytest.mark.parametrize(
    "statement",
    ["PRAGMA application_id", "PRAGMA integrity", "SELECT batch", "SELECT position, symbol"],
)
@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_CANTOPEN]
)
def test_a_disk_that_cannot_be_read_is_not_called_damage(
    path: Path, statement: str, code: int
) -> None:
    """EIO or a short read at load: the start is refused, and the text does not say to move the
    journal away."""
    filled(path)
    before = path.read_bytes()
    with pytest.raises(JournalUnavailable):
        Journal(path, connect=failing(code, statement)).open()
    assert path.read_bytes() == before
    with closing(Journal(path, connect=connect)) as journal:
        journal.open()
