"""The search for secrets finds one that is planted in any encoding it knows."""

import base64
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.leaks import PIECE, Canary

SECRET = "CanaryS3x+8vBn5KqT2y/j7MdR9pGc4ZuF6aLe"
CANARY = Canary(SECRET)


@pytest.mark.parametrize(
    "spelling",
    [
        str,
        str.upper,
        lambda it: it.encode().hex(),
        lambda it: it.encode().hex().upper(),
        lambda it: quote(it, safe=""),
        lambda it: base64.b64encode(it.encode()).decode(),
        lambda it: base64.b64encode(b"k=" + it.encode() + b"&x").decode(),
        lambda it: base64.b64encode(b"k" + it.encode() + b"yz").decode(),
        lambda it: it[:PIECE],
        lambda it: it[-PIECE:],
        lambda it: it[7:].encode().hex(),
    ],
)
def test_every_spelling_is_found(tmp_path: Path, spelling: Callable[[str], str]) -> None:
    """In the middle of a file, deep below the folder, and nowhere else."""
    (tmp_path / "data" / "logs").mkdir(parents=True)
    (tmp_path / "innocent.txt").write_text("Canary" + SECRET[: PIECE - 1])
    planted = tmp_path / "data" / "logs" / "engine.jsonl"
    planted.write_bytes(b"\0\xff before " + spelling(SECRET).encode() + b" after")
    assert CANARY.leaks_in(tmp_path) == [str(planted)]


def test_names_and_databases_are_looked_at(tmp_path: Path) -> None:
    """A secret in the name of a file, and one in a row that only the WAL has."""
    connection = sqlite3.connect(tmp_path / "journal.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("CREATE TABLE rows (text)")
    assert CANARY.leaks_in(tmp_path) == []
    connection.execute("INSERT INTO rows VALUES (?)", (f"apiKey={SECRET}",))
    connection.commit()
    assert CANARY.leaks_in(tmp_path) == [str(tmp_path / "journal.db-wal")]
    (tmp_path / SECRET.replace("/", "_")).touch()
    assert len(CANARY.leaks_in(tmp_path)) == 2
    connection.close()
