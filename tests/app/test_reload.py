"""`levi ctl reload` on a running fleet: what changes, and what does not notice."""

from decimal import Decimal
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from levitrio.errors import ControlError
from levitrio.trading.orders import OrderStatus
from tests.app.conftest import HOLDER
from tests.app.virtual import PEER, VirtualFleet, running_fleet, write_fleet
from tests.factories import make_order

pytestmark = pytest.mark.usefixtures("own_strategies")

ALL = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


async def reload(
    fleet: VirtualFleet, *, dry_run: bool = False, flatten: bool = False, keep: bool = False
) -> dict[str, object]:
    answer = await fleet.operations.reload(
        dry_run=dry_run, flatten=flatten, keep_position=keep, peer=PEER
    )
    return dict(answer)


async def test_one_symbols_parameters(autojump_clock: MockClock, tmp_path: Path) -> None:
    """The changed engine gets a new incarnation at once; the others keep theirs and their time."""
    config = write_fleet(tmp_path)
    async with running_fleet(config) as fleet:
        await trio.sleep(20)
        write_fleet(tmp_path, engines={"SOLUSDT": "params = {fast = 3, slow = 9}"})
        answer = await reload(fleet)
        assert answer["changed"] == ["SOLUSDT"]
        await trio.sleep(5)
        assert [fleet.row(symbol)["incarnation"] for symbol in ALL] == [1, 1, 2]
        assert fleet.row("BTCUSDT")["uptime_seconds"] > 20


async def test_a_dry_run_changes_nothing(autojump_clock: MockClock, tmp_path: Path) -> None:
    """It answers what would change, and that is all."""
    async with running_fleet(write_fleet(tmp_path)) as fleet:
        await trio.sleep(5)
        write_fleet(tmp_path, ALL[:2], extra="[risk]\nmax_open_positions = 1\n")
        answer = await reload(fleet, dry_run=True)
        assert (answer["removed"], answer["sections"]) == (["SOLUSDT"], ["risk"])
        await trio.sleep(5)
        assert fleet.row("SOLUSDT")["status"] == "running"
        assert fleet.operations.risk()["limits"]["max_open_positions"] == 5


async def test_symbols_come_and_go(autojump_clock: MockClock, tmp_path: Path) -> None:
    """A new engine runs and gets data; a removed one is gone; the third does not notice."""
    async with running_fleet(write_fleet(tmp_path, ALL[:2])) as fleet:
        await trio.sleep(5)
        write_fleet(tmp_path, ("BTCUSDT", "XRPUSDT"))
        answer = await reload(fleet)
        assert (answer["added"], answer["removed"]) == (["XRPUSDT"], ["ETHUSDT"])
        await trio.sleep(10)
        assert set(fleet.operations.symbols()) == {"BTCUSDT", "XRPUSDT"}
        assert fleet.row("XRPUSDT")["ticks"] > 10
        assert fleet.row("BTCUSDT")["incarnation"] == 1
        write_fleet(tmp_path, ALL[:2])
        await reload(fleet)
        await trio.sleep(10)
        assert fleet.row("ETHUSDT")["ticks"] > 10


async def test_a_new_symbols_orders_rest_in_its_market(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """On paper an order of a symbol that came later fills when its market comes to it."""
    async with running_fleet(write_fleet(tmp_path, ALL[:2])) as fleet:
        await trio.sleep(5)
        write_fleet(tmp_path, ("BTCUSDT", "XRPUSDT"))
        await reload(fleet)
        await trio.sleep(10)
        quote = fleet.assembly.markets["XRPUSDT"].quote
        assert quote is not None
        order = make_order(
            client_id="by-hand",
            symbol="XRPUSDT",
            quantity=10,
            price=quote.bid,
        )
        broker = fleet.assembly.gateway.broker
        assert (await broker.place(order)).status is OrderStatus.NEW
        await trio.sleep(300)
        found = await broker.query(order)
        assert found is not None
        assert found.status is OrderStatus.FILLED


async def test_an_added_engine_trades(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Its symbol is compared with the venue as at a start; until then no order leaves."""
    async with running_fleet(write_fleet(tmp_path, ALL[:1])) as fleet:
        await trio.sleep(5)
        write_fleet(tmp_path, ALL[:2], engines={"ETHUSDT": HOLDER})
        await reload(fleet)
        await trio.sleep(20)
        assert fleet.row("ETHUSDT")["blocks"] == []
        assert fleet.row("ETHUSDT")["trade_count"] == 1


async def test_a_bad_file_is_refused_whole(autojump_clock: MockClock, tmp_path: Path) -> None:
    """With one wrong key nothing at all is changed, and every problem is said."""
    async with running_fleet(write_fleet(tmp_path)) as fleet:
        await trio.sleep(5)
        config = write_fleet(tmp_path, ALL[:1])
        with config.file.open("a") as file:
            file.write("\n[risk]\nmax_open_postions = 1\n")
        with pytest.raises(ControlError, match="did you mean max_open_positions"):
            await reload(fleet)
        await trio.sleep(5)
        assert [fleet.row(symbol)["status"] for symbol in ALL] == ["running"] * 3


async def test_an_open_position_needs_an_option(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Removing an engine with a position is refused without --flatten or --keep-position."""
    config = write_fleet(tmp_path, engines=dict.fromkeys(ALL[:2], HOLDER))
    async with running_fleet(config) as fleet:
        await trio.sleep(10)
        write_fleet(tmp_path, ("SOLUSDT",))
        with pytest.raises(ControlError, match="BTCUSDT, ETHUSDT would be removed") as refused:
            await reload(fleet)
        assert "--keep-position" in refused.value.hint
        assert fleet.row("BTCUSDT")["status"] == "running"
        write_fleet(tmp_path, ("SOLUSDT", "ETHUSDT"), engines={"ETHUSDT": HOLDER})
        await reload(fleet, flatten=True)
        await trio.sleep(1)
        assert fleet.assembly.symbol_states["BTCUSDT"].position.is_flat
        write_fleet(tmp_path, ("SOLUSDT",))
        await reload(fleet, keep=True)
        await trio.sleep(1)
        held = fleet.assembly.symbol_states["ETHUSDT"]
        assert held.position.quantity > 0
        assert fleet.operations.risk()["open_positions"] == 1
        equity = fleet.assembly.account.equity()
        quote = held.market.quote
        await trio.sleep(5)
        assert held.market.quote is not quote, "a position that is kept is still marked"
    async with running_fleet(write_fleet(tmp_path, ("SOLUSDT",))) as fleet:
        await trio.sleep(2)
        assert fleet.assembly.symbol_states["ETHUSDT"].position.quantity == held.position.quantity
        assert abs(fleet.assembly.account.equity() - equity) < Decimal(50)
        assert "ETHUSDT" not in fleet.operations.symbols()


async def test_limits_change_without_a_restart(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Risk and recovery are in force at once; what needs a restart is said and kept."""
    async with running_fleet(write_fleet(tmp_path)) as fleet:
        await trio.sleep(5)
        extra = "[risk]\nmax_open_positions = 1\n[health]\nmax_errors = 3\n[broker]\nfee = 0.01\n"
        write_fleet(tmp_path, extra=extra)
        answer = await reload(fleet)
        assert answer["sections"] == ["risk", "health"]
        assert answer["restart_needed"] == ["broker"]
        assert fleet.operations.risk()["limits"]["max_open_positions"] == 1
        assert fleet.assembly.config.broker.fee == Decimal("0.001")
        assert [fleet.row(symbol)["incarnation"] for symbol in ALL] == [1, 1, 1]
        assert (await reload(fleet))["sections"] == []


async def test_a_new_start_order(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Reversed, with a new engine in between: no engine is lost, and wanted states stay."""
    config = write_fleet(tmp_path, engines={"ETHUSDT": 'after = ["BTCUSDT"]'})
    async with running_fleet(config) as fleet:
        await trio.sleep(5)
        await fleet.operations.command("pause", ["BTCUSDT"], PEER)
        write_fleet(
            tmp_path,
            (*ALL, "ADAUSDT"),
            engines={"BTCUSDT": 'after = ["ADAUSDT"]', "ADAUSDT": 'after = ["ETHUSDT"]'},
        )
        answer = await reload(fleet)
        assert answer["added"] == ["ADAUSDT"]
        await trio.sleep(10)
        states = [fleet.row(symbol)["status"] for symbol in (*ALL, "ADAUSDT")]
        assert states == ["paused", "running", "running", "running"]
