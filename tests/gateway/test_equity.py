"""What losses are measured against: over restarts, new days and other capital."""

from decimal import Decimal

import trio
from trio.testing import MockClock

from levitrio.records.journal.entries import History
from levitrio.records.journal.folding import fold
from levitrio.trading.risk import RiskRules, TradingState
from tests.fakes import FakeBroker
from tests.gateway.harness import LONG, Harness


async def test_a_drawdown_outlives_a_restart(autojump_clock: MockClock) -> None:
    """The highest equity is the journal's: a restart after a loss does not reset it."""
    harness = Harness(risk=RiskRules(max_daily_loss=Decimal("0.5")))
    async with harness.running():
        harness.admit()(LONG)
        await harness.gateway.drain()
        harness.quote("200")  # 20 at 100: equity 12,000
        await trio.sleep(2)
    history = fold(harness.journal.entries)
    assert history.equity is not None
    assert history.equity.peak_equity == Decimal(12_000)

    again = Harness(risk=RiskRules(max_daily_loss=Decimal("0.5")))
    again.gateway.restore(history)
    again.quote("140")  # equity 10,800: exactly a tenth below
    async with again.running():
        await trio.sleep(2)
        account = again.gateway.account
        assert account.trading_state.value == "reducing"
        assert account.trading_reason == "drawdown 10.00% from 12000.00"
        await again.gateway.unhalt()
        await trio.sleep(2)
        assert account.trading_state.value == "active"
        assert account.peak_equity == Decimal(10_800)


async def test_a_new_day_forgives_no_drawdown(autojump_clock: MockClock) -> None:
    """Nine days of 2 % each are a drawdown of a tenth in the end, not nine small losses."""
    harness = Harness()
    harness.gateway.restore(History())
    async with harness.running():
        harness.admit()(LONG)
        await harness.gateway.drain()
        account = harness.gateway.account
        for day in range(1, 12):
            harness.market_ms = day * 86_400_000
            harness.quote(str(100 - 10 * day))  # 20 are held: 200 a day
            await trio.sleep(2)
            if account.trading_state is not TradingState.ACTIVE:
                break
        assert account.trading_reason == "drawdown 10.00% from 10000.00"
        assert day == 5


async def test_other_cash_in_the_file_is_no_gain(autojump_clock: MockClock) -> None:
    """Paper's cash was doubled between two runs: the day's loss is the same fraction as before."""
    harness = Harness()
    harness.gateway.restore(History())
    async with harness.running():
        await trio.sleep(1)
        harness.admit()(LONG)
        await harness.gateway.drain()
        harness.quote("90")
        await trio.sleep(1)
    again = Harness(cash=Decimal(20_000))
    again.gateway.restore(fold(harness.journal.entries))
    again.quote("90")
    async with again.running():
        await trio.sleep(1)
    account = again.gateway.account
    assert account.equity() == Decimal(19_800)
    for reference in (account.day_start_equity(), account.peak_equity):
        assert round((reference - account.equity()) / reference, 20) == Decimal("0.02")
    assert again.report.of("capital")[0][0].startswith("10000 USDT put in: ")


async def test_no_entry_before_the_balance_is_known(autojump_clock: MockClock) -> None:
    """What cannot be sized does not leave; entries do once the balances are read."""
    harness = Harness(broker=FakeBroker(held={"USDT": Decimal(5_000)}, delay=5), cash=Decimal(0))
    harness.gateway.account.is_capital_known = False
    async with harness.running():
        submit = harness.admit()
        submit(LONG)
        await harness.gateway.drain()
        assert harness.symbol_state.denials == {"equity_unknown": 1}
        assert harness.broker.placed == []
        await trio.sleep(6)
        submit(LONG)
        await harness.gateway.drain()
        (order,) = harness.broker.placed
        assert order.quantity == Decimal(10)  # 0.20 of 5,000 at 100
