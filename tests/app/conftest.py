"""Strategies as a user would write them beside fleet.toml."""

import sys
from pathlib import Path

import pytest

OWN = '''
from levitrio.strategies import Signal, Strategy

class Poison(Strategy):
    """Raises on its nth trade, in each incarnation."""
    def __init__(self, symbol, *, nth=100):
        self.left = nth
    def on_trade(self, trade):
        self.left -= 1
        if self.left == 0:
            raise RuntimeError(f"poisoned by {trade.trade_id}")

class Holder(Strategy):
    """Buys once and keeps."""
    def __init__(self, symbol):
        self.seen = 0
    def on_trade(self, trade):
        self.seen += 1
        return Signal(side="long")
    def state(self):
        return {"seen": self.seen}
    def restore(self, state):
        self.seen = state["seen"]

class Broken(Strategy):
    """Raises while it is made."""
    def __init__(self, symbol):
        raise SystemExit(3)
'''


@pytest.fixture
def own_strategies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a module of user strategies on the import path."""
    (tmp_path / "own_fleet_strategies.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("own_fleet_strategies", None)


POISON = 'strategy = "own_fleet_strategies:Poison"'
HOLDER = 'strategy = "own_fleet_strategies:Holder"'
