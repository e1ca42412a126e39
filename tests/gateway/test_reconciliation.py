"""Orders the last run left at the venue: found, cancelled, and applied before any is sent."""

from decimal import Decimal

import attrs
import pytest
import trio
from trio.testing import MockClock

from levitrio.gateway.symbol_state import Block
from levitrio.records.journal.entries import History, IntentEntry, OpenOrder, OutcomeEntry
from levitrio.trading.orders import Order, OrderStatus, OrderType
from levitrio.venues.base import MassStatus, OrderReport
from tests.factories import make_order
from tests.fakes import FakeBroker, FakeJournal
from tests.gateway.harness import LONG, Harness
from tests.venues.binance.broker_harness import SYMBOL, broker_harness

LEFT = make_order(
    client_id="levi-0-7-0",
    quantity=3,
    price=99,
)


def unknown(order: Order) -> OrderReport:
    return OrderReport(client_id=order.client_id, status=OrderStatus.UNKNOWN)


def left_behind(harness: Harness, *orders: Order) -> None:
    """As after a kill: the intents are durable, and nothing is known of their ends."""
    open_orders = tuple(
        OpenOrder(seq=seq, order=order, status=OrderStatus.INTENDED)
        for seq, order in enumerate(orders, 7)
    )
    harness.journal.seq = 100
    harness.gateway.restore(History(open_orders=open_orders))


def outcomes(harness: Harness) -> list[OutcomeEntry]:
    return [e for e in harness.journal.of(OutcomeEntry) if isinstance(e, OutcomeEntry)]


def ends(harness: Harness) -> dict[str, OrderStatus]:
    return {each.client_id: each.status for each in outcomes(harness)}


async def test_a_leftover_that_rests_is_cancelled(autojump_clock: MockClock) -> None:
    """A kill after the send: no order of the new run before it has ended, its fill applied."""
    harness = Harness()
    resting = OrderReport(client_id=LEFT.client_id, status=OrderStatus.PARTIALLY_FILLED)
    harness.broker.known[LEFT.client_id] = resting
    (fill,) = harness.broker.filled(attrs.evolve(LEFT, quantity=Decimal(1))).fills
    fill = attrs.evolve(fill, trade_id=41)
    asked_then: list[int] = []

    def cancel(order: Order) -> OrderReport:
        asked_then.append(harness.broker.asked)
        return OrderReport(client_id=order.client_id, status=OrderStatus.CANCELED, fills=(fill,))

    harness.broker.cancel_answer = cancel
    left_behind(harness, LEFT)
    async with harness.running(ready=False):
        submit = harness.admit()
        submit(LONG)
        with trio.fail_after(5):
            await harness.symbol_state.ready.wait()
        assert harness.broker.placed == []
        assert harness.symbol_state.position.quantity == 1
        await harness.gateway.drain()
    assert harness.broker.cancelled == [LEFT]
    assert asked_then == [0], "compared with the venue before it had ended"
    assert ends(harness) == {LEFT.client_id: OrderStatus.CANCELED}
    assert harness.symbol_state.last_trade_id == 41
    assert [fill.trade_id for fill in harness.fills] == [41]
    assert harness.journal.of(IntentEntry) == []  # it is long already
    assert len(harness.report.of("order_closed")) == 1


async def test_each_leftover_finds_its_end(autojump_clock: MockClock) -> None:
    """Never sent, filled meanwhile, resting: lost with proof, applied, cancelled; in turn."""
    harness = Harness()
    never, filled = (attrs.evolve(LEFT, client_id=f"levi-0-{n}-0") for n in (8, 9))
    harness.broker.known[filled.client_id] = harness.broker.filled(filled)
    harness.broker.known[LEFT.client_id] = OrderReport(
        client_id=LEFT.client_id, status=OrderStatus.NEW
    )
    left_behind(harness, LEFT, never, filled)
    async with harness.running(ready=False):
        began = trio.current_time()
        await harness.symbol_state.ready.wait()
        assert trio.current_time() - began >= harness.broker.proof_after
    assert ends(harness) == {
        LEFT.client_id: OrderStatus.CANCELED,
        never.client_id: OrderStatus.LOST,
        filled.client_id: OrderStatus.FILLED,
    }
    assert harness.symbol_state.position.quantity == filled.quantity
    assert harness.broker.placed == []


async def test_a_venue_that_is_silent_at_the_start(autojump_clock: MockClock) -> None:
    """While the venue cannot be asked nothing is proven, nothing leaves, engines may wait."""
    harness = Harness()
    harness.broker.known[LEFT.client_id] = unknown(LEFT)
    harness.broker.cancel_answer = unknown
    left_behind(harness, LEFT)
    async with harness.running(ready=False):
        submit = harness.admit()
        submit(LONG)
        await trio.sleep(300)
        assert Block.RECONCILING in harness.symbol_state.blocks
        assert harness.broker.placed == []
        assert ends(harness).get(LEFT.client_id) in (None, OrderStatus.UNKNOWN)
        harness.broker.cancel_answer = None
        with trio.fail_after(10):
            await harness.symbol_state.ready.wait()
        await harness.gateway.drain()
    assert ends(harness)[LEFT.client_id] is OrderStatus.CANCELED
    assert len(harness.broker.placed) == 1


async def test_a_reconnect_does_not_hide_a_leftover(autojump_clock: MockClock) -> None:
    """Compared as often as the connection breaks, but ready only when the leftover has ended."""
    harness = Harness()
    harness.broker.known[LEFT.client_id] = unknown(LEFT)
    harness.broker.cancel_answer = unknown
    left_behind(harness, LEFT)
    async with harness.running(ready=False):
        for _ in range(3):
            await trio.sleep(2)
            assert harness.broker.lost is not None
            harness.broker.lost()
        await trio.sleep(2)
        assert not harness.symbol_state.ready.is_set()
        assert Block.RECONCILING in harness.symbol_state.blocks
        harness.broker.cancel_answer = None
        with trio.fail_after(10):
            await harness.symbol_state.ready.wait()
    assert ends(harness)[LEFT.client_id] is OrderStatus.CANCELED


@attrs.define(eq=False)
class SlowBroker(FakeBroker):
    """Answers a second later with what it held when it was asked."""

    async def mass_status(self, symbol: str, since: int | None) -> MassStatus:
        held = await super().mass_status(symbol, since)
        await trio.sleep(1.0)
        return held


async def test_an_answer_from_before_the_reconnect_is_none(autojump_clock: MockClock) -> None:
    """What happened while the question was under way is asked for before an order leaves."""
    harness = Harness(broker=SlowBroker(), journal=FakeJournal(seq=9))
    (fill,) = harness.broker.filled(LEFT).fills
    async with harness.running(ready=False):
        await trio.sleep(0.5)
        harness.broker.now = MassStatus(trades=(attrs.evolve(fill, trade_id=41),))
        assert harness.broker.lost is not None
        harness.broker.lost()
        await trio.sleep(0.6)
        assert Block.RECONCILING in harness.symbol_state.blocks
        await harness.symbol_state.ready.wait()
        assert harness.symbol_state.position.quantity == LEFT.quantity
    assert harness.broker.asked == 2


async def test_on_paper_it_died_with_the_process(autojump_clock: MockClock) -> None:
    """Journaled as cancelled at once: there is no venue where it could rest."""
    harness = Harness()
    harness.broker.proof_after = 0.0
    left_behind(harness, LEFT)
    async with harness.running(ready=False):
        with trio.fail_after(1):
            await harness.symbol_state.ready.wait()
    assert ends(harness) == {LEFT.client_id: OrderStatus.CANCELED}
    assert harness.broker.cancelled == []


@pytest.mark.parametrize("fault", [{}, {"timeout_every": 1}, {"disconnect_every": 0.7}])
async def test_a_leftover_at_a_real_venue(
    fault: dict[str, object], autojump_clock: MockClock
) -> None:
    """Half filled, half resting at the simulator: cancelled there, quantities add up."""
    async with broker_harness() as floor:
        ask, _ = floor.simulator.venue.market.depth(SYMBOL, 1).asks[0]  # type: ignore[union-attr]
        order = floor.order(quantity="1.200", kind=OrderType.LIMIT, price=str(ask))
        floor.fault(lost_reply_every=1)
        assert (await floor.broker.place(order)).status is OrderStatus.UNKNOWN
        (theirs,) = floor.account.orders.values()
        assert 0 < theirs.resting.filled < order.quantity
        floor.fault(**fault)

        async def already(*, task_status: trio.TaskStatus[None]) -> None:
            task_status.started()

        floor.broker.run = already  # type: ignore[method-assign, assignment]
        harness = Harness(broker=floor.broker)  # type: ignore[arg-type]
        left_behind(harness, order)
        async with harness.running(ready=False):
            with trio.fail_after(120):
                await harness.symbol_state.ready.wait()
        assert theirs.status.value == "CANCELED"
        assert harness.symbol_state.position.quantity > 0
        assert ends(harness)[order.client_id] is OrderStatus.CANCELED
        journaled = {
            fill.trade_id: fill.quantity for each in outcomes(harness) for fill in each.fills
        }
        assert sum(journaled.values()) == theirs.resting.filled
