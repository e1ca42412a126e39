"""The fleets whose documents and data were recorded with 8b022be, and how they are driven."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from tests.compatibility.surface import HERE, RunningFleet, rows

NAME = "compatibility"

FLEET = """\
[fleet]
name = "compatibility"
grace = 2.0
[simulator]
seed = 7
speed = 60.0
[broker]
cash = 10_000
{http}
[risk]
max_daily_loss = 1.0
max_drawdown = 1.0
max_symbol_exposure = 0.1
max_open_positions = 10
[recovery]
max_restarts = 2
backoff_base = 1.5
jitter = 0.0
[defaults]
strategy = "ema_cross"
params = {{ fast = 3, slow = 9 }}
[engines.BTCUSDT]
[engines.ETHUSDT]
strategy = "own_compatibility:Holder"
[engines.SOLUSDT]
strategy = "own_compatibility:Poison"
[engines.BNBUSDT]
strategy = "own_compatibility:Holder"
[engines.XRPUSDT]
group = "pair"
[engines.ADAUSDT]
group = "pair"
strategy = "ensemble"
params = {{ members = [{{ rule = "breakout", params = {{ lookback = 10 }} }}] }}
[engines.LTCUSDT]
strategy = "own_compatibility:Short"
[groups.pair]
restart = "one_for_one"
"""

HTTP = """\
[http]
bind = "127.0.0.1:{port}"
"""


@attrs.frozen
class Observed:
    """What a driven fleet showed on its way."""

    fleet: RunningFleet
    port: int
    statuses: tuple[Any, ...]
    """With engines running, waiting for a restart, failed, paused and stopped."""

    @property
    def data_dir(self) -> Path:
        return self.fleet.file.parent / "data"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def write_fleet(folder: Path, *, port: int | None = None) -> Path:
    """fleet.toml with its strategies beside it; with the REST calls when a port is named."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "own_compatibility.py", folder)
    file = folder / "fleet.toml"
    file.write_text(FLEET.format(http="" if port is None else HTTP.format(port=port)))
    return file


@contextmanager
def short_home() -> Iterator[Path]:
    """A HOME with a short path: a Unix socket's path has 100 bytes."""
    with tempfile.TemporaryDirectory(prefix="levi-", dir="/tmp") as folder:
        yield Path(folder)


def drive(fleet: RunningFleet, port: int = 0) -> Observed:
    """Let one engine fail, pause one, stop one, and wait until the others have traded."""
    waiting = fleet.until(lambda it: rows(it)["SOLUSDT"]["next_restart_in"] is not None)
    fleet.until(lambda it: rows(it)["BNBUSDT"]["trade_count"] == 1)
    assert fleet.ctl("pause", "BNBUSDT").returncode == 0
    assert fleet.ctl("stop", "XRPUSDT", "--wait").returncode == 0
    failed = fleet.until(
        lambda it: (
            rows(it)["SOLUSDT"]["status"] == "failed"
            and rows(it)["ETHUSDT"]["trade_count"] == 1
            and rows(it)["BTCUSDT"]["trade_count"] >= 4
            and rows(it)["LTCUSDT"]["denials"]
        )
    )
    return Observed(fleet, port, (waiting, failed))
