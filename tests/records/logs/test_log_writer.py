"""Logging writes everything it can, counts what it cannot, and never makes the fleet wait."""

import errno
import io
import logging
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from levitrio.records.logs.event_log import EventLog
from levitrio.records.logs.log_files import LogFiles
from levitrio.records.logs.log_writer import LogWriter, log_events
from levitrio.records.logs.terminal import Terminal

AT = 1_795_342_500_123


def make(directory: Path, **options: Any) -> LogWriter:
    return LogWriter(directory, wall_clock_ms=lambda: AT, **options)


def lines(directory: Path, name: str) -> list[dict[str, Any]]:
    data = (directory / f"{name}-20261122.jsonl").read_bytes()
    return [msgspec.json.decode(line) for line in data.splitlines()]


def test_each_engine_has_a_file_of_its_own(tmp_path: Path) -> None:
    """No line of another symbol in it, and the orchestrator's are apart."""
    with make(tmp_path) as logs:
        for symbol in ("SOLUSDT", "BTCUSDT"):
            logs.logger_for(symbol).info("started", incarnation=1)
        logs.logger_for("SOLUSDT").bind(symbol="BTCUSDT").info("pretends")
        logs.logger().warning("fleet", engine="SOLUSDT")

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


def test_the_terminal_shows_what_people_need(tmp_path: Path) -> None:
    """Engines' chatter stays in the files unless the call says otherwise."""
    screen = io.StringIO()
    with make(tmp_path, terminal=Terminal(screen)) as logs:
        engine = logs.logger_for("SOLUSDT")
        engine.info("chatter")
        engine.info("told", terminal=True)
        engine.warning("worrying")
        engine.error("hidden", terminal=False)
        logs.logger().info("fleet")
        logs.logger().debug("too detailed")

    assert [line.split()[2] for line in screen.getvalue().splitlines()] == [
        "told",
        "worrying",
        "fleet",
    ]
    assert len(lines(tmp_path, "engine-SOLUSDT")) == 4
    assert "terminal" not in lines(tmp_path, "engine-SOLUSDT")[1]


def test_what_is_logged_is_copied_at_once(tmp_path: Path) -> None:
    """A list that changes afterwards is written as it was."""
    logs = make(tmp_path)
    seen = [1]
    logs.logger().info("seen", values=seen)
    seen.append(2)
    with logs:
        pass

    assert lines(tmp_path, "orchestrator")[0]["values"] == [1]


def test_a_full_buffer_drops_and_says_so(tmp_path: Path) -> None:
    """The loop never waits; the count is in the log as soon as there is room."""
    logs = make(tmp_path, buffer=3)
    for n in range(10):
        logs.logger().info("line", n=n)
    assert (logs.statistics().dropped, logs.statistics().queued) == (7, 3)
    with logs:
        pass

    found = lines(tmp_path, "orchestrator")
    assert [line.get("n") for line in found] == [0, 1, 2, None]
    assert (found[3]["event"], found[3]["count"]) == ("log_records_dropped", 7)


def test_a_disk_that_refuses_costs_lines_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F38: dropped lines are counted while the disk is full, and told about once when it is not."""
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
        logs.logger().info(event)
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
        logs.logger().info("stuck")
        logs.close(timeout=0.01)
        logs.logger().info("too late")
        assert logs.statistics().dropped == 1
        released.set()


def test_a_logger_is_only_made_for_a_symbol(tmp_path: Path) -> None:
    """A name that is no symbol would be a path."""
    with pytest.raises(ValueError, match="expected a symbol"):
        make(tmp_path).logger_for("../etc/passwd")


def test_the_users_own_logging_is_left_alone(tmp_path: Path) -> None:
    """Neither structlog's global configuration nor logging's root is touched."""
    before = structlog.get_config(), list(logging.getLogger().handlers)
    with make(tmp_path) as logs:
        logs.logger().info("line")

    assert (structlog.get_config(), list(logging.getLogger().handlers)) == before


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
