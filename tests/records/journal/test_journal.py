"""The journal acknowledges what is durable and nothing else, whatever the disk does."""

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from levitrio.errors import DamagedRecord, JournalUnavailable
from levitrio.records.journal import journal as journal_module
from levitrio.records.journal.entries import HaltEntry, History, WantedEntry
from levitrio.records.journal.journal import RETRY_FIRST, Journal
from levitrio.records.worker_threads import inline
from levitrio.trading.orders import OrderStatus
from tests.records.samples import fill, incident, intent, outcome

Make = Callable[..., Journal]

HALT = HaltEntry(trading_state="halted", reason="by hand", wall_ms=1)


@attrs.define
class Faults:
    """What the next statements of every connection run into."""

    before_commit: int = 0
    """SQLite error code raised instead of committing; 0 commits."""
    after_commit: int = 0
    """Raised although the commit went through."""
    at_open: int = 0
    remaining: int = 10**9
    """How many commits fail before the trouble is over."""
    commits: int = 0

    def connect(self, uri: str) -> sqlite3.Connection:
        if self.at_open:
            raise failure(self.at_open)
        faults = self

        class Connection(sqlite3.Connection):
            def execute(self, statement: str, *args: object) -> sqlite3.Cursor:
                if statement != "COMMIT" or not faults.remaining:
                    return super().execute(statement, *args)  # type: ignore[arg-type]
                if faults.before_commit:
                    faults.remaining -= 1
                    raise failure(faults.before_commit)
                cursor = super().execute(statement)
                faults.commits += 1
                if faults.after_commit:
                    faults.remaining -= 1
                    raise failure(faults.after_commit)
                return cursor

        return sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, factory=Connection
        )


def failure(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(f"injected {code}")
    error.sqlite_errorcode = code
    return error


def reread(path: Path) -> History:
    journal = Journal(path)
    history = journal.open()
    journal.close()
    return history


def inode_of(path: Path) -> int:
    return path.stat().st_ino


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes journals that are closed when trio has ended, and with it each `run`."""
    made: list[Journal] = []

    def make(*args: Any, **options: Any) -> Journal:
        made.append(Journal(*args, **options))
        return made[-1]

    yield make
    for journal in made:
        journal.close()


async def test_what_is_acknowledged_is_in_the_file(
    make: Make, path: Path, nursery: trio.Nursery
) -> None:
    """`append` returns only when another connection can see the entry; with the real thread."""
    journal = make(path)
    journal.open()
    await nursery.start(journal.run)

    await journal.append(intent(journal.reserve()))

    assert len(reread_alongside(path).open_orders) == 1
    nursery.cancel_scope.cancel()


def reread_alongside(path: Path) -> History:
    # A copy, so that the journal under test is not disturbed.
    copy = path.with_name("copy.db")
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()
    return reread(copy)


async def test_in_memory_with_virtual_time(
    make: Make, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Replay keeps its journal in memory, on the loop; no thread for the clock to outrun."""
    journal = make(None, offload=inline)
    assert journal.open() == History()
    await nursery.start(journal.run)

    await journal.append(intent(1), outcome(1, OrderStatus.FILLED, fill(1)))
    await journal.append(incident(1), incident(2))

    assert [entry.wall_ms for entry in await journal.incidents("SOLUSDT", 1)] == [2]
    assert await journal.incidents("BTCUSDT") == ()
    assert journal.statistics().commits == 2
    assert autojump_clock.current_time() == 0
    nursery.cancel_scope.cancel()


async def test_everything_queued_goes_into_one_commit(make: Make, nursery: trio.Nursery) -> None:
    """Group commit: fifty waiting intents cost one fsync, not fifty."""
    journal = make(None, offload=inline)
    journal.open()
    async with trio.open_nursery() as intents:
        for _ in range(50):
            intents.start_soon(journal.append, intent(journal.reserve()))
        await wait_all_tasks_blocked()
        await nursery.start(journal.run)

    assert journal.statistics().commits == 1
    nursery.cancel_scope.cancel()


async def test_sequences_continue_after_a_restart(path: Path) -> None:
    """A client order id must never be given twice, so a new run starts above everything."""
    journal = Journal(path, offload=inline)
    journal.open()
    assert [journal.reserve(), journal.reserve(), journal.reserve()] == [1, 2, 3]
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        await journal.append(intent(3))
        nursery.cancel_scope.cancel()
    journal.close()
    second = Journal(path, offload=inline)
    second.open()

    assert second.reserve() == 4
    second.close()


async def test_duplicate_fills_are_told_to_the_caller(make: Make, nursery: trio.Nursery) -> None:
    """The gateway books a fill once, so it must hear which ones it had already."""
    journal = make(None, offload=inline)
    journal.open()
    await nursery.start(journal.run)

    assert await journal.append(outcome(1, OrderStatus.NEW, fill(1, 7))) == ()
    again = outcome(1, OrderStatus.FILLED, fill(1, 7), fill(1, 8))
    assert await journal.append(again) == (fill(1, 7),)
    nursery.cancel_scope.cancel()


async def test_a_sequence_used_twice_is_a_bug_of_its_caller_alone(
    make: Make, nursery: trio.Nursery
) -> None:
    """The caller gets a ValueError; what was queued beside it is durable."""
    journal = make(None, offload=inline)
    journal.open()
    await nursery.start(journal.run)
    await journal.append(intent(1))

    async with trio.open_nursery() as others:
        others.start_soon(journal.append, intent(2))
        with pytest.raises(ValueError, match="UNIQUE"):
            await journal.append(intent(1))

    assert journal.statistics().failed is None
    nursery.cancel_scope.cancel()


async def test_a_cancelled_append_may_still_become_durable(
    make: Make, path: Path, nursery: trio.Nursery
) -> None:
    """Cancelled while waiting, the fill stays queued and is written: it did happen."""
    journal = make(path, offload=inline)
    journal.open()
    with trio.move_on_after(0):
        await journal.append(outcome(1, OrderStatus.FILLED, fill(1)))
    await nursery.start(journal.run)
    await wait_all_tasks_blocked()
    nursery.cancel_scope.cancel()

    assert len(reread_alongside(path).fills) == 1


async def test_a_cancelled_writer_writes_what_is_queued(path: Path) -> None:
    """Cancelled before its commit began, `run` commits the queue before it returns."""
    journal = Journal(path)
    journal.open()
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        journal.append_nowait(outcome(1, OrderStatus.FILLED, fill(1)))
        nursery.cancel_scope.cancel()

    assert journal.statistics().queued == 0
    journal.close()
    assert len(reread(path).fills) == 1


async def test_the_last_words_are_written_at_once(path: Path) -> None:
    """After `run` has ended, appends still work until `close`, and never hang."""
    journal = Journal(path)
    journal.open()
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        nursery.cancel_scope.cancel()

    await journal.append(intent(1))
    journal.append_nowait(incident())
    journal.close()
    journal.close()

    history = reread(path)
    assert len(history.open_orders) == 1
    assert "SOLUSDT" in history.last_errors
    with pytest.raises(JournalUnavailable, match="closed"):
        journal.append_nowait(incident())
    with pytest.raises(JournalUnavailable):
        await journal.incidents("SOLUSDT")


async def test_a_failed_commit_refuses_wishes_and_owes_facts(
    make: Make, path: Path, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Disk full: the intent's caller is refused, later ones at once; the fill is written later."""
    faults = Faults(before_commit=sqlite3.SQLITE_FULL, remaining=1)
    troubles: list[str] = []
    recoveries: list[float] = []
    journal = make(
        path,
        offload=inline,
        connect=faults.connect,
        on_trouble=troubles.append,
        on_recovery=lambda: recoveries.append(trio.current_time()),
    )
    faults.remaining = 0
    journal.open()
    faults.remaining = 1
    await nursery.start(journal.run)

    with pytest.raises(JournalUnavailable, match="injected 13"):
        await journal.append(intent(1))
    with pytest.raises(JournalUnavailable):
        await journal.append(HALT)
    with pytest.raises(JournalUnavailable, match="kept in memory"):
        await journal.append(outcome(7, OrderStatus.FILLED, fill(7)))
    journal.append_nowait(incident())
    assert len(troubles) == 1
    assert journal.statistics().failed is not None
    assert journal.statistics().queued == 2

    await trio.sleep(RETRY_FIRST + 0.1)

    assert recoveries == [RETRY_FIRST]
    assert journal.statistics().failed is None
    assert journal.statistics().queued == 0
    await journal.append(intent(2))
    history = reread_alongside(path)
    assert [order.seq for order in history.open_orders] == [2]
    assert len(history.fills) == 1
    assert history.trading_state == "active"
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_FSYNC])
async def test_a_commit_that_failed_and_is_in_the_file_counts_once(
    make: Make, path: Path, autojump_clock: MockClock, nursery: trio.Nursery, code: int
) -> None:
    """Its fills are not written again, and its refused intent is closed: it was never sent."""
    faults = Faults(remaining=0)
    journal = make(path, offload=inline, connect=faults.connect)
    journal.open()
    inode = inode_of(path)
    faults.after_commit, faults.remaining = code, 1
    refused: list[str] = []

    async def refuse(name: str, append: Callable[[], object]) -> None:
        try:
            await append()  # type: ignore[misc]
        except JournalUnavailable:
            refused.append(name)

    async with trio.open_nursery() as callers:
        filled = outcome(7, OrderStatus.FILLED, fill(7))
        callers.start_soon(refuse, "intent", partial(journal.append, intent(1)))
        callers.start_soon(refuse, "fill", partial(journal.append, filled))
        await wait_all_tasks_blocked()
        await nursery.start(journal.run)
    await trio.sleep(RETRY_FIRST + 0.1)

    assert sorted(refused) == ["fill", "intent"]
    history = reread_alongside(path)
    assert history.open_orders == ()
    assert len(history.fills) == 1
    # After an I/O error the old file is never synced again.
    assert (inode_of(path) != inode) == (code == sqlite3.SQLITE_IOERR_FSYNC)
    nursery.cancel_scope.cancel()


async def test_a_disk_that_stays_dead_is_asked_ever_more_rarely(
    make: Make, path: Path, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Engines live on; there is one alarm, and growing pauses between attempts."""
    faults = Faults(remaining=0)
    troubles: list[str] = []
    journal = make(path, offload=inline, connect=faults.connect, on_trouble=troubles.append)
    journal.open()
    faults.before_commit, faults.at_open = sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_CANTOPEN
    faults.remaining = 10**9
    await nursery.start(journal.run)
    journal.append_nowait(outcome(1, OrderStatus.FILLED, fill(1)))

    await trio.sleep(3_600)

    assert len(troubles) == 1
    assert journal.statistics().queued == 1
    faults.at_open, faults.remaining = 0, 0
    await trio.sleep(journal_module.RETRY_MAX)
    assert journal.statistics().failed is None
    assert len(reread_alongside(path).fills) == 1
    nursery.cancel_scope.cancel()


async def test_damage_found_while_reopening_ends_the_attempts(
    make: Make, path: Path, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """A damaged file does not heal: a second alarm says so, and nothing is overwritten."""
    faults = Faults(remaining=0)
    troubles: list[str] = []
    journal = make(path, offload=inline, connect=faults.connect, on_trouble=troubles.append)
    journal.open()
    faults.before_commit, faults.remaining = sqlite3.SQLITE_FULL, 1
    await nursery.start(journal.run)
    with pytest.raises(JournalUnavailable):
        await journal.append(intent(1))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()

    await trio.sleep(600)

    assert len(troubles) == 2
    assert "found 999" in troubles[1]
    with pytest.raises(JournalUnavailable, match="found 999"):
        await journal.append(intent(2))
    nursery.cancel_scope.cancel()


async def test_the_end_of_a_run_tries_once_more(path: Path) -> None:
    """Facts still owed at the end are written when the disk is back just then."""
    faults = Faults(remaining=0)
    journal = Journal(path, offload=inline, connect=faults.connect)
    journal.open()
    faults.before_commit, faults.remaining = sqlite3.SQLITE_FULL, 1
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        with pytest.raises(JournalUnavailable):
            await journal.append(outcome(1, OrderStatus.FILLED, fill(1)))
        nursery.cancel_scope.cancel()

    journal.close()
    assert len(reread(path).fills) == 1


async def test_a_real_full_disk_is_survived(
    make: Make, path: Path, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """SQLite's own "disk is full", made by a page limit, behaves as injected ones."""
    full = True

    def connect(uri: str) -> sqlite3.Connection:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        if full and "mode=rw" in uri and ".new" not in uri:
            connection.execute("PRAGMA max_page_count = 1")
        return connection

    journal = make(path, offload=inline, connect=connect)
    journal.open()
    await nursery.start(journal.run)
    large = attrs.evolve(incident(), traceback="x" * 100_000)
    with pytest.raises(JournalUnavailable, match="full"):
        await journal.append(large)
    assert journal.statistics().failed is not None

    full = False
    await trio.sleep(RETRY_FIRST + 0.1)

    await journal.append(WantedEntry(symbol="SOLUSDT", wanted="paused", wall_ms=1))
    assert reread_alongside(path).wanted == {"SOLUSDT": "paused"}
    nursery.cancel_scope.cancel()


async def test_a_failing_checkpoint_is_a_failure(
    make: Make,
    path: Path,
    autojump_clock: MockClock,
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A checkpoint whose fsync fails must not be repeated on the same file unseen."""
    monkeypatch.setattr(journal_module, "CHECKPOINT_COMMITS", 1)
    broken = True

    class Connection(sqlite3.Connection):
        def execute(self, statement: str, *args: object) -> sqlite3.Cursor:
            if broken and statement.startswith("PRAGMA wal_checkpoint"):
                raise failure(sqlite3.SQLITE_IOERR_FSYNC)
            return super().execute(statement, *args)  # type: ignore[arg-type]

    journal = make(
        path,
        offload=inline,
        connect=partial(sqlite3.connect, uri=True, isolation_level=None, factory=Connection),
    )
    journal.open()
    inode = inode_of(path)
    await nursery.start(journal.run)
    await journal.append(intent(1))
    await wait_all_tasks_blocked()
    assert journal.statistics().failed is not None

    broken = False
    await trio.sleep(RETRY_FIRST + 0.1)

    assert inode_of(path) != inode
    await journal.append(intent(2))
    assert [order.seq for order in reread_alongside(path).open_orders] == [1, 2]
    nursery.cancel_scope.cancel()


async def test_a_huge_queue_drops_incidents_never_money(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a disk that hangs memory is bounded, and the loss is counted."""
    monkeypatch.setattr(journal_module, "QUEUE_LIMIT", 2)
    journal = Journal(None, offload=inline)
    journal.open()
    for n in range(4):
        journal.append_nowait(incident(n))
    journal.append_nowait(outcome(1, OrderStatus.FILLED, fill(1)))

    assert journal.statistics().dropped == 2
    assert journal.statistics().queued == 3
    journal.close()


async def test_a_slow_fsync_does_not_hold_the_loop(
    make: Make, path: Path, nursery: trio.Nursery
) -> None:
    """While the thread is stuck in a commit, the loop runs and incidents can be read."""
    released = trio.Event()
    begun = trio.Event()
    token = trio.lowlevel.current_trio_token()

    class Connection(sqlite3.Connection):
        def execute(self, statement: str, *args: object) -> sqlite3.Cursor:
            if statement == "COMMIT" and slow:
                trio.from_thread.run_sync(begun.set, trio_token=token)
                trio.from_thread.run(released.wait, trio_token=token)
            return super().execute(statement, *args)  # type: ignore[arg-type]

    slow = False
    journal = make(
        path,
        connect=partial(
            sqlite3.connect,
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
        ),
    )
    journal.open()
    await nursery.start(journal.run)
    await journal.append(incident(1))
    slow = True

    async with trio.open_nursery() as waiting:
        waiting.start_soon(journal.append, intent(1))
        await begun.wait()
        assert len(await journal.incidents("SOLUSDT")) == 1
        assert journal.statistics().queued == 1
        slow = False
        released.set()
    nursery.cancel_scope.cancel()


def test_a_damaged_journal_stops_the_start(path: Path) -> None:
    """The error names the file and what to type, and the file is left as it was."""
    path.write_bytes(b"not a journal" * 500)

    with pytest.raises(DamagedRecord, match="levi journal check"):
        Journal(path).open()

    assert path.read_bytes() == b"not a journal" * 500


def test_closing_what_was_never_opened_is_fine(path: Path) -> None:
    """A start that failed half-way closes everything it made."""
    Journal(path).close()

    assert not path.exists()
