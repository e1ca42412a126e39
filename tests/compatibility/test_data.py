"""A data folder of 8b022be is opened, and everything in it is found."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.compatibility import data
from tests.compatibility.fleets import NAME
from tests.compatibility.surface import RunningFleet, load

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.mark.parametrize("kind", ["stopped", "killed"])
def test_a_data_folder(kind: str, home: Path, tmp_path: Path) -> None:
    """Positions, halt, failed and paused engines, incidents: as they were left.

    Also what is only in the write-ahead log, and also after today's code has run on it.
    """
    recorded = load(f"data_{kind}.json")
    file = data.unpack(kind, tmp_path)
    assert data.journal_of(file, home) == recorded.pop("journal")
    fills = _fills(file)
    with RunningFleet(home, file, NAME) as fleet:
        now = data.opened(fleet)
        assert now["history"] == recorded["history"]
        assert now == recorded
        assert fleet.stop() == 0
        assert "Traceback" not in fleet.output
    check = data.journal_of(file, home)["check"]
    assert check["ok"], check
    assert _fills(file)[: len(fills)] == fills


def _fills(file: Path) -> list[Any]:
    connection = sqlite3.connect(file.parent / "data" / "journal.db")
    try:
        return connection.execute("SELECT * FROM fills ORDER BY position").fetchall()
    finally:
        connection.close()
