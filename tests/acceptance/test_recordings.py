"""Real recordings through a real fleet: every trade arrives, once and in order."""

import gzip
import json
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.process import FleetProcess
from tests.paths import SHARED

RECORDINGS = SHARED / "hftbacktest"

PATIENCE = 240.0
"""Seconds; 75,000 frames through two websockets take ten on a quiet machine."""

WRITER = """
from pathlib import Path
from levitrio.strategies import Strategy

class Writer(Strategy):
    def __init__(self, symbol):
        self.file = Path(__file__).with_name(symbol).open("w", buffering=1)
    def on_trade(self, trade):
        self.file.write(f"{trade.trade_id}\\n")
"""


@pytest.mark.skipif(not RECORDINGS.exists(), reason="shared recordings are not beside us")
def test_recordings_arrive_complete(tmp_path: Path, home: Path) -> None:
    """Two recordings at full speed: every trade, in order, none missing, none twice."""
    paths = [RECORDINGS / f"{name}usdt_20240808.gz" for name in ("btc", "eth")]
    (tmp_path / "own_judge.py").write_text(WRITER)
    file = tmp_path / "fleet.toml"
    file.write_text(
        f"""
[fleet]
name = "judge"
[simulator]
speed = 1e6
recording = {json.dumps([str(path) for path in paths])}
[defaults]
strategy = "own_judge:Writer"
[engines.BTCUSDT]
[engines.ETHUSDT]
[engines.SOLUSDT]
"""
    )
    with FleetProcess(home, file) as fleet:
        deadline = time.monotonic() + PATIENCE
        while "tape_ended" not in fleet.output:
            assert time.monotonic() < deadline, fleet.output[-2000:]
            time.sleep(0.5)
        time.sleep(1.0)
        rows = fleet.rows()
        fleet.send(signal.SIGINT)
        assert fleet.wait() == 0
    for path, symbol in zip(paths, ("BTCUSDT", "ETHUSDT"), strict=True):
        with gzip.open(path, "rt") as lines:
            expected = [
                str(json.loads(line.split(" ", 1)[1])["data"]["t"])
                for line in lines
                if "@trade" in line
            ]
        assert (tmp_path / symbol).read_text().split() == expected
        assert rows[symbol]["ticks"] == len(expected)
        assert expected == sorted(expected, key=int)
    assert rows["SOLUSDT"]["ticks"] == 0
