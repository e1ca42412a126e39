"""A fleet that trades all the time, and disks to take away from it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.process import FleetProcess

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
name = "disks"
data_dir = "disk/data"
grace = 2.0
[simulator]
seed = 1
speed = 5.0
[risk]
max_daily_loss = 1.0
max_drawdown = 1.0
max_orders_per_minute = 100000
[defaults]
strategy = "own_disks:Flip"
[engines.BTCUSDT]
[engines.ETHUSDT]
"""


def make_fleet(folder: Path, home: Path) -> FleetProcess:
    """A fleet below `folder`, its data in `disk/data`; not started."""
    (folder / "own_disks.py").write_text(OWN)
    file = folder / "fleet.toml"
    file.write_text(FLEET)
    return FleetProcess(home, file)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A disk of its own in memory, such as `size=4m`; skips the test without the right to."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"{options},mode=700", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small disk here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def trades_of(status: dict[str, Any]) -> int:
    """Orders of the fleet that have traded."""
    return sum(row["trade_count"] for row in status["engines"])


def has_traded(status: dict[str, Any]) -> bool:
    return trades_of(status) > 4
