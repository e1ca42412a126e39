"""The broker against the built-in simulator: orders and what becomes of them."""

from decimal import Decimal

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from levitrio.trading.orders import OrderStatus, OrderType, Side
from levitrio.venues.base import BrokerUnavailable
from levitrio.venues.binance.listing import REREAD_AFTER, REREAD_REST

from tests.venues.binance.trading_floor import SYMBOL, trading_floor


async def test_a_market_order_is_filled(autojump_clock: MockClock) -> None:
    """The answer has every fill with the venue's trade id, and its fee in what was received."""
    async with trading_floor() as floor:
        order = floor.order()
        report = await floor.broker.place(order)
        assert report.status is OrderStatus.FILLED
        assert report.client_id == order.client_id
        assert sum(fill.quantity for fill in report.fills) == order.quantity
        fill = report.fills[0]
        assert fill.trade_id is not None
        assert fill.fee_asset == "BTC"
        assert fill.fee == fill.quantity * Decimal("0.001")
        assert fill.venue == "simulator"
        await trio.testing.wait_all_tasks_blocked()
        heard = [report for symbol, report in floor.heard if symbol == SYMBOL and report.fills]
        assert [each.fills for each in heard] == [(each,) for each in report.fills]


async def test_a_resting_order_is_found_and_cancelled(autojump_clock: MockClock) -> None:
    """A bid below the market rests, is told by a question, and ends by a cancel."""
    async with trading_floor() as floor:
        order = floor.resting()
        assert (await floor.broker.place(order)).status is OrderStatus.NEW
        found = await floor.broker.query(order)
        assert found is not None
        assert found.status is OrderStatus.NEW
        standing = await floor.broker.standing(SYMBOL, None)
        assert [each.client_id for each in standing.open_orders] == [order.client_id]
        assert (await floor.broker.cancel(order)).status is OrderStatus.CANCELED
        await trio.testing.wait_all_tasks_blocked()
        assert floor.heard[-1][1].status is OrderStatus.CANCELED
        assert floor.heard[-1][1].client_id == order.client_id
        # Again: it is done already, and the answer says how it ended.
        assert (await floor.broker.cancel(order)).status is OrderStatus.CANCELED


async def test_a_maker_order_that_would_take_is_rejected(autojump_clock: MockClock) -> None:
    """The venue's refusal is certain, and its words are the reason."""
    async with trading_floor() as floor:
        order = floor.order(kind=OrderType.LIMIT_MAKER, price=floor.price("1.05"))
        report = await floor.broker.place(order)
        assert report.status is OrderStatus.REJECTED
        assert "immediately match" in report.reason
        assert await floor.broker.query(order) is None


async def test_standing_tells_trades_after_an_id(autojump_clock: MockClock) -> None:
    """Reconciliation gets what was traded since, each with the order's own id."""
    async with trading_floor() as floor:
        first = await floor.broker.place(floor.order())
        order = floor.order(Side.SELL, "0.005")
        second = await floor.broker.place(order)
        since = max(fill.trade_id or 0 for fill in first.fills)
        standing = await floor.broker.standing(SYMBOL, since)
        assert [fill.trade_id for fill in standing.trades] == [f.trade_id for f in second.fills]
        assert {fill.client_id for fill in standing.trades} == {order.client_id}


async def test_a_symbol_without_trades_of_ours_counts_from_the_first_question(
    autojump_clock: MockClock,
) -> None:
    """What the account did before the fleet came is not told; what it does after, is."""
    async with trading_floor() as floor:
        await floor.broker.place(floor.order())
        await trio.sleep(5)
        assert (await floor.broker.standing(SYMBOL, None)).trades == ()
        await trio.sleep(5)
        placed = await floor.broker.place(floor.order())
        standing = await floor.broker.standing(SYMBOL, None)
        assert [f.trade_id for f in standing.trades] == [f.trade_id for f in placed.fills]


async def test_many_symbols_are_asked_for_together(autojump_clock: MockClock) -> None:
    """A hundred questions for open orders at once cost the venue's weight two times, not more."""
    async with trading_floor() as floor:
        await floor.broker.place(floor.resting())
        window = floor.simulator.venue.weights.window
        now_ms = floor.simulator.venue.wall_ms()
        before = window.used(now_ms)
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(floor.broker.standing, SYMBOL, None)
        filters = 20
        assert window.used(now_ms) - before <= 2 * 80 + filters


async def test_filters_are_told_before_a_symbol_is_compared(autojump_clock: MockClock) -> None:
    """Once for each connection; a name that the venue does not know hurts only itself."""
    async with trading_floor() as floor:
        failed: list[str] = []

        async def compare(symbol: str) -> None:
            try:
                await floor.broker.standing(symbol, None)
            except BrokerUnavailable as error:
                failed.append(str(error))

        for symbol in (SYMBOL, "ETHUSDT", "NOSUCHTHING", "SOLUSDT"):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(compare, symbol)
                nursery.start_soon(compare, "BNBUSDT")
        assert set(floor.filters) == {SYMBOL, "ETHUSDT", "SOLUSDT", "BNBUSDT"}
        assert floor.filters[SYMBOL].rules().step > 0
        (words,) = failed
        assert "-1121" in words
        floor.filters.clear()
        await floor.cut()
        await floor.connected()
        await floor.broker.standing(SYMBOL, None)
        assert set(floor.filters) == {SYMBOL}


async def test_balances(autojump_clock: MockClock) -> None:
    """What the account holds, free and locked together."""
    async with trading_floor() as floor:
        await floor.broker.place(floor.resting())
        held = await floor.broker.holdings()
        assert held.balances == {"USDT": Decimal(100_000), "BTC": Decimal(1)}
        assert held.account == f"{floor.broker.venue}:1"


async def test_nothing_is_known_without_a_connection(autojump_clock: MockClock) -> None:
    """Every answer is UNKNOWN, what the venue holds is unavailable, and no exception escapes."""
    async with trading_floor(connect=False) as floor:
        floor.is_down = True
        order = floor.order()
        assert (await floor.broker.place(order)).status is OrderStatus.UNKNOWN
        assert (await floor.broker.cancel(order)).status is OrderStatus.UNKNOWN
        found = await floor.broker.query(order)
        assert found is not None
        assert found.status is OrderStatus.UNKNOWN
        with pytest.raises(BrokerUnavailable):
            await floor.broker.standing(SYMBOL, None)
        with pytest.raises(BrokerUnavailable):
            await floor.broker.holdings()


async def test_filters_that_change_are_learnt_from_a_refusal(autojump_clock: MockClock) -> None:
    """B090: an order refused by a filter is refused for good, and the next knows the new steps."""
    async with trading_floor() as floor:
        await floor.broker.standing(SYMBOL, None)
        step = floor.filters[SYMBOL].rules().step
        floor.fault(coarser=1_000_000)
        report = await floor.broker.place(floor.order())
        assert report.status is OrderStatus.REJECTED
        assert "-1013" in report.reason
        await trio.sleep(1)
        assert floor.filters[SYMBOL].rules().step == 1_000_000 * step
        assert floor.kinds.count("filters_changed") == 1
        # Another refusal is heeded after a rest, not at once.
        floor.fault(coarser=100_000)
        await floor.broker.place(floor.order())
        await trio.sleep(1)
        assert floor.kinds.count("filters_changed") == 1
        await trio.sleep(REREAD_REST)
        assert floor.filters[SYMBOL].rules().step == 100_000 * step


async def test_a_market_that_closes_and_opens(autojump_clock: MockClock) -> None:
    """Noticed within the period, or by the first order that is refused; told once each time."""
    async with trading_floor() as floor:
        await floor.broker.standing(SYMBOL, None)
        resting = floor.resting()
        await floor.broker.place(resting)
        floor.fault(market_status="CANCEL_ONLY")
        await trio.sleep(REREAD_AFTER + REREAD_REST)
        assert floor.statuses[SYMBOL] == "CANCEL_ONLY"
        assert (await floor.broker.cancel(resting)).status is OrderStatus.CANCELED
        floor.fault()
        await trio.sleep(2 * REREAD_AFTER)
        assert floor.statuses[SYMBOL] == "TRADING"
        floor.fault(market_status="HALT")
        report = await floor.broker.place(floor.order())
        assert report.status is OrderStatus.REJECTED
        await trio.sleep(REREAD_REST)
        assert floor.statuses[SYMBOL] == "HALT"
        kinds = [kind for kind in floor.kinds if kind.startswith("market_")]
        assert kinds == ["market_closed", "market_open", "market_closed"]
