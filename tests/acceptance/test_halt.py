"""`levi ctl halt` with orders resting at the venue: the venue is asked, not the fleet."""

import hashlib
import hmac
import http.client
import json
import signal
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.acceptance.test_canary import odd_venue, private
from tests.e2e.process import FleetProcess, all_running

KEY = "K7hQ2mZp9XcV4bNw8RtY1uJs6LfD3gAe"
SECRET = "S3xW8vBn5KqT2yHj7MdR9pGc4ZuF6aLe"

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")

WITHIN = 1.0
"""Seconds from the operator's Enter until the venue holds no order of ours."""

OWN = """
from levitrio.strategies import Signal, Strategy

class Want(Strategy):
    def __init__(self, symbol):
        pass
    def on_trade(self, trade):
        return Signal(side="long")
"""

FLEET = """
[fleet]
name = "halting"
[feed]
url = "{url}"
[broker]
kind = "simulator"
url = "{url}/ws-api/v3"
key_file = "{key_file}"
[risk]
max_symbol_exposure = 0.10
[defaults]
strategy = "own_halting:Want"
"""


def open_orders(venue: str) -> list[dict[str, Any]]:
    """What the venue itself calls open, asked symbol by symbol: all at once weighs far more."""
    return [order for symbol in SYMBOLS for order in open_orders_of(venue, symbol)]


def open_orders_of(venue: str, symbol: str) -> list[dict[str, Any]]:
    """Asked with our key over the venue's REST."""
    query = urlencode({"symbol": symbol, "timestamp": int(time.time() * 1000)})
    signature = hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
    connection = http.client.HTTPConnection(venue, timeout=5)
    connection.request(
        "GET",
        f"/api/v3/openOrders?{query}&signature={signature}",
        headers={"X-MBX-APIKEY": KEY},
    )
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    assert answer.status == 200, body
    assert isinstance(body, list)
    return body


def wait_for_orders(venue: str, fleet: FleetProcess, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(open_orders(venue)) != count:
        assert time.monotonic() < deadline, fleet.output[-2000:]
        time.sleep(0.2)


@pytest.mark.timing
def test_no_order_is_open_within_a_second(tmp_path: Path, home: Path) -> None:
    """Nor after a restart, nor after a kill: only `unhalt` lets orders out again."""
    (tmp_path / "own_halting.py").write_text(OWN)
    venue_file = private(tmp_path / "venue", "\n".join(map(json.dumps, (KEY, SECRET))))
    key_file = private(tmp_path / "own.key", f"{KEY}\n{SECRET}\n")
    file = tmp_path / "fleet.toml"
    with odd_venue(venue_file, "rests") as url:
        venue = url.removeprefix("ws://")
        engines = "".join(f"[engines.{symbol}]\n" for symbol in SYMBOLS)
        file.write_text(FLEET.format(url=url, key_file=key_file) + engines)
        with FleetProcess(home, file) as fleet:
            fleet.until(all_running)
            wait_for_orders(venue, fleet, len(SYMBOLS))
            begun = time.monotonic()
            assert fleet.ctl("halt", "--reason", "by hand").returncode == 0
            acknowledged = time.monotonic() - begun
            while open_orders(venue):
                assert time.monotonic() < begun + 20, fleet.output[-2000:]
            took = time.monotonic() - begun
            print(f"halt acknowledged after {acknowledged:.3f} s, no open order after {took:.3f} s")
            assert took < WITHIN
            for end in (signal.SIGTERM, signal.SIGKILL):
                fleet.send(end)
                fleet.wait()
                fleet.start()
                status = fleet.until(all_running)
                assert status["trading_state"] == "halted"
                time.sleep(1.0)  # trades came meanwhile, and each was a wish
                assert open_orders(venue) == []
            assert fleet.ctl("unhalt").returncode == 0
            wait_for_orders(venue, fleet, len(SYMBOLS))
