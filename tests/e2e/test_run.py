"""`levi run` with real processes, signals, sockets, SQLite and files."""

import json
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.e2e.process import FleetProcess, all_running, row_of
from tests.paths import ROOT

pytestmark = pytest.mark.slow

FLEET = """
[fleet]
name = "e2e"
grace = 2.0
[simulator]
seed = 7
speed = 60.0
[recovery]
max_restarts = 2
backoff_base = 0.2
[engines.BTCUSDT]
[engines.ETHUSDT]
strategy = "own_e2e:Holder"
[engines.SOLUSDT]
strategy = "own_e2e:Poison"
"""

OWN = """
from levitrio.strategies import Signal, Strategy

class Poison(Strategy):
    def __init__(self, symbol):
        self.left = 100
    def on_trade(self, trade):
        self.left -= 1
        if self.left == 0:
            raise RuntimeError("the hundredth")

class Holder(Strategy):
    def __init__(self, symbol):
        pass
    def on_trade(self, trade):
        return Signal(side="long")
"""


@pytest.fixture
def fleet(tmp_path: Path, home: Path) -> FleetProcess:
    """Three engines on a fast simulator; one of them is poisoned, one buys and holds."""
    (tmp_path / "own_e2e.py").write_text(OWN)
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET)
    return FleetProcess(home, file)


def test_the_example_fleet(tmp_path: Path, home: Path) -> None:
    """The README's fleet: fifteen engines in seconds, a status as promised, a log for each."""
    file = tmp_path / "config" / "fleet.toml"
    file.parent.mkdir()
    text = (ROOT / "config" / "fleet.toml").read_text()
    file.write_text(text.replace("speed = 1.0", "speed = 60.0"))
    began = time.monotonic()
    with FleetProcess(home, file) as fleet:
        document = fleet.until(all_running)
        assert time.monotonic() - began < 10.0
        assert document["total"] == 15
        fleet.until(lambda status: sum(row["trade_count"] for row in status["engines"]) > 0)
        before = fleet.rows()
        done = fleet.ctl("restart", "sol/usdt", "--wait")
        assert done.returncode == 0, done.stderr
        after = fleet.rows()
        assert after["SOLUSDT"]["incarnation"] == 2
        for symbol, row in after.items():
            if symbol != "SOLUSDT":
                assert row["incarnation"] == 1
                assert row["uptime_seconds"] > before[symbol]["uptime_seconds"]
                assert row["ticks_dropped"] == 0
        fleet.send(signal.SIGINT)
        assert fleet.wait() == 0
        assert "Traceback" not in fleet.output
    data = tmp_path / "data"
    logs = sorted((data / "logs").glob("engine-*.jsonl"))
    assert len({log.name.split("-")[1] for log in logs}) == 15
    for log in [*logs, *(data / "logs").glob("orchestrator-*.jsonl")]:
        for line in log.read_text().splitlines():
            entry = json.loads(line)
            assert {"ts", "level", "event"} <= entry.keys()
            assert entry.get("symbol", log.name.split("-")[1]) == log.name.split("-")[1]
    registry = json.loads((data / "registry.json").read_text())
    assert {row["status"] for row in registry["registry"]["engines"]} == {"stopped"}


@pytest.mark.long
def test_a_poisoned_engine_and_kill_9(fleet: FleetProcess) -> None:
    """Restarted at once, with backoff, then failed; killed right then, all of it is remembered."""
    with fleet:
        failed = fleet.until(lambda status: row_of(status, "SOLUSDT")["status"] == "failed")
        fleet.kill()
        sol = row_of(failed, "SOLUSDT")
        assert (sol["incarnation"], sol["restarts"]) == (3, 2)
        assert sol["last_error"] == "RuntimeError: the hundredth"
        assert row_of(failed, "BTCUSDT")["incarnation"] == 1
        held = row_of(failed, "ETHUSDT")
        assert held["trade_count"] == 1
        fleet.start()
        again = fleet.until(lambda status: row_of(status, "BTCUSDT")["status"] == "running")
        after = row_of(again, "SOLUSDT")
        for key in ("status", "restarts", "last_error"):
            assert after[key] == sol[key]
        for key in ("position", "average_entry", "realized_pnl", "trade_count"):
            assert row_of(again, "ETHUSDT")[key] == held[key]
        refused = fleet.ctl("restart", "SOLUSDT")
        assert refused.returncode == 1
        assert "levi ctl reset SOLUSDT" in refused.stderr
        assert fleet.ctl("status", "--json").returncode == 3
        fleet.send(signal.SIGTERM)
        assert fleet.wait() == 0
    with sqlite3.connect(fleet.file.parent / "data" / "journal.db") as journal:
        (fills,) = journal.execute("SELECT count(*) FROM fills WHERE symbol = 'ETHUSDT'").fetchone()
    journal.close()
    assert fills == 1


def test_a_second_run_is_refused(fleet: FleetProcess) -> None:
    """Within a second, with one line, and the first one does not notice."""
    with fleet:
        fleet.until(lambda status: row_of(status, "BTCUSDT")["status"] == "running")
        before = fleet.rows()["BTCUSDT"]["uptime_seconds"]
        began = time.monotonic()
        second = FleetProcess(fleet.home, fleet.file).start()
        assert second.wait() == 1
        assert time.monotonic() - began < 10.0
        assert "is in use by process" in fleet.output
        assert "Traceback" not in fleet.output
        assert fleet.rows()["BTCUSDT"]["uptime_seconds"] > before


def test_shutdown_by_command(fleet: FleetProcess) -> None:
    """`levi ctl shutdown` ends the process with 0; then status exits 4 and says what to do."""
    with fleet:
        fleet.until(lambda status: row_of(status, "BTCUSDT")["status"] == "running")
        assert fleet.ctl("shutdown").returncode == 0
        assert fleet.wait() == 0
    gone = fleet.ctl("status")
    assert gone.returncode == 4
    assert "levi run" in gone.stderr
    document = fleet.ctl("status", "--json")
    assert document.returncode == 4
    assert json.loads(document.stdout)["reachable"] is False


def test_a_damaged_snapshot_is_reported(fleet: FleetProcess, tmp_path: Path) -> None:
    """A damaged newest snapshot: on the terminal, in the log and in the events, once each."""
    data = tmp_path / "data"
    with fleet:
        fleet.until(lambda status: row_of(status, "BTCUSDT")["status"] == "running")
        assert fleet.ctl("shutdown").returncode == 0
        assert fleet.wait() == 0
        shutil.copy(data / "registry.json", data / "registry.1.json")
        with (data / "registry.json").open("r+b") as snapshot:
            snapshot.seek(200)
            snapshot.write(b"#")
        fleet.start()
        fleet.until(lambda status: row_of(status, "BTCUSDT")["status"] == "running")
        events = fleet.ctl("events", "--json", "--since", "0").stdout
        assert fleet.ctl("shutdown").returncode == 0
        assert fleet.wait() == 0
    logged = "".join(file.read_text() for file in (data / "logs").glob("orchestrator-*.jsonl"))
    for text in (events, logged, fleet.output):
        assert text.count("registry.json is damaged: ") == 1
        assert text.count("from registry.1.json") == 1


def test_bad_fleet_toml_starts_nothing(fleet: FleetProcess) -> None:
    """Every mistake in one output, each with its line; exit 2 and no data directory."""
    fleet.file.write_text(FLEET.replace("grace", "grcae").replace("seed = 7", 'seed = "7"'))
    with fleet:
        assert fleet.wait() == 2
    assert "fleet.toml:4: fleet.grcae" in fleet.output
    assert "did you mean" in fleet.output
    assert "fleet.toml:6: simulator.seed" in fleet.output
    assert "Traceback" not in fleet.output
    assert not (fleet.file.parent / "data").exists()
