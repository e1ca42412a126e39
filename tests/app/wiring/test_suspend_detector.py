"""Clocks that jump change dates, not durations; a standstill of the process is detected."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from levitrio.app.wiring.suspend_detector import LOOK, STOOD_STILL, SuspendDetector
from tests.app.virtual import EPOCH, running_fleet, write_fleet

OWN = """
from levitrio.strategies import Signal, Strategy

class Restless(Strategy):
    def __init__(self, symbol):
        self.long = False
    def on_cycle(self, now):
        self.long = not self.long
        return Signal(side="long" if self.long else "flat")

class Doomed(Strategy):
    def __init__(self, symbol):
        self.left = 20
    def on_trade(self, trade):
        self.left -= 1
        if not self.left:
            raise ValueError("again")
"""

HOUR = 3_600.0


@pytest.fixture(autouse=True)
def _own_strategies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clock_strategies.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.parametrize(
    "ahead", [-HOUR, HOUR, 86_400.0, -EPOCH, 4_102_444_800.0 - EPOCH, 1.0], ids=str
)
async def test_the_wall_clock_jumps(
    ahead: float, autojump_clock: MockClock, tmp_path: Path
) -> None:
    """An hour back or ahead, a day, 1970, 2100, a leap second: no engine restarts for it,
    all trade on, and a crash waits as long as ever."""
    config = write_fleet(
        tmp_path,
        strategy="clock_strategies:Restless",
        engines={"SOLUSDT": 'strategy = "clock_strategies:Doomed"'},
        extra="[risk]\nmax_orders_per_minute = 100000\n",
    )
    async with running_fleet(config) as fleet:
        await trio.sleep(11.5)  # the doomed one has crashed and waits for its second restart
        before = {symbol: fleet.row(symbol) for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")}
        fleet.wall.ahead = ahead
        await trio.sleep(30)
        for symbol in ("BTCUSDT", "ETHUSDT"):
            row = fleet.row(symbol)
            assert row["status"] == "running"
            assert row["incarnation"] == 1
            assert row["trade_count"] > before[symbol]["trade_count"]
            assert row["data_age"] < 3
        assert fleet.assembly.account.trading_state == "active"
        assert fleet.row("SOLUSDT")["incarnation"] > before["SOLUSDT"]["incarnation"]
        assert fleet.row("SOLUSDT")["restarts"] <= 3


async def test_a_standstill_is_reported(autojump_clock: MockClock) -> None:
    """A standstill is reported once, with its length; a short delay is not."""
    reported: list[float] = []
    extra = 0.0
    watch = SuspendDetector(
        on_standstill=reported.append, clock=lambda: trio.current_time() + extra
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        await trio.sleep(LOOK * 2.5)
        extra += STOOD_STILL / 2
        await trio.sleep(LOOK * 2)
        assert reported == []
        extra += 30.0
        await trio.sleep(LOOK * 2)
        nursery.cancel_scope.cancel()
    assert reported == [pytest.approx(30.0)]
