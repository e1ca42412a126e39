"""Entries that rest at a venue which outlives the fleet: no order is forgotten there."""

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from tests.acceptance.pages import free_port
from tests.e2e.process import LEVI, FleetProcess, all_running
from tests.e2e.venue import AccountClient

KEY = "K7hQ2mZp9XcV4bNw8RtY1uJs6LfD3gAe"
SECRET = "S3xW8vBn5KqT2yHj7MdR9pGc4ZuF6aLe"

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT")

OWN = """
from levitrio.strategies import Signal, Strategy

class Want(Strategy):
    def __init__(self, symbol):
        self.holds = False
    def on_fill(self, fill):
        self.holds = fill.position > 0
    def on_trade(self, trade):
        return Signal(side="flat" if self.holds else "long")
"""

FLEET = """
[fleet]
name = "resting"
[feed]
url = "ws://127.0.0.1:{port}"
[broker]
kind = "simulator"
url = "ws://127.0.0.1:{port}/ws-api/v3"
key_file = "{key_file}"
entry = "limit_maker"
[risk]
max_daily_loss = 1.0
max_drawdown = 1.0
max_symbol_exposure = 0.10
max_orders_per_minute = 100000
[defaults]
strategy = "own_resting:Want"
"""


@contextmanager
def simulator(port: int) -> Iterator[AccountClient]:
    """`levi simulator` alone, with one account."""
    account = ("--api-key", KEY, "--api-secret", SECRET)
    with subprocess.Popen(
        [*LEVI, "simulator", "--port", str(port), *account],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as process:
        yield AccountClient(port, KEY, SECRET)
        process.terminate()


def open_orders(venue: AccountClient) -> list[str]:
    """Client ids of what rests there, asked symbol by symbol: all at once weighs far more."""
    return [
        order["clientOrderId"]
        for symbol in SYMBOLS
        for order in venue.ask("GET", "openOrders", symbol=symbol)
    ]


def until_some_rest(venue: AccountClient, fleet: FleetProcess, least: int = 2) -> list[str]:
    """Orders fill, and others come: at some moment so many rest together."""
    deadline = time.monotonic() + 60
    while len(found := open_orders(venue)) < least:
        assert time.monotonic() < deadline, fleet.output[-3000:]
        time.sleep(0.2)
    return found


def test_no_order_is_forgotten_at_the_venue(tmp_path: Path, home: Path) -> None:
    """Halt, SIGTERM, kill -9 and pause while entries rest: afterwards the venue has none of them.

    The books are what the account holds, whenever the fleet was killed.
    """
    (tmp_path / "own_resting.py").write_text(OWN)
    key_file = tmp_path / "own.key"
    key_file.write_text(f"{KEY}\n{SECRET}\n")
    key_file.chmod(0o600)
    port, file = free_port(), tmp_path / "fleet.toml"
    engines = "".join(f"[engines.{symbol}]\n" for symbol in SYMBOLS)
    file.write_text(FLEET.format(port=port, key_file=key_file) + engines)
    with simulator(port) as venue, FleetProcess(home, file) as fleet:
        fleet.until(all_running)
        until_some_rest(venue, fleet)
        begun = time.monotonic()
        assert fleet.ctl("halt").returncode == 0
        while open_orders(venue):
            assert time.monotonic() < begun + 10, fleet.output[-3000:]
        print(f"no open order {time.monotonic() - begun:.2f} s after Enter")
        assert fleet.ctl("unhalt").returncode == 0

        until_some_rest(venue, fleet)
        assert fleet.ctl("pause", "--all").returncode == 0
        fleet.until(lambda status: bool(status["paused"] == len(SYMBOLS)))
        while open_orders(venue):
            assert time.monotonic() < begun + 120, fleet.output[-3000:]
        assert fleet.ctl("resume", "--all", "--wait").returncode == 0

        until_some_rest(venue, fleet)
        fleet.send(signal.SIGTERM)
        assert fleet.wait() == 0, fleet.output[-3000:]
        assert open_orders(venue) == []

        for _ in range(3):
            fleet.start()
            fleet.until(all_running)
            left = set(until_some_rest(venue, fleet, least=1))
            fleet.kill()
        fleet.start()
        fleet.until(all_running)
        deadline = time.monotonic() + 30
        while left & set(open_orders(venue)):
            assert time.monotonic() < deadline, "a killed fleet's order still rests"
            time.sleep(0.2)
        assert fleet.ctl("halt").returncode == 0
        while open_orders(venue):
            time.sleep(0.1)
        time.sleep(1.0)
        held = {
            each["asset"]: Decimal(each["free"]) + Decimal(each["locked"])
            for each in venue.ask("GET", "account")["balances"]
        }
        for symbol, row in fleet.rows().items():
            assert Decimal(row["position"]) == held.get(symbol.removesuffix("USDT"), Decimal(0))
        assert not re.search(r"foreign_order|quarantine|Traceback", fleet.output)
