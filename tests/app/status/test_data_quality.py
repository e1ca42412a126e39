"""Market data that the feed refuses reaches no strategy and no order, and is in the status."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from levitrio.app.status.data_quality import DataQuality
from levitrio.trading.risk import DataState
from levitrio.venues.binance.market_data.validation import RejectReason
from tests.app.virtual import running_fleet, write_fleet

RESTLESS = '''
from levitrio.strategies import Signal, Strategy

class Restless(Strategy):
    """In and out, every cycle, whether data comes or not."""
    def __init__(self, symbol):
        self.long = False
    def on_cycle(self, now):
        self.long = not self.long
        return Signal(side="long" if self.long else "flat")
'''


@pytest.fixture(autouse=True)
def _own_strategies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trusting_strategies.py").write_text(RESTLESS)
    monkeypatch.syspath_prepend(str(tmp_path))


async def test_the_status_shows_what_was_refused(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Section C: rows and metrics count by reason; a suspended symbol says so and is resumed."""
    pytest.importorskip("prometheus_client")
    async with running_fleet(write_fleet(tmp_path)) as fleet:
        await trio.sleep(5)
        row = fleet.row("BTCUSDT")
        assert (row["stale"], row["suspended"], row["late_trades"]) == (False, False, 0)
        assert row["dropped_input"] == {}
        feed = fleet.assembly.venue.feed
        assert feed is not None
        subscription = feed._subscriptions["BTCUSDT"]
        for _ in range(10):
            subscription.refuse(RejectReason.CROSSED, trio.current_time())
        row = fleet.row("BTCUSDT")
        assert (row["suspended"], row["dropped_input"]) == (True, {"crossed": 10})
        metrics = (await fleet.assembly.metrics_exporter.scrape()).decode()
        assert 'levitrio_feed_dropped_total{reason="crossed"} 10.0' in metrics
        ticks = row["ticks"]
        await trio.sleep(3)
        assert fleet.row("BTCUSDT")["ticks"] == ticks
        assert fleet.row("BTCUSDT")["dropped_input"]["suspended"] > 0
        assert fleet.row("ETHUSDT")["ticks"] > ticks
        await trio.sleep(20)
        assert not fleet.row("BTCUSDT")["suspended"]
        assert fleet.row("BTCUSDT")["ticks"] > ticks
        assert [kind for kind in fleet.kinds("BTCUSDT") if kind in ("suspended", "resumed")] == [
            "suspended",
            "resumed",
        ]


async def test_no_order_on_data_that_is_not_believed(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """Section C: a suspended symbol sends no order; before and after they go out."""
    config = write_fleet(tmp_path, ("BTCUSDT", "ETHUSDT"), strategy="trusting_strategies:Restless")
    async with running_fleet(config) as fleet:
        await trio.sleep(10)
        feed = fleet.assembly.venue.feed
        assert feed is not None
        before = fleet.row("BTCUSDT")
        assert before["trade_count"] > 3
        assert before["denials"] == {}
        # The market clock goes on with the other symbol's trades.
        for _ in range(10):
            feed._subscriptions["BTCUSDT"].refuse(RejectReason.CROSSED, trio.current_time())
        assert fleet.assembly.venue.data_quality.state("BTCUSDT").is_suspended
        await trio.sleep(4)
        during = fleet.row("BTCUSDT")
        assert during["trade_count"] <= before["trade_count"] + 1
        assert during["denials"]["data_suspended"] >= 2
        await trio.sleep(20)
        assert not fleet.assembly.venue.data_quality.state("BTCUSDT").is_suspended
        assert fleet.row("BTCUSDT")["trade_count"] > during["trade_count"] + 5


async def test_before_there_is_a_feed(autojump_clock: MockClock, tmp_path: Path) -> None:
    """A status asked for early has the same fields."""
    async with running_fleet(write_fleet(tmp_path)) as fleet:
        await trio.sleep(1)
        feed, fleet.assembly.venue.feed = fleet.assembly.venue.feed, None
        assert fleet.row("BTCUSDT")["dropped_input"] == {}
        assert fleet.assembly.venue.data_quality.state("BTCUSDT").age is None
        fleet.assembly.venue.feed = feed


async def test_an_engine_without_data_crashes(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No data for ten times the allowed age while others have some: a crash with cause `stale`."""
    async with running_fleet(write_fleet(tmp_path)) as fleet:
        await trio.sleep(5)
        real = DataQuality.state

        def silent(data_quality: DataQuality, symbol: str) -> DataState:
            state = real(data_quality, symbol)
            return DataState(age=1_000.0) if symbol == "BTCUSDT" else state

        monkeypatch.setattr(DataQuality, "state", silent)
        await trio.sleep(250)
        assert fleet.row("BTCUSDT")["incarnation"] == 1
        await trio.sleep(60)
        row = fleet.row("BTCUSDT")
        assert row["incarnation"] == 2
        assert row["last_error"].startswith("Stale: no data for 1000 s while other symbols")
        assert fleet.row("ETHUSDT")["incarnation"] == 1
