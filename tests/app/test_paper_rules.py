"""A paper fleet keeps to the rules of the venue its prices come from."""

from decimal import Decimal
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from levitrio.records.logs.event_log import Event
from levitrio.venues.binance.orders.exchange_info import REREAD_AFTER
from levitrio.venues.paper import PaperBroker
from levitrio.venues.simulator.exchange.exchange_info import filters_of
from levitrio.venues.simulator.exchange.faults import Faults
from tests.app.conftest import HOLDER
from tests.app.virtual import VirtualFleet, running_fleet, write_fleet

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")

pytestmark = pytest.mark.usefixtures("own_strategies")


def broker_of(fleet: VirtualFleet) -> PaperBroker:
    broker = fleet.assembly.gateway.broker
    assert isinstance(broker, PaperBroker)
    return broker


def events_of(fleet: VirtualFleet, kind: str) -> list[Event]:
    return [each for each in fleet.assembly.events.since(0).events if each.kind == kind]


async def test_rules_are_known_before_the_first_order(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Each symbol's first order is in the venue's steps, and the broker would refuse others."""
    config = write_fleet(tmp_path, SYMBOLS, engines=dict.fromkeys(SYMBOLS, HOLDER))
    async with running_fleet(config) as fleet:
        await trio.sleep(30)
        for symbol in SYMBOLS:
            market = fleet.simulator.venue.market.rules(symbol)
            assert market is not None
            assert broker_of(fleet).filters[symbol] == filters_of(market)
            assert fleet.assembly.symbol_states[symbol].rules == filters_of(market).rules()
            position = Decimal(fleet.row(symbol)["position"])
            assert position > 0
            assert position % market.step == 0
        assert events_of(fleet, "filters_unknown") == []
        assert fleet.kinds("BTCUSDT").count("rejected") == 0


async def test_a_venue_that_closes_closes_paper(tmp_path: Path, autojump_clock: MockClock) -> None:
    """No paper order in a market that takes none; it goes on when the venue does."""
    config = write_fleet(tmp_path, SYMBOLS, engines=dict.fromkeys(SYMBOLS, HOLDER))
    async with running_fleet(config) as fleet:
        fleet.simulator.venue.faults.replace(Faults(market_status="BREAK"))
        await trio.sleep(60)
        symbol_states = fleet.assembly.symbol_states
        for symbol in SYMBOLS:
            assert symbol_states[symbol].closed == "BREAK"
            assert symbol_states[symbol].position.is_flat
            assert symbol_states[symbol].denials["market_closed"] >= 1
        assert broker_of(fleet).closed == set(SYMBOLS)
        fleet.simulator.venue.faults.replace(Faults())
        await trio.sleep(2 * REREAD_AFTER)
        assert broker_of(fleet).closed == set()
        assert not any(state.position.is_flat for state in symbol_states.values())


async def test_paper_trades_without_rules(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A REST interface that fails delays no engine: usual rules apply, and an event says so."""
    config = write_fleet(tmp_path, SYMBOLS, engines=dict.fromkeys(SYMBOLS, HOLDER))
    async with running_fleet(config) as fleet:
        fleet.simulator.venue.faults.replace(Faults.parse({"refuse": 503}))
        await trio.sleep(30)
        (said,) = events_of(fleet, "filters_unknown")
        assert "503" in said.text
        for symbol in SYMBOLS:
            assert fleet.row(symbol)["status"] == "running"
            assert Decimal(fleet.row(symbol)["position"]) > 0
        fleet.simulator.venue.faults.replace(Faults())
        await trio.sleep(30)
        assert len(events_of(fleet, "filters_known")) == 1
        assert broker_of(fleet).filters.keys() == set(SYMBOLS)
