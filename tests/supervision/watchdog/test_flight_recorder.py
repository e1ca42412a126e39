"""The flight recorder's files at the next start, and the sentinel."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from levitrio.supervision.watchdog import sentinel
from levitrio.supervision.watchdog.code_ownership import CodeOwnership
from levitrio.supervision.watchdog.flight_recorder import BOX, DUMP, FlightRecorder, last_culprit

OWNERSHIP = CodeOwnership.around(Path("/fleet"), lent=(), entry_points=("engine.py",))

STACK = """\
Thread 0x00007f (most recent call first):
  File "/usr/lib/threading.py", line 1 in wait

Current thread 0x00007e (most recent call first):
  File "/home/me/my mine.py", line 12 in average
  File "/home/me/my mine.py", line 8 in on_trade
  File "/fleet/engine.py", line 99 in run
"""


def leave(directory: Path, *, who: int, verdict_ms: int, dump: str) -> None:
    """What a process leaves that ended in the step of `who`."""
    with FlightRecorder.open(directory) as box:
        assert box.enter("BTCUSDT") == sentinel.FIRST_ENGINE
        assert box.enter("SOLUSDT") == sentinel.FIRST_ENGINE + 1
        box.cells[sentinel.VERDICT_WHO] = who
        box.cells[sentinel.VERDICT_MS] = verdict_ms
    (directory / DUMP).write_text(dump)


def test_culprit(tmp_path: Path) -> None:
    """Verdict and dump together name the engine and its line, as often as it is asked."""
    leave(tmp_path, who=sentinel.FIRST_ENGINE + 1, verdict_ms=3100, dump=STACK)
    for _ in range(2):
        culprit = last_culprit(tmp_path, OWNERSHIP)
        assert culprit is not None
        assert (culprit.engine, culprit.seconds) == ("SOLUSDT", 3.1)
        assert culprit.place == ("/home/me/my mine.py", 12, "average")
        assert culprit.dump == STACK
        assert str(culprit) == (
            "blocked the loop for 3.1 s and could not be interrupted: "
            "/home/me/my mine.py:12 in average"
        )


def test_patient_culprit(tmp_path: Path) -> None:
    """An engine that was still starting is the culprit as well."""
    who = sentinel.FIRST_ENGINE | sentinel.PATIENT
    leave(tmp_path, who=who, verdict_ms=13_000, dump=STACK)
    culprit = last_culprit(tmp_path, OWNERSHIP)
    assert culprit is not None
    assert culprit.engine == "BTCUSDT"


@pytest.mark.parametrize(
    ("who", "verdict_ms", "dump"),
    [
        (sentinel.FIRST_ENGINE, 0, STACK),
        (sentinel.FIRST_ENGINE, 3000, ""),
        (sentinel.FIRST_ENGINE, 3000, STACK.replace("/home/me/my mine.py", "/fleet/gateway.py")),
        (sentinel.OWN, 30_000, STACK),
        (sentinel.WAITING, 3000, STACK),
        (sentinel.FIRST_ENGINE + 7, 3000, STACK),
        (sentinel.FIRST_ENGINE + sentinel.MAX_NAMES, 3000, STACK),
    ],
)
def test_nobody(tmp_path: Path, who: int, verdict_ms: int, dump: str) -> None:
    """Without verdict, dump, engine and its code in the dump there is no culprit."""
    leave(tmp_path, who=who, verdict_ms=verdict_ms, dump=dump)
    assert last_culprit(tmp_path, OWNERSHIP) is None


def test_no_evidence(tmp_path: Path) -> None:
    """A missing, an incomplete and a foreign file are no evidence."""
    assert last_culprit(tmp_path, OWNERSHIP) is None
    (tmp_path / DUMP).write_text(STACK)
    for content in (b"", sentinel.MAGIC, bytes(sentinel.SIZE)):
        (tmp_path / BOX).write_bytes(content)
        assert last_culprit(tmp_path, OWNERSHIP) is None


def test_open_puts_evidence_aside(tmp_path: Path) -> None:
    """The last process's files are kept once, and no longer name a culprit."""
    leave(tmp_path, who=sentinel.FIRST_ENGINE, verdict_ms=3000, dump=STACK)
    with FlightRecorder.open(tmp_path):
        assert last_culprit(tmp_path, OWNERSHIP) is None
    assert (tmp_path / "blackbox.dump.last").read_text() == STACK
    assert last_culprit(tmp_path, OWNERSHIP) is None


def test_one_name_too_many(tmp_path: Path) -> None:
    """Engines beyond the table, and long names, are counted and harm nothing."""
    with FlightRecorder.open(tmp_path) as box:
        assert box.enter("é" * 64) == sentinel.FIRST_ENGINE
        for _ in range(sentinel.MAX_NAMES):
            last = box.enter("X")
        assert last == sentinel.FIRST_ENGINE + sentinel.MAX_NAMES
    assert (tmp_path / BOX).stat().st_size == sentinel.SIZE


def test_leaves_nothing_behind(tmp_path: Path) -> None:
    """Closing it ends the sentinel and restores the signal handler."""
    before = signal.getsignal(sentinel.SIGNAL)
    with FlightRecorder.open(tmp_path) as box:
        process = box._sentinel
        assert process.poll() is None
    assert process.returncode == 0
    assert signal.getsignal(sentinel.SIGNAL) is before


def test_a_fleet_that_has_ended_is_no_error(tmp_path: Path) -> None:
    """A verdict after the process has ended does no harm."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    sentinel.end(process.pid)


def test_limits() -> None:
    """The limit depends on whose step it is, and on patience only where it is set."""
    cells = memoryview(bytearray(8 * sentinel.CELLS)).cast("Q")
    cells[sentinel.HARD_MS], cells[sentinel.OWN_HARD_MS] = 3000, 30_000
    cells[sentinel.PATIENCE_MS] = 10_000
    engine = sentinel.FIRST_ENGINE + 5
    for who, limit in [
        (sentinel.WAITING, 0),
        (sentinel.OWN, 30_000),
        (engine, 3000),
        (engine | sentinel.PATIENT, 13_000),
    ]:
        cells[sentinel.WHO] = who
        assert sentinel.limit_ms(cells) == limit


def test_is_stopped() -> None:
    """Only a process that is there and stopped is stopped."""
    assert not sentinel.is_stopped(os.getpid())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert not sentinel.is_stopped(process.pid)
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        assert sentinel.is_stopped(process.pid)
        process.kill()
    assert not sentinel.is_stopped(process.pid)
