"""Feed and broker share one address: a ban that one of them meets stops both."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from levitrio.errors import VenueError
from levitrio.trading.orders import OrderStatus
from levitrio.venues.simulator.exchange.accounts import ApiKey
from levitrio.venues.simulator.exchange.faults import Faults
from tests.app.virtual import running_fleet, write_fleet
from tests.venues.binance.broker_harness import API_KEY, API_SECRET, BrokerHarness

BROKER = """
[broker]
kind = "simulator"
url = "ws://127.0.0.1:1"
key_file = "simulator.key"
"""


@pytest.mark.parametrize("status", [429, 418])
async def test_a_ban_met_by_the_feed_stops_orders(
    status: int, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Asking for history meets the ban; no order leaves until it is over, then all do."""
    key_file = tmp_path / "simulator.key"
    key_file.write_text(f"{API_KEY}\n{API_SECRET}\n")
    key_file.chmod(0o600)
    config = write_fleet(tmp_path, ("BTCUSDT",), extra=BROKER)
    async with running_fleet(config, keys=[ApiKey.of(API_KEY, API_SECRET)]) as fleet:
        venue, broker = fleet.assembly.venue, fleet.assembly.gateway.broker
        await trio.sleep(30)
        order = BrokerHarness(fleet.simulator).order()
        fleet.simulator.venue.faults.replace(Faults.parse({"refuse": status, "refuse_for": 100.0}))
        assert venue.past_bars is not None
        with pytest.raises(VenueError, match=f"got {status}"):
            await venue.past_bars.bars("BTCUSDT", "1m", first_open_ms=0, last_open_ms=1)
        fleet.simulator.venue.faults.replace(Faults())
        report = await broker.place(order)
        assert report.status is OrderStatus.UNKNOWN
        assert report.reason.startswith("not sent: the venue may not be asked")
        await trio.sleep(101)
        assert (await broker.place(order)).status is OrderStatus.FILLED
