"""What a fleet looks like over time, in virtual time."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from levitrio.app.status.telemetry import PROBE
from tests.app.conftest import HOLDER, POISON
from tests.app.virtual import running_fleet, write_fleet

pytestmark = pytest.mark.usefixtures("own_strategies")


async def test_curves_and_fills(autojump_clock: MockClock, tmp_path: Path) -> None:
    """A point every two seconds of equity and of each price, and every fill where it happened."""
    config = write_fleet(tmp_path, engines={"SOLUSDT": HOLDER})
    async with running_fleet(config) as fleet, trio.open_nursery() as nursery:
        await nursery.start(fleet.assembly.telemetry.run)
        await trio.sleep(60)
        curve = fleet.assembly.telemetry.equity_curve()
        assert 28 <= len(curve["time"]) <= 31
        assert 9_900 < curve["equity"][0] <= 10_000
        assert all(0 <= lost < 0.01 for lost in curve["drawdown"])
        price = fleet.assembly.telemetry.price_curve("SOLUSDT")
        assert 28 <= len(price["price"]) == len(price["time"]) <= 31
        (fill,) = price["fills"]
        assert fill["side"] == "buy"
        assert fill["quantity"] == float(fleet.row("SOLUSDT")["position"])
        assert fill["price"] == float(fleet.row("SOLUSDT")["average_entry"])
        assert fleet.assembly.telemetry.price_curve("BTCUSDT")["fills"] is not price["fills"]
        nursery.cancel_scope.cancel()


async def test_counts(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Crashes by symbol and cause, events by kind, lateness and latency observed."""
    config = write_fleet(tmp_path, engines={"SOLUSDT": POISON, "BTCUSDT": HOLDER})
    async with running_fleet(config) as fleet, trio.open_nursery() as nursery:
        nursery.start_soon(fleet.assembly.telemetry.probe)
        await trio.sleep(300)
        telemetry = fleet.assembly.telemetry
        assert dict(telemetry.incidents) == {("SOLUSDT", "crash"): 4}
        assert telemetry.kinds["failed"] == 1
        assert sum(telemetry.order_latency.counts) >= 1
        assert sum(telemetry.lateness.counts) == pytest.approx(300 / PROBE, abs=5)
        nursery.cancel_scope.cancel()
