"""Whole fleets in virtual time: ticks to fills, restarts, give-ups, and starting again."""

from decimal import Decimal
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from levitrio.errors import ControlError, JournalUnavailable
from tests.app.conftest import HOLDER, POISON
from tests.app.virtual import PEER, running_fleet, write_fleet

pytestmark = pytest.mark.usefixtures("own_strategies")


async def test_engines_run_and_trade(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Within a minute every engine runs, sees two trades a second, and some have traded."""
    config = write_fleet(tmp_path)
    async with running_fleet(config) as fleet:
        await trio.sleep(120)
        document = await fleet.document()
        assert (document["running"], document["total"]) == (3, 3)
        for row in document["engines"]:
            assert row["ticks"] >= 200
            assert row["data_age"] < 2
            assert row["ticks_dropped"] == 0
        assert sum(row["trade_count"] for row in document["engines"]) > 0


async def test_one_restart_leaves_the_others_alone(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """A new incarnation of one; the others keep uptime and count every trade."""
    async with running_fleet(write_fleet(tmp_path)) as fleet:
        await trio.sleep(30)
        (result,) = await fleet.operations.command("restart", ["SOLUSDT"], PEER)
        assert (result.ok, result.status) == (True, "restarted")
        assert await fleet.operations.wait_as_wanted(["SOLUSDT"], 5) == []
        await trio.sleep(5)
        sol, btc, eth = (fleet.row(symbol) for symbol in ("SOLUSDT", "BTCUSDT", "ETHUSDT"))
        assert sol["incarnation"] == 2
        assert sol["restarts"] == 0
        assert btc["incarnation"] == eth["incarnation"] == 1
        assert btc["uptime_seconds"] > 30 > sol["uptime_seconds"]
        assert abs(btc["ticks"] - sol["ticks"]) <= 2


async def test_a_poisoned_strategy_is_given_up(autojump_clock: MockClock, tmp_path: Path) -> None:
    """At once, then with backoff, then failed, with its incidents; the others do not notice."""
    config = write_fleet(tmp_path, engines={"SOLUSDT": POISON})
    async with running_fleet(config) as fleet:
        await trio.sleep(300)
        row = fleet.row("SOLUSDT")
        assert (row["status"], row["restarts"], row["incarnation"]) == ("failed", 3, 4)
        assert row["last_error"].startswith("RuntimeError: poisoned by")
        (text,) = [e.text for e in fleet.assembly.events.since(0).events if e.kind == "failed"]
        assert text.endswith("once it is mended: levi ctl reset SOLUSDT")
        assert fleet.row("BTCUSDT")["incarnation"] == 1
        incidents = await fleet.operations.history("SOLUSDT", 10)
        assert [incident["delay"] for incident in incidents] == [None, 2.0, 1.0, 0.0]
        assert 'raise RuntimeError(f"poisoned by' in incidents[0]["traceback"]
        assert " crashed RuntimeError: poisoned by" in incidents[0]["last_lines"]
        for verb in ("start", "restart"):
            (refused,) = await fleet.operations.command(verb, ["SOLUSDT"], PEER)
            assert not refused.ok
            assert refused.hint == "levi ctl reset SOLUSDT"
        (reset,) = await fleet.operations.command("reset", ["SOLUSDT"], PEER)
        assert reset.ok
        await trio.sleep(5)
        assert fleet.row("SOLUSDT")["status"] == "running"


async def test_failed_survives_a_new_start(autojump_clock: MockClock, tmp_path: Path) -> None:
    """A fleet that starts again holds back what was given up, and remembers why and how often."""
    config = write_fleet(tmp_path, engines={"SOLUSDT": POISON})
    async with running_fleet(config) as fleet:
        await trio.sleep(300)
        before = fleet.row("SOLUSDT")
    async with running_fleet(config) as fleet:
        await trio.sleep(5)
        after = fleet.row("SOLUSDT")
        assert after["incarnation"] == 0
        same = ("status", "wanted", "restarts", "last_error", "failed")
        assert [after[key] for key in same] == [before[key] for key in same]
        assert fleet.row("BTCUSDT")["status"] == "running"


async def test_restarts_are_counted_over_a_new_start(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """Two crashes before the end and two after it are four: given up."""
    config = write_fleet(tmp_path, engines={"SOLUSDT": POISON + "\nparams = {nth = 20}"})
    async with running_fleet(config) as fleet:
        await trio.sleep(25)
        assert fleet.row("SOLUSDT")["restarts"] == 2
    async with running_fleet(config) as fleet:
        await trio.sleep(5)
        assert fleet.row("SOLUSDT")["restarts"] == 2
        await trio.sleep(60)
        assert fleet.row("SOLUSDT")["status"] == "failed"


async def test_money_survives_a_new_start(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Positions, PnL and trade counts come back from the journal, strategies' state too."""
    config = write_fleet(tmp_path, engines=dict.fromkeys(("BTCUSDT", "ETHUSDT"), HOLDER))
    async with running_fleet(config) as fleet:
        await trio.sleep(20)
        before = {symbol: fleet.row(symbol) for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")}
        state = fleet.assembly.slots["BTCUSDT"].saved_state
    assert state["seen"] > 30
    assert Decimal(before["BTCUSDT"]["position"]) > 0
    async with running_fleet(config) as fleet:
        await trio.sleep(0.1)
        for symbol, row in before.items():
            after = fleet.row(symbol)
            for key in ("position", "average_entry", "realized_pnl", "trade_count"):
                assert after[key] == row[key], (symbol, key)
        await trio.sleep(10)
        assert fleet.row("BTCUSDT")["trade_count"] == 1, "a target that is held is not bought again"
        assert fleet.assembly.slots["BTCUSDT"].saved_state["seen"] > state["seen"]


async def test_stop_and_pause_survive_a_new_start(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """Stopped and paused engines stay so over a new start, until the operator starts them."""
    config = write_fleet(tmp_path)
    async with running_fleet(config) as fleet:
        await trio.sleep(5)
        await fleet.operations.command("stop", ["BTCUSDT"], PEER)
        await fleet.operations.command("pause", ["ETHUSDT"], PEER)
        assert await fleet.operations.wait_as_wanted(["BTCUSDT", "ETHUSDT"], 5) == []
        ticks = fleet.row("BTCUSDT")["ticks"]
        await trio.sleep(5)
        assert fleet.row("BTCUSDT")["ticks"] == ticks
        assert fleet.row("BTCUSDT")["incarnation"] == 1
    async with running_fleet(config) as fleet:
        await trio.sleep(5)
        states = [fleet.row(symbol)["status"] for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")]
        assert states == ["stopped", "paused", "running"]
        await fleet.operations.command("start", ["BTCUSDT"], PEER)
        await fleet.operations.command("resume", ["ETHUSDT"], PEER)
        assert await fleet.operations.wait_as_wanted(["BTCUSDT", "ETHUSDT"], 5) == []


async def test_a_paused_engine_only_exits(autojump_clock: MockClock, tmp_path: Path) -> None:
    """It reads data and may close, but its entries are denied."""
    config = write_fleet(tmp_path, engines={"BTCUSDT": HOLDER})
    async with running_fleet(config) as fleet:
        await trio.sleep(0.2)
        await fleet.operations.command("pause", ["BTCUSDT"], PEER)
        await trio.sleep(20)
        row = fleet.row("BTCUSDT")
        assert (row["status"], row["position"]) == ("paused", "0")
        assert row["denials"]["paused"] > 10
        assert row["ticks"] > 30


async def test_halt_survives_and_unhalt_ends_it(autojump_clock: MockClock, tmp_path: Path) -> None:
    """A halted fleet starts halted; flatten closes all the same; unhalt trades again."""
    config = write_fleet(tmp_path, ("BTCUSDT",), engines={"BTCUSDT": HOLDER})
    async with running_fleet(config) as fleet:
        await trio.sleep(10)
        await fleet.operations.halt("drill", PEER)
    async with running_fleet(config) as fleet:
        await trio.sleep(10)
        risk = fleet.operations.risk()
        assert (risk["trading_state"], risk["reason"]) == ("halted", "drill")
        (result,) = await fleet.operations.flatten(["BTCUSDT"], PEER)
        assert result.status == "flattening"
        await trio.sleep(1)
        assert fleet.row("BTCUSDT")["position"] == "0"
        await fleet.operations.unhalt(PEER)
        await trio.sleep(5)
        assert Decimal(fleet.row("BTCUSDT")["position"]) > 0


@pytest.mark.parametrize(("on_give_up", "state"), [("halt", "halted"), ("continue", "active")])
async def test_on_give_up(
    on_give_up: str, state: str, autojump_clock: MockClock, tmp_path: Path
) -> None:
    """`on_give_up` decides what the fleet does when an engine is given up."""
    engines = {"SOLUSDT": 'strategy = "own_fleet_strategies:Broken"'}
    config = write_fleet(tmp_path, engines=engines, on_give_up=on_give_up)
    async with running_fleet(config) as fleet:
        await trio.sleep(60)
        assert fleet.row("SOLUSDT")["status"] == "failed"
        assert fleet.row("SOLUSDT")["last_error"] == "SystemExit: 3"
        assert fleet.assembly.account.trading_state.value == state
        assert fleet.row("BTCUSDT")["status"] == "running"


async def test_on_give_up_exit_ends_the_fleet(autojump_clock: MockClock, tmp_path: Path) -> None:
    """With `exit` a given-up engine ends the fleet, gracefully."""
    engines = {"SOLUSDT": 'strategy = "own_fleet_strategies:Broken"'}
    config = write_fleet(tmp_path, engines=engines, on_give_up="exit")
    async with running_fleet(config) as fleet:
        await trio.sleep(60)
        assert fleet.kinds()[-1] == "fleet_stopped"


async def test_without_a_journal_nothing_changes(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that cannot be journaled is refused, and a halt is in force all the same."""

    async def refuse(*_: object) -> None:
        raise JournalUnavailable("disk full")

    async with running_fleet(write_fleet(tmp_path)) as fleet:
        await trio.sleep(5)
        monkeypatch.setattr(fleet.assembly.journal, "append", refuse)
        with pytest.raises(ControlError, match="the journal cannot keep the command"):
            await fleet.operations.command("stop", ["BTCUSDT"], PEER)
        assert fleet.row("BTCUSDT")["status"] == "running"
        with pytest.raises(ControlError):
            await fleet.operations.halt("drill", PEER)
        assert fleet.assembly.account.trading_state.value == "halted"
