"""Loops that really block, in processes of their own: alarms and signals are the point."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from levitrio.supervision.current_engine import ENGINE, EngineBlocked
from levitrio.supervision.watchdog.alarm import BlockedStep, Watchdog
from levitrio.supervision.watchdog.flight_recorder import last_culprit
from tests.paths import ROOT
from tests.supervision.watchdog import stalls

pytestmark = [pytest.mark.slow, pytest.mark.long]


@contextmanager
def fleet(directory: Path, stall: str, **settings: float) -> Iterator[subprocess.Popen[str]]:
    """A running fleet whose engine is about to block; its sentinel's pid was read already."""
    command = [sys.executable, stalls.__file__, stall, str(directory)]
    command += [f"{key}={value}" for key, value in settings.items()]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        try:
            assert process.stdout is not None
            process.sentinel = int(process.stdout.readline())  # type: ignore[attr-defined]
            yield process
        finally:
            process.kill()


def outcome(directory: Path, stall: str, **settings: float) -> dict[str, Any]:
    """What the fleet printed after a normal end."""
    with fleet(directory, stall, **settings) as process:
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    result: dict[str, Any] = json.loads(out)
    return result


@pytest.mark.parametrize(
    ("stall", "function"),
    [("loop", "loop"), ("sleep", "sleep"), ("regex", "regex"), ("grandchild", "loop")],
)
def test_frees_the_loop(tmp_path: Path, stall: str, function: str) -> None:
    """The engine is named with its function, and its neighbours go on soon after the limit."""
    result = outcome(tmp_path, stall, hard_after=5)
    [(engine, seconds, place, interrupted)] = result["blocked"]
    assert (engine, place, interrupted) == ("SOLUSDT", function, True)
    assert 0.3 <= seconds < 0.5
    assert 0.3 < result["gap"] < 0.6
    [error] = result["caught"]
    assert error.startswith("SOLUSDT blocked the loop for 0.3")
    assert function in error
    assert last_culprit(tmp_path, stalls.OWNERSHIP) is None


def test_raises_again(tmp_path: Path) -> None:
    """Code that swallows it once gets it once more after as long a time."""
    result = outcome(tmp_path, "swallow_once", hard_after=5)
    assert [each[3] for each in result["blocked"]] == [True, True]
    assert len(result["caught"]) == 1
    assert result["gap"] < 1.0


def test_patience(tmp_path: Path) -> None:
    """An engine that starts may take its time."""
    result = outcome(tmp_path, "nap", patience=10)
    assert result["blocked"] == []
    assert result["caught"] == []


def test_turned_off(tmp_path: Path) -> None:
    """blocked_after = 0 interrupts nothing."""
    assert outcome(tmp_path, "nap", blocked_after=0)["blocked"] == []


def test_own_code(tmp_path: Path) -> None:
    """A step of our own code is reported once, and never interrupted."""
    result = outcome(tmp_path, "nap", own=1)
    [(engine, seconds, _, interrupted)] = result["blocked"]
    assert (engine, interrupted) == (None, False)
    assert seconds < 0.5
    assert result["caught"] == []


@pytest.mark.parametrize("stall", ["call_into_c", "swallow"])
def test_ends_what_cannot_be_freed(tmp_path: Path, stall: str) -> None:
    """The process ends soon after the hard limit, and the next start knows the culprit."""
    with fleet(tmp_path, stall) as process:
        begin = time.monotonic()
        process.communicate(timeout=20)
    assert 0.9 < time.monotonic() - begin < 1.5
    assert process.returncode == -signal.SIGVTALRM
    culprit = last_culprit(tmp_path, stalls.OWNERSHIP)
    assert culprit is not None
    assert culprit.engine == "SOLUSDT"
    assert 1.0 <= culprit.seconds < 1.3
    assert culprit.place[0] == stalls.__file__
    assert culprit.place[2] in {stall, "loop"}
    assert "blocked the loop for 1." in str(culprit)


def test_hard_limit_waits_for_the_patient(tmp_path: Path) -> None:
    """A call into C while starting is granted the time to start on top."""
    with (
        fleet(tmp_path, "call_into_c", hard_after=0.2, patience=0.8) as process,
        pytest.raises(subprocess.TimeoutExpired),
    ):
        process.communicate(timeout=0.7)


@pytest.mark.parametrize("stall", ["busy_with_pauses", "nap"])
def test_pause_of_the_process(tmp_path: Path, stall: str) -> None:
    """SIGSTOP for longer than every limit is no hang, neither in a step nor between two."""
    with fleet(tmp_path, stall, blocked_after=1.0) as process:
        time.sleep(0.2)
        process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert json.loads(out)["blocked"] == []
    assert json.loads(out)["gap"] > 1.9


def test_kill_blames_nobody(tmp_path: Path) -> None:
    """A kill -9 in the middle of an engine's step leaves no culprit and no sentinel."""
    with fleet(tmp_path, "call_into_c", hard_after=60) as process:
        process.kill()
        process.communicate(timeout=20)
        sentinel = Path(f"/proc/{process.sentinel}/stat")  # type: ignore[attr-defined]
        deadline = time.monotonic() + 5
        # An orphan is reaped by the process that adopts it; until then it shows as a zombie.
        while sentinel.exists() and ") Z" not in sentinel.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert last_culprit(tmp_path, stalls.OWNERSHIP) is None


def test_terminated_while_blocked(tmp_path: Path) -> None:
    """SIGTERM ends a blocked loop in C, with its stacks on stderr, and no culprit."""
    with fleet(tmp_path, "loop", blocked_after=0, hard_after=60, exit_after=0.3) as process:
        begin = time.monotonic()
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert 0.3 <= time.monotonic() - begin < 1.0
    assert process.returncode == 1
    assert "in loop" in err
    assert last_culprit(tmp_path, stalls.OWNERSHIP) is None


def test_without_blackbox() -> None:
    """Without a flight recorder the alarm works, finds a name set in the step, and cleans up."""
    reports: list[BlockedStep] = []
    before = signal.getsignal(signal.SIGALRM)

    async def main() -> None:
        watchdog = Watchdog(
            ownership=stalls.OWNERSHIP, on_blocked=reports.append, blocked_after=0.05
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(watchdog.run)
            ENGINE.set("BTCUSDT")
            with pytest.raises(EngineBlocked) as caught:
                await stalls.loop()
            assert caught.value.engine == "BTCUSDT"
            assert caught.value.place[0] == __file__
            await trio.sleep(0.01)
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert [each.engine for each in reports] == ["BTCUSDT"]
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_nothing_to_do() -> None:
    """Turned off and without a flight recorder it only runs, under any clock."""

    async def main() -> None:
        watchdog = Watchdog(ownership=stalls.OWNERSHIP, on_blocked=print, blocked_after=0)
        with trio.move_on_after(60) as minute:
            await watchdog.run()
        assert minute.cancelled_caught, "expected it to live until it is cancelled"

    before = signal.getsignal(signal.SIGALRM)
    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
