"""How soon after SIGTERM the last order has left, in a storm of them."""

import signal
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.process import FleetProcess, all_running

LATEST_MS = 50
ROUNDS = 5

OWN = """
from levitrio.strategies import Signal, Strategy

class Flip(Strategy):
    def __init__(self, symbol):
        self.count = 0
    def on_quote(self, quote):
        self.count += 1
        return Signal(side="long" if self.count % 2 else "flat")
"""

FLEET = """
[fleet]
name = "storm"
[simulator]
seed = 1
speed = 20.0
[broker]
kind = "{kind}"
[risk]
max_daily_loss = 1.0
max_drawdown = 1.0
max_open_positions = 20
max_orders_per_minute = 100000
[defaults]
strategy = "own_storm:Flip"
"""
SYMBOLS = "BTC ETH SOL XRP ADA DOGE LTC LINK DOT AVAX"


def orders_of(journal: Path) -> tuple[list[int], int]:
    """Wall times (ms) at which orders that traded were known to have, and the withdrawn ones."""
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as reading:
        traded = reading.execute(
            "SELECT MAX(outcomes.wall_ms) FROM outcomes JOIN fills USING (client_id) "
            "GROUP BY client_id"
        ).fetchall()
        (withdrawn,) = reading.execute(
            "SELECT COUNT(*) FROM outcomes WHERE reason LIKE 'withdrawn%'"
        ).fetchone()
    return [wall_ms for (wall_ms,) in traded], withdrawn


def trades_of(status: dict[str, Any]) -> int:
    """Orders of the fleet that have traded."""
    return sum(row["trade_count"] for row in status["engines"])


def has_traded(orders: int, status: dict[str, Any]) -> bool:
    return trades_of(status) >= orders


@pytest.mark.timing
@pytest.mark.parametrize("kind", ["paper", "simulator"])
def test_no_order_leaves_after_sigterm(tmp_path: Path, home: Path, kind: str) -> None:
    """Even the venue's answer to the last one is here within the time an order has to leave."""
    (tmp_path / "own_storm.py").write_text(OWN)
    file = tmp_path / "fleet.toml"
    engines = "".join(f"[engines.{name}USDT]\n" for name in SYMBOLS.split())
    file.write_text(FLEET.format(kind=kind) + engines)
    latest = []
    for _ in range(ROUNDS):
        with FleetProcess(home, file) as fleet:
            enough = trades_of(fleet.until(all_running)) + 20
            fleet.until(partial(has_traded, enough))
            signalled_ms = time.time() * 1000
            fleet.send(signal.SIGTERM)
            assert fleet.wait() == 0, fleet.output[-2000:]
        traded, withdrawn = orders_of(tmp_path / "data" / "journal.db")
        latest.append(max(traded) - signalled_ms)
    print(f"{kind}: {len(traded)} orders, {withdrawn} withdrawn, last answers after {latest} ms")
    assert max(latest) <= LATEST_MS
