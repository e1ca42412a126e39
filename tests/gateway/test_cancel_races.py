"""A cancel and a fill at the same time: whichever is reported first, the quantities add up."""

from decimal import Decimal

import attrs
import pytest
import trio
from trio.testing import MockClock

from levitrio.records.journal.entries import OutcomeEntry
from levitrio.trading.orders import Order, OrderStatus
from levitrio.trading.risk import TradingState
from levitrio.venues.base import OrderReport
from tests.gateway.harness import LONG, Harness


@pytest.mark.parametrize("told_first", [True, False])
@pytest.mark.parametrize(
    ("end", "pieces"), [(OrderStatus.CANCELED, (5, 3)), (OrderStatus.FILLED, (5, 15))]
)
async def test_a_fill_while_the_cancel_is_under_way(
    end: OrderStatus, pieces: tuple[int, ...], told_first: bool, autojump_clock: MockClock
) -> None:
    """Each piece is applied once, by event, answer or both; the end is the venue's."""
    harness = Harness()
    harness.broker.answer = lambda order: OrderReport(
        client_id=order.client_id, status=OrderStatus.NEW
    )
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(0.05)
        (order,) = harness.broker.placed
        harness.broker.known[order.client_id] = harness.broker.answer(order)
        (whole,) = harness.broker.filled(order).fills
        fills = [
            attrs.evolve(whole, quantity=Decimal(quantity), trade_id=number)
            for number, quantity in enumerate(pieces, 6)
        ]

        def tell(number: int) -> None:
            assert harness.broker.tell is not None
            partly = OrderStatus.PARTIALLY_FILLED
            report = OrderReport(client_id=order.client_id, status=partly, fills=(fills[number],))
            harness.broker.tell("BTCUSDT", report)

        def cancel(cancelled: Order) -> OrderReport:
            if told_first:
                tell(1)
            return OrderReport(client_id=cancelled.client_id, status=end, fills=tuple(fills))

        harness.broker.cancel_answer = cancel
        tell(0)
        await trio.sleep(0.05)
        await harness.gateway.set_trading_state(TradingState.HALTED, "drill")
        with trio.fail_after(5):
            await harness.gateway.drain()
        tell(1)  # late, and again
        await trio.sleep(1)
    assert harness.symbol_state.position.quantity == sum(pieces)
    assert sorted(fill.trade_id or 0 for fill in harness.fills) == [6, 7]
    outcomes = [e for e in harness.journal.of(OutcomeEntry) if isinstance(e, OutcomeEntry)]
    assert [e.status for e in outcomes if e.status is end] == [end]
    assert harness.symbol_state.blocks == set()
