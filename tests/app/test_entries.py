"""Entries that rest in a whole fleet: on paper, at a venue with faults, in status and reload."""

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
import trio
from trio.testing import MockClock

from levitrio.cli.status import describe
from levitrio.config.sections import FleetConfig
from levitrio.control.status_document import FleetStatus
from levitrio.trading.risk import TradingState
from tests.app.conftest import HOLDER
from tests.app.test_reload import reload
from tests.app.test_venue_orders import BROKER, FAULTS, SYMBOLS, account_of, trading, write
from tests.app.virtual import VirtualFleet, running_fleet, write_fleet

pytestmark = pytest.mark.usefixtures("own_strategies")

RESTING = '[broker]\nentry = "limit"\nentry_timeout = 600\n'


def paper(folder: Path, symbols: tuple[str, ...] = SYMBOLS, extra: str = RESTING) -> FleetConfig:
    return write_fleet(folder, symbols, engines=dict.fromkeys(symbols, HOLDER), extra=extra)


def positions(fleet: VirtualFleet, *symbols: str) -> list[Decimal]:
    return [Decimal(fleet.row(symbol)["position"]) for symbol in symbols]


async def test_on_paper_they_fill_when_the_market_comes(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Each engine has one order, bought at its limit, as maker: no slippage."""
    config = paper(tmp_path)
    async with running_fleet(config) as fleet:
        await trio.sleep(300)
        assert all(held > 0 for held in positions(fleet, *SYMBOLS))
        for symbol in SYMBOLS:
            assert fleet.row(symbol)["open_order"] is None
    with closing(sqlite3.connect(config.fleet.data_dir / "journal.db")) as journal:
        rows = journal.execute(
            "SELECT type, intents.price, fills.price FROM intents"
            " JOIN fills ON fills.client_id = intents.client_id"
        ).fetchall()
    assert {kind for kind, *_ in rows} == {"LIMIT"}
    assert all(Decimal(limit) >= Decimal(price) for _, limit, price in rows)


async def test_an_engine_that_was_added_gets_its_fills(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """The paper broker sees the market of a symbol that came with a reload."""
    async with running_fleet(paper(tmp_path, SYMBOLS[:1])) as fleet:
        await trio.sleep(5)
        paper(tmp_path, SYMBOLS[:2])
        await reload(fleet)
        await trio.sleep(300)
        assert positions(fleet, SYMBOLS[1])[0] > 0


async def test_another_entry_type_needs_a_restart(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """`[broker]` is not reloaded: the fleet goes on as it began, and says so."""
    async with running_fleet(paper(tmp_path)) as fleet:
        await trio.sleep(1)
        paper(tmp_path, extra="")
        answer = await reload(fleet)
        assert answer["restart_needed"] == ["broker"]
        assert fleet.assembly.gateway.rules.entry.timeout == 600


async def test_the_status_shows_what_rests(tmp_path: Path, autojump_clock: MockClock) -> None:
    """In the document and for people; gone once it has filled or was cancelled."""
    async with running_fleet(paper(tmp_path)) as fleet:
        await trio.sleep(1)
        with trio.fail_after(60):
            while (rests := fleet.row("BTCUSDT")["open_order"]) is None:  # noqa: ASYNC110
                await trio.sleep(0.05)
        assert (rests["side"], rests["type"], rests["filled"]) == ("BUY", "LIMIT", "0")
        assert 0 < rests["expires_in"] <= 600
        (line,) = [
            x
            for x in describe(cast(FleetStatus, await fleet.document()))
            if x.startswith("BTCUSDT")
        ]
        assert f"0 (0 of {rests['quantity']} at {rests['price']})" in line
        fleet.assembly.gateway.halt_now("drill")
        await trio.sleep(1)
        assert fleet.row("BTCUSDT")["open_order"] is None


RESTING_AT_VENUE = BROKER + 'entry = "limit"\nentry_timeout = 5\n'


@pytest.mark.parametrize(
    ("fault", "entry"),
    [(fault, ("limit", "limit_maker")[n % 2]) for n, fault in enumerate(FAULTS)],
)
async def test_at_a_venue_with_faults(
    fault: str, entry: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    """With faults in answers, events and cancels: positions equal to the venue's, nothing twice,
    and no resting order after a halt."""
    write(tmp_path)  # the key file
    config = paper(tmp_path, extra=RESTING_AT_VENUE.replace('"limit"', f'"{entry}"'))
    async with trading(config, **FAULTS[fault]) as fleet:
        await trio.sleep(200)
        await fleet.assembly.gateway.set_trading_state(TradingState.HALTED, "drill")
        await trio.sleep(90)
        account = account_of(fleet)
        assert [order for order in account.orders.values() if order.is_open] == []
        for symbol in SYMBOLS:
            balance = account.balance(symbol.removesuffix("USDT"))
            assert positions(fleet, symbol) == [balance.free + balance.locked]
            assert fleet.assembly.symbol_states[symbol].in_flight is None
        assert any(held > 0 for held in positions(fleet, *SYMBOLS))
        assert {order.request.kind.value for order in account.orders.values()} == {entry.upper()}
        assert not {"crashed", "failed", "foreign_order"} & set(fleet.kinds("BTCUSDT"))
    with closing(sqlite3.connect(config.fleet.data_dir / "journal.db")) as journal:
        ids = journal.execute("SELECT symbol, trade_id FROM fills").fetchall()
    assert len(ids) == len(set(ids)) == sum(len(trades) for trades in account.trades.values())
