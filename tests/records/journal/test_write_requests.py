"""After a failed commit facts are kept, wishes are not, and nothing is written twice."""

import sqlite3

import trio

from levitrio.records.journal.entries import Entry, OutcomeEntry
from levitrio.records.journal.write_requests import (
    WriteRequest,
    failure_of,
    owed,
    owed_though_written,
    rows_of_all,
)
from levitrio.trading.orders import OrderStatus
from tests.records.samples import fill, incident, intent, outcome


def request(*entries: Entry, waited_for: bool) -> WriteRequest:
    return WriteRequest(entries, rows_of_all(entries), trio.Event() if waited_for else None)


WISH = request(intent(1), waited_for=True)
FACT = request(outcome(2, OrderStatus.FILLED, fill(2)), waited_for=True)
NOTE = request(incident(), waited_for=False)


def test_facts_and_entries_without_a_waiter_are_owed() -> None:
    """The intent is refused; the fill and the incident happened, whatever the disk says."""
    left = owed([WISH, FACT, NOTE])

    assert [item.entries for item in left] == [FACT.entries, NOTE.entries]
    assert all(item.done is None for item in left)


def test_what_was_written_after_all_is_not_written_again() -> None:
    """Only the refused intent needs a word: it was never sent."""
    later = request(incident(9), waited_for=False)
    queue = owed([WISH, FACT, NOTE, later])

    left = owed_though_written(queue, [WISH, FACT, NOTE])

    assert len(left) == 2
    (end,) = left[0].entries
    assert isinstance(end, OutcomeEntry)
    assert (end.client_id, end.status) == ("L-1", OrderStatus.LOST)
    assert left[1].entries == later.entries


def test_only_an_io_error_makes_the_file_suspect() -> None:
    """A full disk was refused cleanly; after EIO the kernel may have lost what it took."""
    for code, suspect in [
        (sqlite3.SQLITE_FULL, False),
        (sqlite3.SQLITE_IOERR, True),
        (sqlite3.SQLITE_IOERR_FSYNC, True),
    ]:
        error = sqlite3.OperationalError("injected")
        error.sqlite_errorcode = code
        assert failure_of(error).new_file is suspect
    assert not failure_of(OSError("gone")).new_file
