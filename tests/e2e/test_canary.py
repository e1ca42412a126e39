"""A key that is used for a whole run appears in nothing that the run leaves or shows."""

import signal
import time
from pathlib import Path

import pytest

from tests.e2e.leaks import Canary
from tests.e2e.process import FleetProcess

pytestmark = pytest.mark.slow

KEY = "CanaryK7hQ2mZp9XcV4bNw8RtY1uJs6LfD3gAe"
SECRET = "CanaryS3xW8vBn5KqT2yHj7MdR9pGc4ZuF6aLe"

FLEET = """
[fleet]
name = "canary"
grace = 2.0
[simulator]
seed = 7
speed = 60.0
[broker]
kind = "simulator"
key_file = "{key_file}"
[recovery]
max_restarts = 2
backoff_base = 0.2
[engines.BTCUSDT]
strategy = "own_canary:Holder"
[engines.ETHUSDT]
strategy = "own_canary:Thief"
"""

OWN = """
from pathlib import Path
from levitrio.strategies import Signal, Strategy

class Holder(Strategy):
    def __init__(self, symbol):
        pass
    def on_trade(self, trade):
        return Signal(side="long")

class Thief(Strategy):
    def __init__(self, symbol):
        self.left = 20
    def on_trade(self, trade):
        self.left -= 1
        if self.left == 0:
            api_key, api_secret = Path({key_file!r}).read_text().split()
            raise RuntimeError(f"look, apiKey={{api_key}} and {{api_secret}}")
"""


@pytest.fixture
def fleet(tmp_path: Path, home: Path) -> FleetProcess:
    """Orders go to the simulator with the canary key, and one strategy raises it in an error."""
    key_file = home / "canary.key"
    key_file.write_text(f"{KEY}\n{SECRET}\n")
    key_file.chmod(0o600)
    (tmp_path / "own_canary.py").write_text(OWN.format(key_file=str(key_file)))
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET.format(key_file=key_file))
    return FleetProcess(home, file)


def test_a_key_appears_nowhere(fleet: FleetProcess, tmp_path: Path) -> None:
    """Not in files, logs, events, history, status, the terminal, argv or the environment."""
    with fleet:
        fleet.until(lambda it: it["failed"] == 1)
        deadline = time.monotonic() + 20
        while "fill" not in fleet.output:
            assert time.monotonic() < deadline, fleet.output[-2000:]
            time.sleep(0.1)
        assert fleet.process is not None
        proc = Path(f"/proc/{fleet.process.pid}")
        seen = {
            "argv": (proc / "cmdline").read_bytes().decode(),
            "environment": (proc / "environ").read_bytes().decode(),
            "status": fleet.ctl("status", "--json").stdout,
            "events": fleet.ctl("events", "--json").stdout,
            "history": fleet.ctl("history", "ETHUSDT", "--json").stdout,
            "risk": fleet.ctl("risk", "--json").stdout,
        }
        assert "RuntimeError" in seen["history"]
        second = FleetProcess(fleet.home, fleet.file)
        other = tmp_path / "second.toml"
        text = fleet.file.read_text().replace('"canary"', '"second"')
        other.write_text(text.replace("grace", 'data_dir = "second"\ngrace'))
        second.file = other
        before = len(fleet.output)
        with second:
            assert second.wait() == 1
        assert "in use by fleet canary" in fleet.output[before:]
        fleet.send(signal.SIGTERM)
        assert fleet.wait() == 0
    seen["terminal"] = fleet.output
    canary = Canary(KEY, SECRET)
    leaks = [where for where, text in seen.items() if canary.is_in(text)]
    assert leaks + canary.leaks_in(tmp_path, fleet.home / ".local") == []
