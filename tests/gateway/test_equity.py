"""What losses are measured against: over restarts, new days and other capital."""

from decimal import Decimal

import trio
from trio.testing import MockClock

from levitrio.records.entries import (
    History,
)
from levitrio.records.sqlite.folding import fold
from levitrio.trading.risk import RiskRules, TradingState
from tests.fakes import FakeBroker
from tests.gateway.bench import LONG, Bench


async def test_a_drawdown_outlives_a_restart(autojump_clock: MockClock) -> None:
    """The highest equity is the journal's: who restarts after a loss is not forgiven for it."""
    bench = Bench(risk=RiskRules(max_daily_loss=Decimal("0.5")))
    async with bench.running():
        bench.admit()(LONG)
        await bench.gateway.drain()
        bench.quote("200")  # 20 at 100: equity 12,000
        await trio.sleep(2)
    history = fold(bench.journal.entries)
    assert history.equity is not None
    assert history.equity.peak_equity == Decimal(12_000)

    again = Bench(risk=RiskRules(max_daily_loss=Decimal("0.5")))
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
    bench = Bench()
    bench.gateway.restore(History())
    async with bench.running():
        bench.admit()(LONG)
        await bench.gateway.drain()
        account = bench.gateway.account
        for day in range(1, 12):
            bench.market_ms = day * 86_400_000
            bench.quote(str(100 - 10 * day))  # 20 are held: 200 a day
            await trio.sleep(2)
            if account.trading_state is not TradingState.ACTIVE:
                break
        assert account.trading_reason == "drawdown 10.00% from 10000.00"
        assert day == 5


async def test_other_cash_in_the_file_is_no_gain(autojump_clock: MockClock) -> None:
    """Paper's cash was doubled between two runs: the day's loss is the same fraction as before."""
    bench = Bench()
    bench.gateway.restore(History())
    async with bench.running():
        await trio.sleep(1)
        bench.admit()(LONG)
        await bench.gateway.drain()
        bench.quote("90")
        await trio.sleep(1)
    again = Bench(cash=Decimal(20_000))
    again.gateway.restore(fold(bench.journal.entries))
    again.quote("90")
    async with again.running():
        await trio.sleep(1)
    account = again.gateway.account
    assert account.equity() == Decimal(19_800)
    for reference in (account.day_start_equity(), account.peak_equity):
        assert round((reference - account.equity()) / reference, 20) == Decimal("0.02")
    assert again.report.of("capital")[0][0].startswith("10000 USDT put in: ")


async def test_no_entry_before_the_balance_is_known(autojump_clock: MockClock) -> None:
    """What cannot be sized does not leave; entries do once the venue has told."""
    bench = Bench(broker=FakeBroker(held={"USDT": Decimal(5_000)}, delay=5), cash=Decimal(0))
    bench.gateway.account.is_capital_known = False
    async with bench.running():
        submit = bench.admit()
        submit(LONG)
        await bench.gateway.drain()
        assert bench.desk.denials == {"equity_unknown": 1}
        assert bench.broker.placed == []
        await trio.sleep(6)
        submit(LONG)
        await bench.gateway.drain()
        (order,) = bench.broker.placed
        assert order.quantity == Decimal(10)  # 0.20 of 5,000 at 100
