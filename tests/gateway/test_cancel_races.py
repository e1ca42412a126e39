"""A cancel and a fill that meet on the way: whatever is told first, the quantities add up."""

from decimal import Decimal

import attrs
import pytest
import trio
from trio.testing import MockClock

from levitrio.records.entries import OutcomeEntry
from levitrio.trading.orders import Order, OrderStatus
from levitrio.trading.risk import TradingState
from levitrio.venues.base import OrderReport
from tests.gateway.bench import LONG, Bench


@pytest.mark.parametrize("told_first", [True, False])
@pytest.mark.parametrize(
    ("end", "pieces"), [(OrderStatus.CANCELED, (5, 3)), (OrderStatus.FILLED, (5, 15))]
)
async def test_a_fill_while_the_cancel_is_under_way(
    end: OrderStatus, pieces: tuple[int, ...], told_first: bool, autojump_clock: MockClock
) -> None:
    """F52, B106: each piece is booked once, by event, answer or both; the end is the venue's."""
    bench = Bench()
    bench.broker.answer = lambda order: OrderReport(
        client_id=order.client_id, status=OrderStatus.NEW
    )
    async with bench.running():
        bench.admit()(LONG)
        await trio.sleep(0.05)
        (order,) = bench.broker.placed
        bench.broker.known[order.client_id] = bench.broker.answer(order)
        (whole,) = bench.broker.filled(order).fills
        fills = [
            attrs.evolve(whole, quantity=Decimal(quantity), trade_id=number)
            for number, quantity in enumerate(pieces, 6)
        ]

        def tell(number: int) -> None:
            assert bench.broker.tell is not None
            partly = OrderStatus.PARTIALLY_FILLED
            report = OrderReport(client_id=order.client_id, status=partly, fills=(fills[number],))
            bench.broker.tell("BTCUSDT", report)

        def cancel(cancelled: Order) -> OrderReport:
            if told_first:
                tell(1)
            return OrderReport(client_id=cancelled.client_id, status=end, fills=tuple(fills))

        bench.broker.cancel_answer = cancel
        tell(0)
        await trio.sleep(0.05)
        await bench.gateway.set_trading_state(TradingState.HALTED, "drill")
        with trio.fail_after(5):
            await bench.gateway.drain()
        tell(1)  # late, and again
        await trio.sleep(1)
    assert bench.desk.book.position == sum(pieces)
    assert sorted(fill.trade_id or 0 for fill in bench.fills) == [6, 7]
    outcomes = [e for e in bench.journal.of(OutcomeEntry) if isinstance(e, OutcomeEntry)]
    assert [e.status for e in outcomes if e.status is end] == [end]
    assert bench.desk.blocks == set()
