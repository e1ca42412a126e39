"""`levi ctl logs`: merged by time, over midnight, whole lines only."""

import json
from pathlib import Path
from typing import Any

from levitrio.cli.log_reader import LogReader, describe


def write(folder: Path, name: str, *records: dict[str, Any]) -> None:
    with (folder / name).open("a") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def record(ts: str, event: str = "x", **fields: Any) -> dict[str, Any]:
    return {"ts": ts, "level": "info", "event": event, **fields}


def test_the_last_lines_of_several_engines(tmp_path: Path) -> None:
    """Newest of all files together, in the order of time, also from yesterday's file."""
    write(tmp_path, "engine-A-20261121.jsonl", record("2026-11-21T23:59"))
    write(tmp_path, "engine-A-20261122.jsonl", record("2026-11-22T00:02"))
    write(tmp_path, "engine-B-20261122.jsonl", record("2026-11-22T00:01"))
    write(tmp_path, "engine-AB-20261122.jsonl", record("2026-11-22T00:09"))
    reader = LogReader(tmp_path, ["A", "B"])
    assert [r["ts"][11:] for r in reader.last(2)] == ["00:01", "00:02"]
    assert [r["ts"][11:] for r in LogReader(tmp_path, ["A", "B"]).last(9)] == [
        "23:59",
        "00:01",
        "00:02",
    ]


def test_follows_into_the_next_day(tmp_path: Path) -> None:
    """What was shown is not shown again; a file of a new day is read from its beginning."""
    write(tmp_path, "orchestrator-20261121.jsonl", record("2026-11-21T23:58"))
    reader = LogReader(tmp_path, [])
    assert len(reader.last(5)) == 1
    assert reader.new() == []
    write(tmp_path, "orchestrator-20261121.jsonl", record("2026-11-21T23:59"))
    write(tmp_path, "orchestrator-20261122.jsonl", record("2026-11-22T00:00"))
    assert [r["ts"][8:] for r in reader.new()] == ["21T23:59", "22T00:00"]
    assert reader.new() == []


def test_half_a_line_waits_for_its_rest(tmp_path: Path) -> None:
    """A line that is being written is shown when it is whole."""
    path = tmp_path / "orchestrator-20261121.jsonl"
    path.write_text('{"ts": "1", "event"')
    reader = LogReader(tmp_path, [])
    assert reader.new() == []
    with path.open("a") as file:
        file.write(': "late"}\n')
    assert [r["event"] for r in reader.new()] == ["late"]


def test_many_lines_of_a_large_file(tmp_path: Path) -> None:
    """More lines than the first piece of the file holds."""
    records = [record(f"{i:09}", pad="x" * 200) for i in range(2_000)]
    write(tmp_path, "orchestrator-20261121.jsonl", *records)
    assert LogReader(tmp_path, []).last(1_500) == records[-1_500:]


def test_a_line_is_harmless() -> None:
    """Escapes in a record do not reach the terminal."""
    line = describe(record("1", "crashed", text="\x1b[2J boo", symbol="A"))
    assert "\x1b" not in line
    assert line.startswith("1 A crashed ")
    assert line.endswith("boo")
