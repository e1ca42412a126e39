"""Strategies of one's own, as a user would write them beside fleet.toml."""

import sys
from pathlib import Path

import pytest

OWN = '''
import trio
from levitrio.strategies import Signal, Strategy

class Log(Strategy):
    """Notes everything it is told."""
    told = []
    def __init__(self, symbol):
        type(self).told = []
    def on_trade(self, trade):
        self.told.append(("trade", trade.trade_id))
    def on_bar(self, bar):
        self.told.append(("bar", bar.open_time_ms, str(bar.close), bar.trades))
    def on_cycle(self, now):
        self.told.append(("cycle", now.timestamp()))
    def on_fill(self, fill):
        self.told.append(("fill", fill.side.value, str(fill.position)))

class Quotes(Log):
    """Notes quotes as well."""
    def on_quote(self, quote):
        self.told.append(("quote", str(quote.bid)))

class Flip(Strategy):
    """Long on even trade ids, flat on odd ones."""
    def __init__(self, symbol):
        pass
    def on_trade(self, trade):
        return Signal(side="long" if trade.trade_id % 2 == 0 else "flat")

class Slow(Flip):
    """The same, but it thinks for a minute first."""
    async def on_trade(self, trade):
        await trio.sleep(60)
        return super().on_trade(trade)

class Threaded(Flip):
    """The same, but it asks a thread, with a deadline no machine would meet."""
    async def on_trade(self, trade):
        with trio.fail_after(0.001):
            await trio.to_thread.run_sync(sum, range(200_000))
        return super().on_trade(trade)

class Poison(Strategy):
    """Raises on its nth trade, in each incarnation."""
    def __init__(self, symbol, *, nth=3, error="RuntimeError"):
        self.left, self.error = nth, error
    def on_trade(self, trade):
        self.left -= 1
        if self.left == 0:
            import builtins
            raise getattr(builtins, self.error)("poisoned")

class Holder(Strategy):
    """Buys once, sells when told by its fill that it holds, and says so."""
    def __init__(self, symbol):
        self.has_bought = False
    def on_trade(self, trade):
        if not self.has_bought:
            self.has_bought = True
            return Signal(side="long")
    def on_fill(self, fill):
        if fill.position:
            return Signal(side="flat")

class Keeper(Holder):
    """Buys once and keeps."""
    def on_fill(self, fill):
        return None

class BuysAndCrashes(Strategy):
    """Long on its first trade, a crash on its second."""
    def __init__(self, symbol):
        self.seen = 0
    def on_trade(self, trade):
        self.seen += 1
        if self.seen == 2:
            raise RuntimeError("the second")
        return Signal(side="long")

class Barred(Strategy):
    """Long on each bar."""
    def __init__(self, symbol):
        pass
    def on_bar(self, bar):
        return Signal(side="long")

class Wrong(Strategy):
    """Answers with something else than a signal."""
    def __init__(self, symbol):
        pass
    def on_trade(self, trade):
        return "long"
'''


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of strategies of one's own on the import path."""
    (tmp_path / "replayed.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("replayed", None)
