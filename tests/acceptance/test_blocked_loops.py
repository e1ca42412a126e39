"""A blocked loop among a hundred engines: named and freed, twenty of twenty times."""

import json
import signal
import time
from pathlib import Path

from tests.e2e.process import FleetProcess, all_running, row_of

BLOCKED_AFTER = 0.5

FREED_WITHIN = 0.3
"""Seconds after `blocked_after` until everybody else runs again."""

TIMES = 20

OWN = """
import re, time
from pathlib import Path
import trio
from levitrio.strategies import Strategy

class Blocker(Strategy):
    made = 0
    def __init__(self, symbol):
        Blocker.made += 1
        self.left = 3
    def on_trade(self, trade):
        self.left -= 1
        if self.left:
            return
        if Blocker.made % 3 == 0:
            while True: pass
        elif Blocker.made % 3 == 1:
            time.sleep(60)
        else:
            re.match(r"(a+)+$", "a" * 40 + "b")

class Deaf(Strategy):
    def __init__(self, symbol):
        self.left = 3
    def on_trade(self, trade):
        self.left -= 1
        if not self.left:
            sum(range(10**12))

class Meter(Strategy):
    def __init__(self, symbol):
        self.file = Path(__file__).with_name("gaps").open("w", buffering=1)
    async def on_trade(self, trade):
        while True:
            before = time.monotonic()
            await trio.sleep(0.005)
            gap = time.monotonic() - before
            if gap > 0.3:
                self.file.write(f"{gap:.4f}\\n")
"""

FLEET = """
[fleet]
name = "judge"
[simulator]
seed = 1
speed = 4.0
[feed]
streams = ["trade"]
[recovery]
max_restarts = 100
backoff_max = 0.2
backoff_base = 0.1
[health]
heartbeat_timeout = 3600
blocked_after = {blocked_after}
[defaults]
strategy = "breakout"
[engines.BLOCKUSDT]
strategy = "own_judge:{kind}"
[engines.METERUSDT]
strategy = "own_judge:Meter"
"""


def write(folder: Path, kind: str, engines: int) -> Path:
    (folder / "own_judge.py").write_text(OWN)
    file = folder / "fleet.toml"
    others = "".join(f"[engines.S{number:03}USDT]\n" for number in range(engines - 2))
    file.write_text(FLEET.format(kind=kind, blocked_after=BLOCKED_AFTER) + others)
    return file


def test_freed_twenty_of_twenty_times(tmp_path: Path, home: Path) -> None:
    """`while True`, `time.sleep` and a backtracking regex, in one of 100 engines."""
    file = write(tmp_path, "Blocker", 100)
    with FleetProcess(home, file) as fleet:
        deadline = time.monotonic() + 180
        while fleet.output.count(": interrupted") <= TIMES:
            assert time.monotonic() < deadline, fleet.output[-2000:]
            time.sleep(0.5)
        rows = fleet.rows()
        fleet.send(signal.SIGTERM)
        assert fleet.wait() == 0
        lines = [line for line in fleet.output.splitlines() if ": interrupted" in line]
    for line in lines:
        assert "own_judge.py:" in line
        assert " BLOCKUSDT blocked the loop for " in line
    gaps = [float(gap) for gap in (tmp_path / "gaps").read_text().split()]
    assert len(gaps) >= TIMES
    assert max(gaps) <= BLOCKED_AFTER + FREED_WITHIN, sorted(gaps)[-5:]
    others = {symbol: row for symbol, row in rows.items() if symbol != "BLOCKUSDT"}
    assert {row["incarnation"] for row in others.values()} == {1}
    print(f"blocked {len(gaps)} times, others waited {min(gaps):.3f} to {max(gaps):.3f} s")


def test_what_cannot_be_interrupted_ends_the_process(tmp_path: Path, home: Path) -> None:
    """An uninterruptible C call: the process ends, and the next start holds its engine back."""
    file = write(tmp_path, "Deaf", 10)
    with FleetProcess(home, file) as fleet:
        assert fleet.wait() != 0
        fleet.start()
        again = fleet.until(lambda status: row_of(status, "METERUSDT")["status"] == "running")
        row = row_of(again, "BLOCKUSDT")
        assert row["status"] == "failed"
        assert "own_judge.py" in row["last_error"]
        assert "could not be interrupted" in row["failed"]
        history = json.loads(fleet.ctl("history", "BLOCKUSDT", "--json").stdout)
        assert history["incidents"][0]["cause"] == "blocked"
        assert fleet.ctl("reset", "BLOCKUSDT").returncode == 0
        fleet.send(signal.SIGKILL)


def test_a_kill_blames_nobody(tmp_path: Path, home: Path) -> None:
    """A plain `kill -9` while an engine is in its code holds no engine back."""
    file = write(tmp_path, "Meter", 10)
    with FleetProcess(home, file) as fleet:
        fleet.until(all_running)
        fleet.kill()
        fleet.start()
        fleet.until(all_running)
