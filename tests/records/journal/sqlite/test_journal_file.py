"""journal.db on a real disk: created whole, verified at open, refused when it is not sound."""

import os
import random
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from levitrio.errors import DamagedRecord, JournalUnavailable
from levitrio.records.journal.check import check_journal, table_rows
from levitrio.records.journal.entries import Entry, EquityEntry, History, MarketTimeEntry
from levitrio.records.journal.folding import fold
from levitrio.records.journal.rows import Row, rows_of
from levitrio.records.journal.sqlite.journal_file import INCIDENTS_KEPT, JournalFile
from levitrio.trading.orders import OrderStatus
from tests.records.samples import fill, incident, intent, outcome

EQUITY = EquityEntry(
    account="binance:7",
    day="2026-11-28",
    capital=Decimal("10000.5"),
    day_capital=Decimal(9_000),
    peak_equity=Decimal(11_000),
    wall_ms=7,
)


def rows(*entries: Entry) -> list[Row]:
    return [row for entry in entries for row in rows_of(entry)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def filled(path: Path) -> History:
    """A closed journal with a few orders; what it folds to."""
    journal = JournalFile.open(path)
    for seq in range(1, 6):
        journal.write([rows(intent(seq)), rows(outcome(seq, OrderStatus.FILLED, fill(seq, seq)))])
    journal.write([rows(incident())])
    history = fold(journal.entries())
    journal.close()
    return history


def test_a_new_journal_is_private_and_empty(path: Path) -> None:
    """Only we may read what we traded; and a clean close leaves one file."""
    journal = JournalFile.open(path)

    assert journal.created
    assert fold(journal.entries()) == History()
    journal.close()
    assert [entry.name for entry in path.parent.iterdir()] == ["journal.db"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_written_is_there_after_opening_again(path: Path) -> None:
    """History, counters and sequence continue."""
    history = filled(path)

    journal = JournalFile.open(path)

    assert not journal.created
    assert fold(journal.entries()) == history
    assert (journal.last_seq, journal.batch) == (5, 6)
    journal.close()


def test_a_fill_of_the_venue_is_kept_once(path: Path) -> None:
    """The same trade id by stream and by query is one fill; another symbol's is another."""
    journal = JournalFile.open(path)
    first = outcome(1, OrderStatus.NEW, fill(1, 7))
    again = outcome(1, OrderStatus.FILLED, fill(1, 7), fill(1, 8))
    other = outcome(2, OrderStatus.FILLED, fill(2, 7, "BTCUSDT"))

    results = journal.write([rows(first), rows(again), rows(other)])

    assert [result.duplicates for result in results] == [(), (fill(1, 7),), ()]
    assert [f.trade_id for f in fold(journal.entries()).fills] == [7, 8, 7]
    journal.close()


def test_paper_fills_without_an_id_are_all_kept(path: Path) -> None:
    """They are keyed by their place in the journal, so equal ones are not the same."""
    journal = JournalFile.open(path)

    journal.write([rows(outcome(1, OrderStatus.FILLED, fill(1), fill(1)))])

    assert len(fold(journal.entries()).fills) == 2
    journal.close()


def test_a_sequence_used_twice_is_left_out_alone(path: Path) -> None:
    """One request that contradicts the journal does not take the others with it."""
    journal = JournalFile.open(path)

    results = journal.write([rows(intent(1)), rows(intent(1)), rows(intent(2))])

    assert [bool(result.refused) for result in results] == [False, True, False]
    assert [o.seq for o in fold(journal.entries()).open_orders] == [1, 2]
    journal.close()


def test_incidents_and_market_time_are_bounded(path: Path) -> None:
    """Weeks of crashes and years of market time do not grow the file."""
    journal = JournalFile.open(path)
    journal.write([rows(incident(n)) for n in range(INCIDENTS_KEPT + 3)])
    journal.write([rows(MarketTimeEntry(market_ms=n)) for n in (5, 9, 7)])

    found = journal.incidents("SOLUSDT", 10_000)

    assert len(found) == INCIDENTS_KEPT
    assert (found[0].wall_ms, found[-1].wall_ms) == (INCIDENTS_KEPT + 2, 3)
    assert fold(journal.entries()).market_ms == 9
    journal.close()


def link_of(path: Path) -> None:
    filled(path.with_name("other.db"))
    path.symlink_to(path.with_name("other.db"))


def second_name(path: Path) -> None:
    filled(path)
    os.link(path, path.with_name("other.db"))


def writable_by_all(path: Path) -> None:
    filled(path)
    path.chmod(0o666)


def foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (a)")
    connection.close()


def newer(path: Path) -> None:
    filled(path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()


def table_gone(path: Path) -> None:
    filled(path)
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE progress")
    connection.close()


def restored_counter(path: Path) -> None:
    filled(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE progress SET position = 3")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("prepare", "text"),
    [
        (lambda path: path.touch(), "it is empty"),
        (lambda path: path.write_bytes(b"hello" * 1000), "not a database"),
        (lambda path: path.mkdir(), "no regular file"),
        (lambda path: os.mkfifo(path), "no regular file"),
        (link_of, "no regular file"),
        (second_name, "hard link"),
        (writable_by_all, "chmod 600"),
        (foreign, "another database"),
        (newer, "found 999"),
        (table_gone, "no such table"),
        (restored_counter, "no record above 3"),
        (lambda path: path.with_name("journal.db-wal").touch(), "put it back"),
    ],
)
def test_what_is_not_our_sound_journal_is_refused(
    path: Path, prepare: Callable[[Path], object], text: str
) -> None:
    """Starting without history because a file is odd would lose positions."""
    prepare(path)

    with pytest.raises(DamagedRecord, match=text):
        JournalFile.open(path)


def test_a_directory_that_is_gone_is_trouble_of_the_disk(tmp_path: Path) -> None:
    """It may come back, so it is not called damage."""
    with pytest.raises(JournalUnavailable):
        JournalFile.open(tmp_path / "missing" / "journal.db")


def test_a_damaged_byte_changes_no_history_unseen(path: Path) -> None:
    """Anywhere in the file a flipped byte is refused or harmless, never another truth."""
    history = filled(path)
    sound = path.read_bytes()
    chance = random.Random(7)
    used = [at for at, byte in enumerate(sound) if byte] or [0]
    refused = 0
    for at in chance.sample(used, 150):
        path.write_bytes(
            sound[:at] + bytes([sound[at] ^ (1 << chance.randrange(8))]) + sound[at + 1 :]
        )
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        try:
            journal = JournalFile.open(path)
        except (DamagedRecord, JournalUnavailable):
            refused += 1
            continue
        try:
            assert fold(journal.entries()) == history
        except DamagedRecord:
            refused += 1
        finally:
            journal.close()
    assert refused > 100


def test_a_truncated_journal_is_refused(path: Path) -> None:
    """A file that lost its end lost fills."""
    filled(path)
    sound = path.read_bytes()
    for length in range(1, len(sound), len(sound) // 40):
        path.write_bytes(sound[:length])
        with pytest.raises((DamagedRecord, JournalUnavailable)):
            JournalFile.open(path).close()


@pytest.mark.parametrize("until", range(4))
def test_an_interrupted_exchange_is_finished_by_the_next_start(path: Path, until: int) -> None:
    """Killed anywhere between `.rescue` and its new name, the copy becomes the journal."""
    journal = JournalFile.open(path)
    journal.write([rows(intent(1))])
    copy = path.with_name("journal.db.rescue")
    filled(copy)
    wal, shm = path.with_name("journal.db-wal"), path.with_name("journal.db-shm")
    for step in (wal, shm, path)[:until]:
        step.unlink()

    found = JournalFile.open(path)

    assert found.last_seq == 5
    assert not copy.exists()
    found.close()
    journal.close()


def test_a_file_replaced_under_us_is_noticed(path: Path) -> None:
    """SQLite would go on writing where no name leads; nothing may be acknowledged then."""
    journal = JournalFile.open(path)
    path.rename(path.with_name("moved.db"))

    with pytest.raises(OSError, match="journal"):
        journal.write([rows(intent(1))])
    with pytest.raises(JournalUnavailable, match="gone"):
        journal.reopened(new_file=False)
    assert not path.exists()


def test_a_new_file_takes_the_old_ones_place(path: Path) -> None:
    """After an I/O error the journal goes on in another file with the same content."""
    journal = JournalFile.open(path)
    journal.write([rows(intent(1)), rows(outcome(1, OrderStatus.FILLED, fill(1)))])
    inode, history = path.stat().st_ino, fold(journal.entries())

    again = journal.reopened(new_file=True)
    again.write([rows(intent(2))])

    assert path.stat().st_ino != inode
    assert fold(again.entries()).fills == history.fills
    assert (again.last_seq, again.batch) == (1, 2)
    again.close()
    assert [entry.name for entry in path.parent.iterdir()] == ["journal.db"]


def test_leftovers_of_an_interrupted_creation_are_no_journal(path: Path) -> None:
    """Killed while creating, the next start begins again."""
    path.with_name("journal.db.new").write_bytes(b"half")

    journal = JournalFile.open(path)

    assert journal.created
    journal.close()
    assert [entry.name for entry in path.parent.iterdir()] == ["journal.db"]


def test_a_journal_of_layout_1_is_brought_along(path: Path) -> None:
    """What the last release wrote opens with everything in it, and takes what is new."""
    before = filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE equity")
        connection.execute("ALTER TABLE progress DROP COLUMN token")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    assert check_journal(path).findings == ()
    assert list(table_rows(path, "equity")) == []

    journal = JournalFile.open(path)
    assert fold(journal.entries()) == before
    journal.write([rows(EQUITY)])
    journal.close()

    again = JournalFile.open(path)
    assert fold(again.entries()).equity == EQUITY
    assert again.token == 0, "the ids of its orders stay ours"
    again.close()
    assert check_journal(path).rows["equity"] == 1


def test_a_journal_keeps_the_token_it_was_made_with(path: Path) -> None:
    """Another journal has another, also one in the place of a lost one; a rescued copy has it."""
    journal = JournalFile.open(path)
    token = journal.token
    journal = journal.reopened(new_file=True)
    assert journal.token == token > 0
    journal.close()
    path.unlink()
    journal = JournalFile.open(path)
    assert journal.token != token
    journal.close()


def test_a_journal_is_brought_along_whole_or_not_at_all(path: Path) -> None:
    """A disk that is full in the middle leaves layout 1, which the next start brings along."""
    before = filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE equity")
        connection.execute("ALTER TABLE progress DROP COLUMN token")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()

    class Full(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql.startswith("PRAGMA user_version = "):
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(sql, *parameters)

    def connect(uri: str) -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, isolation_level=None, factory=Full)

    with pytest.raises(JournalUnavailable, match="layout 1 to 2: database or disk is full"):
        JournalFile.open(path, connect)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert not connection.execute(
            "SELECT name FROM sqlite_master WHERE name = 'equity'"
        ).fetchall()

    journal = JournalFile.open(path)
    assert fold(journal.entries()) == before
    journal.close()


@pytest.mark.parametrize("layout", [0, 3, 999])
def test_an_unknown_layout_is_left_alone(path: Path, layout: int) -> None:
    """An older levitrio must not touch what a newer one wrote."""
    filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {layout}")
    before = path.read_bytes()
    with pytest.raises(DamagedRecord, match=f"expected layout 2, found {layout}"):
        JournalFile.open(path)
    assert path.read_bytes() == before
