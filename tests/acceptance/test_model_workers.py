"""A model's worker process killed, or stopped in mid-call, under a fleet that really runs."""

import os
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.e2e.process import PATIENCE, FleetProcess, all_running, row_of
from tests.inference.model_files import needs_ml

pytestmark = needs_ml

FLEET = """
[fleet]
name = "workers"
[simulator]
seed = 7
speed = 60.0
[models]
workers = 1
deadline = "250ms"
[engines.BTCUSDT]
[engines.ETHUSDT]
[engines.XLMUSDT]
strategy = "ensemble"
warm_up = 60
[engines.XLMUSDT.params]
members = [{ model = "simulator" }]
"""
"""A bar a second, so that a call is never far away."""


@pytest.fixture
def fleet(tmp_path: Path, home: Path) -> FleetProcess:
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET)
    file.chmod(0o600)
    return FleetProcess(home, file)


def _children(pid: int) -> list[int]:
    """Those whose parent is `pid`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it ended meanwhile
        if parent == pid:
            found.append(int(path.parent.name))
    return found


def _worker(fleet_pid: int) -> int:
    """The worker: the only grandchild of a fleet."""
    (worker,) = (each for child in _children(fleet_pid) for each in _children(child))
    return worker


def _told(fleet: FleetProcess, event: str) -> list[dict[str, Any]]:
    """What the fleet's log says of that event, oldest first."""
    lines: list[dict[str, Any]] = []
    for path in sorted((fleet.file.parent / "data" / "logs").glob("orchestrator-*.jsonl")):
        lines += msgspec.json.Decoder(dict[str, Any]).decode_lines(path.read_bytes())
    return [line for line in lines if line["event"] == event]


def _wait_told(fleet: FleetProcess, event: str, count: int) -> float:
    """When it was told for the n-th time, in seconds since 1970."""
    deadline = time.monotonic() + PATIENCE
    while len(found := _told(fleet, event)) < count:
        assert time.monotonic() < deadline, (event, fleet.output[-2000:])
        time.sleep(0.05)
    return datetime.fromisoformat(found[count - 1]["ts"]).timestamp()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_is_gone_costs_its_engine_a_signal(
    fleet: FleetProcess, number: signal.Signals
) -> None:
    """Another one takes its place; no engine restarts, and no other engine drops a tick."""
    with fleet:
        fleet.until(lambda status: all_running(status) and row_of(status, "XLMUSDT")["ticks"] > 200)
        _wait_told(fleet, "worker_ready", 1)
        before = fleet.status()
        os.kill(_worker(before["pid"]), number)
        assert _wait_told(fleet, "worker_ready", 2) > _wait_told(fleet, "worker_lost", 1)
        after = fleet.until(
            lambda status: (
                row_of(status, "BTCUSDT")["ticks"] > row_of(before, "BTCUSDT")["ticks"] + 500
            )
        )
        for row in after["engines"]:
            assert (row["incarnation"], row["restarts"], row["ticks_dropped"]) == (1, 0, 0), row
        if number is signal.SIGSTOP:  # it was asked meanwhile, and said nothing
            texts = [line["text"] for line in _told(fleet, "member_missing")]
            assert "model simulator is left out: no answer within the deadline" in texts
        assert fleet.ctl("shutdown").returncode == 0
        assert fleet.wait() == 0


@pytest.mark.timing
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_another_worker_is_there_within_a_second(
    fleet: FleetProcess, number: signal.Signals
) -> None:
    """Of being missed, its model loaded."""
    with fleet:
        _wait_told(fleet, "worker_ready", 1)
        os.kill(_worker(fleet.status()["pid"]), number)
        lost = _wait_told(fleet, "worker_lost", 1)
        assert _wait_told(fleet, "worker_ready", 2) - lost < 1.0
