"""Logging writes everything it can, counts what it cannot, and never makes the fleet wait."""

import errno
import io
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from levitrio.records.logs.event_log import EventLog
from levitrio.records.logs.log_files import LogFiles
from levitrio.records.logs.log_format import LogRecord, plain_fields
from levitrio.records.logs.log_writer import LogWriter, log_events
from levitrio.records.logs.terminal import Terminal

AT = 1_795_342_500_123


def make(directory: Path, **options: Any) -> LogWriter:
    return LogWriter(directory, wall_clock_ms=lambda: AT, **options)


def lines(directory: Path, name: str) -> list[dict[str, Any]]:
    data = (directory / f"{name}-20261122.jsonl").read_bytes()
    return [msgspec.json.decode(line) for line in data.splitlines()]


def record(
    event: str,
    symbol: str | None = None,
    *,
    level: str = "info",
    terminal: bool = True,
    **fields: Any,
) -> LogRecord:
    return LogRecord(AT, level, symbol, event, fields, terminal)


def test_each_engine_has_a_file_of_its_own(tmp_path: Path) -> None:
    """No line of another symbol in it, and the orchestrator's are apart."""
    with make(tmp_path) as logs:
        for symbol in ("SOLUSDT", "BTCUSDT"):
            logs.put(record("started", symbol, incarnation=1))
        pretended = plain_fields({"symbol": "BTCUSDT"})
        logs.put(LogRecord(AT, "info", "SOLUSDT", "pretends", pretended))
        logs.put(record("fleet", level="warning", engine="SOLUSDT"))

    assert [line["event"] for line in lines(tmp_path, "engine-SOLUSDT")] == ["started", "pretends"]
    assert {line["symbol"] for line in lines(tmp_path, "engine-SOLUSDT")} == {"SOLUSDT"}
    assert len(lines(tmp_path, "engine-BTCUSDT")) == 1
    assert lines(tmp_path, "orchestrator") == [
        {
            "ts": "2026-11-22T10:15:00.123Z",
            "level": "warning",
            "event": "fleet",
            "engine": "SOLUSDT",
        }
    ]


def test_a_record_may_stay_in_its_file(tmp_path: Path) -> None:
    """The terminal shows only records that are meant for it; the files have all."""
    screen = io.StringIO()
    with make(tmp_path, terminal=Terminal(screen)) as logs:
        logs.put(record("chatter", "SOLUSDT", terminal=False))
        logs.put(record("told", "SOLUSDT"))
        logs.put(record("fleet"))

    assert [line.split()[2] for line in screen.getvalue().splitlines()] == ["told", "fleet"]
    assert len(lines(tmp_path, "engine-SOLUSDT")) == 2
    assert "terminal" not in lines(tmp_path, "engine-SOLUSDT")[1]


def test_an_event_is_copied_when_it_is_logged(tmp_path: Path) -> None:
    """A list that changes afterwards is written as it was."""
    logs = make(tmp_path)
    seen = [1]
    events = EventLog(wall_clock_ms=lambda: AT, sinks=[log_events(logs, {})])
    events.emit("seen", "", values=seen)
    seen.append(2)
    with logs:
        pass

    assert lines(tmp_path, "orchestrator")[0]["values"] == [1]


def test_a_full_buffer_drops_and_says_so(tmp_path: Path) -> None:
    """The loop never waits; the count is in the log as soon as records can be written."""
    logs = make(tmp_path, buffer=3)
    for n in range(10):
        logs.put(record("line", n=n))
    assert (logs.statistics().dropped, logs.statistics().queued) == (7, 3)
    with logs:
        pass

    found = lines(tmp_path, "orchestrator")
    assert [line.get("n") for line in found] == [0, 1, 2, None]
    assert (found[3]["event"], found[3]["count"]) == ("log_records_dropped", 7)


def test_a_disk_that_refuses_costs_lines_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropped lines are counted while the disk is full, and reported once when it is not."""
    full = True
    written = threading.Event()
    append = LogFiles.append

    def refuse(self: LogFiles, name: str, block: Iterable[bytes]) -> None:
        try:
            if full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            append(self, name, block)
        finally:
            written.set()

    monkeypatch.setattr(LogFiles, "append", refuse)

    def log_and_wait(event: str) -> None:
        written.clear()
        logs.put(record(event))
        assert written.wait(10)

    with make(tmp_path) as logs:
        for n in range(3):
            log_and_wait(f"lost {n}")
        full = False
        log_and_wait("kept")
        log_and_wait("kept too")

    found = lines(tmp_path, "orchestrator")
    assert [line["event"] for line in found] == ["kept", "log_records_dropped", "kept too"]
    assert found[1]["count"] == 3
    assert "No space" in found[1]["reason"]
    statistics = logs.statistics()
    assert (statistics.dropped, statistics.written, statistics.trouble) == (3, 3, "")


def test_a_hanging_disk_delays_the_end_by_a_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread is given up after the timeout; what comes later is counted."""
    released = threading.Event()
    monkeypatch.setattr(LogFiles, "append", lambda *_: released.wait(10))
    logs = make(tmp_path)
    with logs:
        logs.put(record("stuck"))
        logs.close(timeout=0.01)
        logs.put(record("too late"))
        assert logs.statistics().dropped == 1
        released.set()


def test_events_are_logged_where_they_belong(tmp_path: Path) -> None:
    """In the engine's file and the orchestrator's, on the terminal once, at their level."""
    screen = io.StringIO()
    with make(tmp_path, terminal=Terminal(screen)) as logs:
        events = EventLog(
            wall_clock_ms=lambda: AT, sinks=[log_events(logs, {"crashed": "warning"})]
        )
        events.emit("started", "15 engines")
        events.emit("crashed", "ValueError: no", "SOLUSDT", restart_in=1.5)

    assert screen.getvalue().splitlines() == [
        "10:15:00 fleet started 15 engines",
        "10:15:00 SOLUSDT crashed ValueError: no",
    ]
    (engine,) = lines(tmp_path, "engine-SOLUSDT")
    assert (engine["level"], engine["seq"]) == ("warning", 2)
    assert [line.get("engine") for line in lines(tmp_path, "orchestrator")] == [None, "SOLUSDT"]
