"""`levi journal check|export`: sound, damaged, and taken elsewhere."""

import csv
import json
import sqlite3
from pathlib import Path

import pytest
import trio

from levitrio.cli.main import main
from levitrio.records.journal.entries import HaltEntry, IntentEntry, OutcomeEntry
from levitrio.records.journal.journal import Journal
from levitrio.records.worker_threads import inline
from levitrio.trading.orders import OrderStatus
from tests.factories import make_fill, make_order


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """One filled order and a halt."""
    path = tmp_path / "journal.db"

    async def write() -> None:
        journal = Journal(path, offload=inline)
        journal.open()
        order = make_order(quantity="0.10")
        fill = make_fill(
            price="61837.63000000",
            quantity="0.10",
            fee="0.5",
            time_ms=5,
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(journal.run)
            await journal.append(
                IntentEntry(
                    seq=1, order=order, incarnation=1, reason="signal", wall_ms=1, market_ms=2
                ),
                OutcomeEntry(
                    client_id="levi-0-1-0", status=OrderStatus.FILLED, fills=(fill,), wall_ms=2
                ),
                HaltEntry(trading_state="halted", reason="drill", wall_ms=3),
            )
            nursery.cancel_scope.cancel()
        journal.close()

    trio.run(write)
    return path


def test_a_sound_journal(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything is read, counted, and nothing is found."""
    assert main(["journal", "check", str(journal), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ok"]
    assert document["rows"]["fills"] == document["rows"]["intents"] == 1
    assert main(["journal", "check", str(journal)]) == 0
    assert "0 findings" in capsys.readouterr().out


def test_a_flipped_digit_is_found(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that SQLite itself would not miss is named with table and position."""
    with sqlite3.connect(journal) as connection:
        connection.execute("UPDATE fills SET price = '71837.63000000'")
    connection.close()
    assert main(["journal", "check", str(journal)]) == 1
    out = capsys.readouterr().out
    assert "table fills, position 3" in out
    assert "levi journal export" in out


def test_export_keeps_every_digit(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One CSV for each table; amounts as the venue wrote them."""
    out = tmp_path / "out"
    assert main(["journal", "export", str(journal), "--out", str(out)]) == 0
    with (out / "fills.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["price"] == "61837.63000000"
    assert {path.stem for path in out.iterdir()} >= {"intents", "outcomes", "fills", "halts"}
    capsys.readouterr()


@pytest.mark.parametrize("name", ["missing.db", "other.db"])
def test_what_is_no_journal_is_said(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, exit code 2, no traceback."""
    path = tmp_path / name
    if name == "other.db":
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE t (a)")
        connection.close()
    assert main(["journal", "check", str(path)]) == 2
    assert "expected a journal" in capsys.readouterr().err
