"""A fleet whose orders go to a venue, with faults between them."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from decimal import Decimal
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from levitrio.config.sections import FleetConfig
from levitrio.trading.risk import TradingState
from levitrio.venues.binance.orders.exchange_info import REREAD_AFTER
from levitrio.venues.simulator.exchange.accounts import ApiKey, VenueAccount
from levitrio.venues.simulator.exchange.faults import Faults
from levitrio.venues.simulator.exchange.order_request import read_order
from levitrio.venues.simulator.exchange.parameters import Parameters
from tests.app.conftest import HOLDER
from tests.app.virtual import VirtualFleet, running_fleet, write_fleet

pytestmark = pytest.mark.long


KEY = "K7hQ2mZp9XcV4bNw8RtY1uJs6LfD3gAe"
SECRET = "S3xW8vBn5KqT2yHj7MdR9pGc4ZuF6aLe"

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")

BROKER = """
[broker]
kind = "simulator"
url = "ws://127.0.0.1:1"
key_file = "simulator.key"
cash = 100000
"""


def write(folder: Path, secret: str = SECRET) -> FleetConfig:
    key_file = folder / "simulator.key"
    key_file.write_text(f"{KEY}\n{secret}\n")
    key_file.chmod(0o600)
    return write_fleet(folder, SYMBOLS, engines=dict.fromkeys(SYMBOLS, HOLDER), extra=BROKER)


@asynccontextmanager
async def trading(config: FleetConfig, **faults: object) -> AsyncIterator[VirtualFleet]:
    async with running_fleet(config, keys=[ApiKey.of(KEY, SECRET)]) as fleet:
        fleet.simulator.venue.faults.replace(Faults.parse(faults))
        yield fleet


def account_of(fleet: VirtualFleet) -> VenueAccount:
    (account,) = fleet.simulator.venue._accounts.values()
    return account


FAULTS: dict[str, dict[str, object]] = {
    "nothing": {},
    "timeout": {"timeout_every": 1},
    "lost reply": {"lost_reply_every": 1},
    "late": {"late_every": 1, "late_by": 3.0},
    "events first": {"events_first": True},
    "disconnects": {"disconnect_every": 20.0},
    "other clock": {"clock_skew_ms": 7_200_000},
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
@pytest.mark.usefixtures("own_strategies")
async def test_every_fill_counts_once(
    faults: dict[str, object], tmp_path: Path, autojump_clock: MockClock
) -> None:
    """With any fault in answers: one order for each symbol, and positions equal to the venue's."""
    config = write(tmp_path)
    async with trading(config, **faults) as fleet:
        await trio.sleep(120)
        account = account_of(fleet)
        assert {order.request.symbol for order in account.orders.values()} == set(SYMBOLS)
        assert len(account.orders) == len(SYMBOLS)
        for symbol in SYMBOLS:
            bought = account.balance(symbol.removesuffix("USDT")).free
            assert Decimal(fleet.row(symbol)["position"]) == bought
            assert bought > 0
            assert fleet.row(symbol)["trade_count"] == 1
    with closing(sqlite3.connect(config.fleet.data_dir / "journal.db")) as journal:
        ids = journal.execute("SELECT symbol, trade_id FROM fills").fetchall()
    assert len(ids) == len(set(ids))
    assert len(ids) == sum(len(trades) for trades in account.trades.values())


@pytest.mark.usefixtures("own_strategies")
async def test_a_refused_key_halts_the_fleet(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Engines run on and read data; trading is halted with the venue's text, without the key."""
    config = write(tmp_path, secret="WrongSecretOfTheRightLength12345")
    async with trading(config) as fleet:
        await trio.sleep(60)
        account = fleet.assembly.account
        assert account.trading_state is TradingState.HALTED
        assert "-1022" in account.trading_reason
        assert KEY not in repr([event.as_dict() for event in fleet.assembly.events.since(0).events])
        assert fleet.kinds().count("broker_unauthorized") == 1
        assert account_of(fleet).orders == {}


@pytest.mark.usefixtures("own_strategies")
async def test_an_order_by_hand_stops_its_symbol(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A trade by hand on the account makes an event, and that symbol sends no more orders."""
    config = write(tmp_path)
    async with trading(config) as fleet:
        await trio.sleep(30)
        venue = fleet.simulator.venue
        manual = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        venue.exchange.place(account_of(fleet), read_order(Parameters(manual)))
        fleet.simulator._connections.send_account_events()
        await trio.sleep(5)
        assert "foreign_order" in fleet.kinds("BTCUSDT")
        assert "foreign_order" not in fleet.kinds("ETHUSDT")


@pytest.mark.usefixtures("own_strategies")
async def test_a_closed_market_and_new_steps(tmp_path: Path, autojump_clock: MockClock) -> None:
    """One order learns that the market is closed; once it is open, orders keep new steps."""
    config = write(tmp_path)
    async with trading(config, market_status="HALT") as fleet:
        await trio.sleep(60)
        account = account_of(fleet)
        assert account.orders == {}
        symbol_states = fleet.assembly.symbol_states
        assert fleet.kinds("BTCUSDT").count("market_closed") == 1
        for symbol in SYMBOLS:
            assert symbol_states[symbol].closed == "HALT"
            assert symbol_states[symbol].denials["market_closed"] >= 1
        steps = {symbol: symbol_states[symbol].rules.step for symbol in SYMBOLS}
        fleet.simulator.venue.faults.replace(Faults(coarser=10))
        await trio.sleep(2 * REREAD_AFTER)
        assert {order.request.symbol for order in account.orders.values()} == set(SYMBOLS)
        for order in account.orders.values():
            symbol = order.request.symbol
            assert symbol_states[symbol].rules.step == 10 * steps[symbol]
            assert order.request.quantity is not None
            assert order.request.quantity % (10 * steps[symbol]) == 0


@pytest.mark.usefixtures("own_strategies")
async def test_a_trade_outside_the_fleet_is_capital(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A purchase by hand of what no engine trades is a withdrawal, not a loss."""
    config = write(tmp_path)
    async with trading(config) as fleet:
        await trio.sleep(30)
        account, theirs = fleet.assembly.account, account_of(fleet)
        assert account.is_capital_known
        assert account.capital == Decimal(100_000)
        assert account.open_positions() == len(SYMBOLS)
        loss = account.day_start_equity() - account.equity()
        manual = {"symbol": "BNBUSDT", "side": "BUY", "type": "MARKET", "quoteOrderQty": "2000"}
        before = theirs.balance("USDT").free
        fleet.simulator.venue.exchange.place(theirs, read_order(Parameters(manual)))
        spent = before - theirs.balance("USDT").free
        assert spent > 1_900
        await trio.sleep(120)
        assert account.capital == 100_000 - spent
        assert fleet.kinds().count("capital") == 1
        assert account.trading_state is TradingState.ACTIVE
        assert abs(account.day_start_equity() - account.equity()) < abs(loss) + 50
    async with trading(config) as again:
        await trio.sleep(1)
        assert again.assembly.account.capital == 100_000 - spent
