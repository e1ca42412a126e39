"""The broker against the built-in simulator: orders and what becomes of them."""

from decimal import Decimal

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from levitrio.trading.orders import OrderStatus, OrderType, Side
from levitrio.venues.base import BrokerUnavailable
from levitrio.venues.binance.orders.exchange_info import REREAD_AFTER, REREAD_REST
from tests.venues.binance.broker_harness import SYMBOL, broker_harness


async def test_a_market_order_is_filled(autojump_clock: MockClock) -> None:
    """The answer has every fill with the venue's trade id, and its fee in what was received."""
    async with broker_harness() as harness:
        order = harness.order()
        report = await harness.broker.place(order)
        assert report.status is OrderStatus.FILLED
        assert report.client_id == order.client_id
        assert sum(fill.quantity for fill in report.fills) == order.quantity
        fill = report.fills[0]
        assert fill.trade_id is not None
        assert fill.fee_asset == "BTC"
        assert fill.fee == fill.quantity * Decimal("0.001")
        assert fill.venue == "simulator"
        await trio.testing.wait_all_tasks_blocked()
        heard = [
            report
            for symbol, report in harness.listener.reports
            if symbol == SYMBOL and report.fills
        ]
        assert [each.fills for each in heard] == [(each,) for each in report.fills]


async def test_a_resting_order_is_found_and_cancelled(autojump_clock: MockClock) -> None:
    """A bid below the market rests, is told by a question, and ends by a cancel."""
    async with broker_harness() as harness:
        order = harness.resting()
        assert (await harness.broker.place(order)).status is OrderStatus.NEW
        found = await harness.broker.query(order)
        assert found is not None
        assert found.status is OrderStatus.NEW
        mass_status = await harness.broker.mass_status(SYMBOL, None)
        assert [each.client_id for each in mass_status.open_orders] == [order.client_id]
        assert (await harness.broker.cancel(order)).status is OrderStatus.CANCELED
        await trio.testing.wait_all_tasks_blocked()
        assert harness.listener.reports[-1][1].status is OrderStatus.CANCELED
        assert harness.listener.reports[-1][1].client_id == order.client_id
        # Again: it is done already, and the answer says how it ended.
        assert (await harness.broker.cancel(order)).status is OrderStatus.CANCELED


async def test_a_maker_order_that_would_take_is_rejected(autojump_clock: MockClock) -> None:
    """The venue's refusal is certain, and its words are the reason."""
    async with broker_harness() as harness:
        order = harness.order(kind=OrderType.LIMIT_MAKER, price=harness.price("1.05"))
        report = await harness.broker.place(order)
        assert report.status is OrderStatus.REJECTED
        assert "immediately match" in report.reason
        assert await harness.broker.query(order) is None


async def test_standing_tells_trades_after_an_id(autojump_clock: MockClock) -> None:
    """Reconciliation gets what was traded since, each with the order's own id."""
    async with broker_harness() as harness:
        first = await harness.broker.place(harness.order())
        order = harness.order(Side.SELL, "0.005")
        second = await harness.broker.place(order)
        since = max(fill.trade_id or 0 for fill in first.fills)
        mass_status = await harness.broker.mass_status(SYMBOL, since)
        assert [fill.trade_id for fill in mass_status.trades] == [f.trade_id for f in second.fills]
        assert {fill.client_id for fill in mass_status.trades} == {order.client_id}


async def test_a_symbol_without_trades_of_ours_counts_from_the_first_question(
    autojump_clock: MockClock,
) -> None:
    """What the account did before the fleet came is not told; what it does after, is."""
    async with broker_harness() as harness:
        await harness.broker.place(harness.order())
        await trio.sleep(5)
        assert (await harness.broker.mass_status(SYMBOL, None)).trades == ()
        await trio.sleep(5)
        placed = await harness.broker.place(harness.order())
        mass_status = await harness.broker.mass_status(SYMBOL, None)
        assert [f.trade_id for f in mass_status.trades] == [f.trade_id for f in placed.fills]


async def test_many_symbols_are_asked_for_together(autojump_clock: MockClock) -> None:
    """A hundred questions for open orders at once cost the venue's weight two times, not more."""
    async with broker_harness() as harness:
        await harness.broker.place(harness.resting())
        window = harness.simulator.venue.weights.window
        now_ms = harness.simulator.venue.wall_ms()
        before = window.used(now_ms)
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(harness.broker.mass_status, SYMBOL, None)
        filters = 20
        assert window.used(now_ms) - before <= 2 * 80 + filters


async def test_filters_are_told_before_a_symbol_is_compared(autojump_clock: MockClock) -> None:
    """Once for each connection; a name that the venue does not know hurts only itself."""
    async with broker_harness() as harness:
        failed: list[str] = []

        async def compare(symbol: str) -> None:
            try:
                await harness.broker.mass_status(symbol, None)
            except BrokerUnavailable as error:
                failed.append(str(error))

        for symbol in (SYMBOL, "ETHUSDT", "NOSUCHTHING", "SOLUSDT"):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(compare, symbol)
                nursery.start_soon(compare, "BNBUSDT")
        assert set(harness.listener.filters) == {SYMBOL, "ETHUSDT", "SOLUSDT", "BNBUSDT"}
        assert harness.listener.filters[SYMBOL].rules().step > 0
        (words,) = failed
        assert "-1121" in words
        harness.listener.filters.clear()
        await harness.cut()
        await harness.connected()
        await harness.broker.mass_status(SYMBOL, None)
        assert set(harness.listener.filters) == {SYMBOL}


async def test_balances(autojump_clock: MockClock) -> None:
    """What the account holds, free and locked together."""
    async with broker_harness() as harness:
        await harness.broker.place(harness.resting())
        held = await harness.broker.balances()
        assert held.balances == {"USDT": Decimal(100_000), "BTC": Decimal(1)}
        assert held.account == f"{harness.broker.venue}:1"


async def test_nothing_is_known_without_a_connection(autojump_clock: MockClock) -> None:
    """Every answer is UNKNOWN, what the venue holds is unavailable, and no exception escapes."""
    async with broker_harness(connect=False) as harness:
        harness.is_down = True
        order = harness.order()
        assert (await harness.broker.place(order)).status is OrderStatus.UNKNOWN
        assert (await harness.broker.cancel(order)).status is OrderStatus.UNKNOWN
        found = await harness.broker.query(order)
        assert found is not None
        assert found.status is OrderStatus.UNKNOWN
        with pytest.raises(BrokerUnavailable):
            await harness.broker.mass_status(SYMBOL, None)
        with pytest.raises(BrokerUnavailable):
            await harness.broker.balances()


async def test_filters_that_change_are_learnt_from_a_refusal(autojump_clock: MockClock) -> None:
    """An order refused by a filter is refused for good, and the next knows the new steps."""
    async with broker_harness() as harness:
        await harness.broker.mass_status(SYMBOL, None)
        step = harness.listener.filters[SYMBOL].rules().step
        harness.fault(coarser=1_000_000)
        report = await harness.broker.place(harness.order())
        assert report.status is OrderStatus.REJECTED
        assert "-1013" in report.reason
        await trio.sleep(1)
        assert harness.listener.filters[SYMBOL].rules().step == 1_000_000 * step
        assert harness.kinds.count("filters_changed") == 1
        # Another refusal is heeded after a rest, not at once.
        harness.fault(coarser=100_000)
        await harness.broker.place(harness.order())
        await trio.sleep(1)
        assert harness.kinds.count("filters_changed") == 1
        await trio.sleep(REREAD_REST)
        assert harness.listener.filters[SYMBOL].rules().step == 100_000 * step


async def test_a_market_that_closes_and_opens(autojump_clock: MockClock) -> None:
    """Noticed within the period, or by the first order that is refused; told once each time."""
    async with broker_harness() as harness:
        await harness.broker.mass_status(SYMBOL, None)
        resting = harness.resting()
        await harness.broker.place(resting)
        harness.fault(market_status="CANCEL_ONLY")
        await trio.sleep(REREAD_AFTER + REREAD_REST)
        assert harness.listener.closed[SYMBOL] == "CANCEL_ONLY"
        assert (await harness.broker.cancel(resting)).status is OrderStatus.CANCELED
        harness.fault()
        await trio.sleep(2 * REREAD_AFTER)
        assert harness.listener.closed[SYMBOL] == ""
        harness.fault(market_status="HALT")
        report = await harness.broker.place(harness.order())
        assert report.status is OrderStatus.REJECTED
        await trio.sleep(REREAD_REST)
        assert harness.listener.closed[SYMBOL] == "HALT"
        kinds = [kind for kind in harness.kinds if kind.startswith("market_")]
        assert kinds == ["market_closed", "market_open", "market_closed"]
