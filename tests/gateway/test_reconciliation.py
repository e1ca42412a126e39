"""What the last run left at the venue: found, called back, and booked before anything is sent."""

from decimal import Decimal

import attrs
import pytest
import trio
from trio.testing import MockClock

from levitrio.gateway.desk import Block
from levitrio.records.entries import History, IntentEntry, OpenOrder, OutcomeEntry
from levitrio.trading.orders import Order, OrderStatus, OrderType, Side
from levitrio.venues.base import OrderReport, Standing
from tests.fakes import FakeBroker, FakeJournal
from tests.gateway.bench import LONG, Bench
from tests.venues.binance.trading_floor import SYMBOL, trading_floor

LEFT = Order(
    client_id="levi-0-7-0",
    symbol="BTCUSDT",
    side=Side.BUY,
    type=OrderType.LIMIT,
    quantity=Decimal(3),
    price=Decimal(99),
)


def unknown(order: Order) -> OrderReport:
    return OrderReport(client_id=order.client_id, status=OrderStatus.UNKNOWN)


def left_behind(bench: Bench, *orders: Order) -> None:
    """As after a kill: the intents are durable, and nothing is known of their ends."""
    open_orders = tuple(
        OpenOrder(seq=seq, order=order, status=OrderStatus.INTENDED)
        for seq, order in enumerate(orders, 7)
    )
    bench.journal.seq = 100
    bench.gateway.restore(History(open_orders=open_orders))


def outcomes(bench: Bench) -> list[OutcomeEntry]:
    return [e for e in bench.journal.of(OutcomeEntry) if isinstance(e, OutcomeEntry)]


def ends(bench: Bench) -> dict[str, OrderStatus]:
    return {each.client_id: each.status for each in outcomes(bench)}


async def test_a_leftover_that_rests_is_cancelled(autojump_clock: MockClock) -> None:
    """F50: a kill after the send: no order of the new run before it has ended, its fill booked."""
    bench = Bench()
    resting = OrderReport(client_id=LEFT.client_id, status=OrderStatus.PARTIALLY_FILLED)
    bench.broker.known[LEFT.client_id] = resting
    (fill,) = bench.broker.filled(attrs.evolve(LEFT, quantity=Decimal(1))).fills
    fill = attrs.evolve(fill, trade_id=41)
    asked_then: list[int] = []

    def cancel(order: Order) -> OrderReport:
        asked_then.append(bench.broker.asked)
        return OrderReport(client_id=order.client_id, status=OrderStatus.CANCELED, fills=(fill,))

    bench.broker.cancel_answer = cancel
    left_behind(bench, LEFT)
    async with bench.running(ready=False):
        submit = bench.admit()
        submit(LONG)
        with trio.fail_after(5):
            await bench.desk.ready.wait()
        assert bench.broker.placed == []
        assert bench.desk.book.position == 1
        await bench.gateway.drain()
    assert bench.broker.cancelled == [LEFT]
    assert asked_then == [0], "compared with the venue before it had ended"
    assert ends(bench) == {LEFT.client_id: OrderStatus.CANCELED}
    assert bench.desk.last_trade_id == 41
    assert [fill.trade_id for fill in bench.fills] == [41]
    assert bench.journal.of(IntentEntry) == []  # it is long already
    assert len(bench.report.of("order_closed")) == 1


async def test_each_leftover_finds_its_end(autojump_clock: MockClock) -> None:
    """F50: never sent, filled meanwhile, resting: lost with proof, booked, cancelled; in turn."""
    bench = Bench()
    never, filled = (attrs.evolve(LEFT, client_id=f"levi-0-{n}-0") for n in (8, 9))
    bench.broker.known[filled.client_id] = bench.broker.filled(filled)
    bench.broker.known[LEFT.client_id] = OrderReport(
        client_id=LEFT.client_id, status=OrderStatus.NEW
    )
    left_behind(bench, LEFT, never, filled)
    async with bench.running(ready=False):
        began = trio.current_time()
        await bench.desk.ready.wait()
        assert trio.current_time() - began >= bench.broker.proof_after
    assert ends(bench) == {
        LEFT.client_id: OrderStatus.CANCELED,
        never.client_id: OrderStatus.LOST,
        filled.client_id: OrderStatus.FILLED,
    }
    assert bench.desk.book.position == filled.quantity
    assert bench.broker.placed == []


async def test_a_venue_that_is_silent_at_the_start(autojump_clock: MockClock) -> None:
    """B102: while nobody can be asked nothing is proven, nothing leaves, and engines may wait."""
    bench = Bench()
    bench.broker.known[LEFT.client_id] = unknown(LEFT)
    bench.broker.cancel_answer = unknown
    left_behind(bench, LEFT)
    async with bench.running(ready=False):
        submit = bench.admit()
        submit(LONG)
        await trio.sleep(300)
        assert Block.RECONCILING in bench.desk.blocks
        assert bench.broker.placed == []
        assert ends(bench).get(LEFT.client_id) in (None, OrderStatus.UNKNOWN)
        bench.broker.cancel_answer = None
        with trio.fail_after(10):
            await bench.desk.ready.wait()
        await bench.gateway.drain()
    assert ends(bench)[LEFT.client_id] is OrderStatus.CANCELED
    assert len(bench.broker.placed) == 1


async def test_a_reconnect_does_not_hide_a_leftover(autojump_clock: MockClock) -> None:
    """Compared anew as often as the line breaks, but ready only when the leftover has ended."""
    bench = Bench()
    bench.broker.known[LEFT.client_id] = unknown(LEFT)
    bench.broker.cancel_answer = unknown
    left_behind(bench, LEFT)
    async with bench.running(ready=False):
        for _ in range(3):
            await trio.sleep(2)
            assert bench.broker.lost is not None
            bench.broker.lost()
        await trio.sleep(2)
        assert not bench.desk.ready.is_set()
        assert Block.RECONCILING in bench.desk.blocks
        bench.broker.cancel_answer = None
        with trio.fail_after(10):
            await bench.desk.ready.wait()
    assert ends(bench)[LEFT.client_id] is OrderStatus.CANCELED


@attrs.define(eq=False)
class SlowBroker(FakeBroker):
    """Takes a second to say what it holds, and says what it held when it was asked."""

    async def standing(self, symbol: str, since: int | None) -> Standing:
        held = await super().standing(symbol, since)
        await trio.sleep(1.0)
        return held


async def test_an_answer_from_before_the_reconnect_is_none(autojump_clock: MockClock) -> None:
    """What happened while the question was under way is asked for before an order leaves."""
    bench = Bench(broker=SlowBroker(), journal=FakeJournal(seq=9))
    (fill,) = bench.broker.filled(LEFT).fills
    async with bench.running(ready=False):
        await trio.sleep(0.5)
        bench.broker.now = Standing(trades=(attrs.evolve(fill, trade_id=41),))
        assert bench.broker.lost is not None
        bench.broker.lost()
        await trio.sleep(0.6)
        assert Block.RECONCILING in bench.desk.blocks
        await bench.desk.ready.wait()
        assert bench.desk.book.position == LEFT.quantity
    assert bench.broker.asked == 2


async def test_on_paper_it_died_with_the_process(autojump_clock: MockClock) -> None:
    """Journaled as cancelled at once: there is no venue where it could rest."""
    bench = Bench()
    bench.broker.proof_after = 0.0
    left_behind(bench, LEFT)
    async with bench.running(ready=False):
        with trio.fail_after(1):
            await bench.desk.ready.wait()
    assert ends(bench) == {LEFT.client_id: OrderStatus.CANCELED}
    assert bench.broker.cancelled == []


@pytest.mark.parametrize("fault", [{}, {"timeout_every": 1}, {"disconnect_every": 0.7}])
async def test_a_leftover_at_a_real_venue(
    fault: dict[str, object], autojump_clock: MockClock
) -> None:
    """F50, F52: half filled, half resting at the simulator: cancelled there, quantities add up."""
    async with trading_floor() as floor:
        ask, _ = floor.simulator.venue.market.depth(SYMBOL, 1).asks[0]  # type: ignore[union-attr]
        order = floor.order(quantity="1.200", kind=OrderType.LIMIT, price=str(ask))
        floor.fault(lost_reply_every=1)
        assert (await floor.broker.place(order)).status is OrderStatus.UNKNOWN
        (theirs,) = floor.account.orders.values()
        assert 0 < theirs.book.filled < order.quantity
        floor.fault(**fault)

        async def already(*, task_status: trio.TaskStatus[None]) -> None:
            task_status.started()

        floor.broker.run = already  # type: ignore[method-assign, assignment]
        bench = Bench(broker=floor.broker)  # type: ignore[arg-type]
        left_behind(bench, order)
        async with bench.running(ready=False):
            with trio.fail_after(120):
                await bench.desk.ready.wait()
        assert theirs.status.value == "CANCELED"
        assert bench.desk.book.position > 0
        assert ends(bench)[order.client_id] is OrderStatus.CANCELED
        told = {fill.trade_id: fill.quantity for each in outcomes(bench) for fill in each.fills}
        assert sum(told.values()) == theirs.book.filled
