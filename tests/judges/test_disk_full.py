"""A full disk: no order leaves, engines live on, and trading goes on when there is room again."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.process import FleetProcess, all_running

OWN = """
from levitrio.strategies import Signal, Strategy

class Flip(Strategy):
    def __init__(self, symbol):
        self.count = 0
    def on_trade(self, trade):
        self.count += 1
        return Signal(side="long" if self.count % 2 else "flat")
"""

FLEET = """
[fleet]
name = "full"
data_dir = "disk/data"
[simulator]
seed = 1
speed = 5.0
[risk]
max_daily_loss = 1.0
max_drawdown = 1.0
max_orders_per_minute = 100000
[defaults]
strategy = "own_full:Flip"
[engines.BTCUSDT]
[engines.ETHUSDT]
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk; needs the right to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("may not mount a small disk here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def keep_full(filler: Path, *, seconds: float) -> None:
    """Write until nothing more fits, again and again."""
    deadline = time.monotonic() + seconds
    with filler.open("ab", buffering=0) as rubbish:
        while time.monotonic() < deadline:
            with suppress(OSError):
                while True:
                    rubbish.write(b"x" * 512)
            time.sleep(0.02)


def test_no_order_leaves(tmp_path: Path, disk: Path, home: Path) -> None:
    """Not one trade while the disk is full, an alarm, both engines alive; then it goes on."""
    (tmp_path / "own_full.py").write_text(OWN)
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET)
    filler = disk / "filler"
    with FleetProcess(home, file) as fleet:

        def trades() -> int:
            return sum(row["trade_count"] for row in fleet.rows().values())

        fleet.until(all_running)
        fleet.until(lambda status: sum(row["trade_count"] for row in status["engines"]) > 4)
        # The journal gives room back when it reopens, so the disk is kept full for a while.
        keep_full(filler, seconds=6.0)
        assert "journal_trouble" in fleet.output
        before = trades()
        keep_full(filler, seconds=3.0)
        assert trades() == before
        assert {row["status"] for row in fleet.rows().values()} == {"running"}
        refused = fleet.ctl("stop", "BTCUSDT")
        assert refused.returncode == 1, "what cannot be journaled is not acknowledged"
        filler.unlink()
        fleet.until(lambda status: sum(row["trade_count"] for row in status["engines"]) > before)
        assert "Traceback" not in fleet.output
