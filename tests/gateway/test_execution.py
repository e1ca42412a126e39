"""Unknown outcomes, late answers, strangers: nothing lost, nothing twice, nothing invented."""

from decimal import Decimal

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from levitrio.gateway.desk import Block
from levitrio.records.entries import IntentEntry, OutcomeEntry
from levitrio.trading.orders import Fill, Order, OrderStatus, Side
from levitrio.trading.risk import Permission, TradingState
from levitrio.venues.base import OrderReport, Standing
from tests.fakes import FakeJournal
from tests.gateway.bench import FLAT, LONG, Bench


def unknown(order: Order) -> OrderReport:
    return OrderReport(client_id=order.client_id, status=OrderStatus.UNKNOWN, reason="-1007")


def with_trade_id(report: OrderReport, trade_id: int) -> OrderReport:
    (fill,) = report.fills
    return attrs.evolve(report, fills=(attrs.evolve(fill, trade_id=trade_id),))


def statuses(bench: Bench) -> list[OrderStatus]:
    return [e.status for e in bench.journal.of(OutcomeEntry) if isinstance(e, OutcomeEntry)]


async def test_an_unknown_order_is_asked_about_and_adopted(autojump_clock: MockClock) -> None:
    """F45: the answer was lost, the order was filled: found by its id, booked once, sent once."""
    bench = Bench()
    bench.broker.answer = unknown
    async with bench.running():
        submit = bench.admit()
        submit(LONG)
        await trio.sleep(2)
        assert Block.UNKNOWN_OUTCOME in bench.desk.blocks
        assert bench.desk.book.is_flat
        (order,) = bench.broker.placed
        bench.broker.known[order.client_id] = bench.broker.filled(order)
        await bench.gateway.drain()
        assert bench.desk.blocks == set()
    assert bench.desk.book.position == Decimal(20)
    assert statuses(bench) == [OrderStatus.UNKNOWN, OrderStatus.FILLED]


async def test_no_such_order_is_proof_only_later(autojump_clock: MockClock) -> None:
    """F46: until the receive window has passed "none" proves nothing; then it is decided anew."""
    bench = Bench()
    bench.broker.answer = unknown
    async with bench.running():
        submit = bench.admit()
        began = trio.current_time()
        submit(LONG)
        await bench.gateway.drain()
        assert trio.current_time() - began >= bench.broker.proof_after
        assert statuses(bench)[-1] is OrderStatus.LOST
        bench.broker.answer = None
        submit(LONG)
        await bench.gateway.drain()
    first, second = bench.broker.placed
    assert first.client_id != second.client_id
    assert bench.desk.book.position == Decimal(20)


async def test_a_late_arrival_is_found(autojump_clock: MockClock) -> None:
    """F47: "none" first, then the order arrives after all, in its window: adopted, not repeated."""
    bench = Bench()
    bench.broker.answer = unknown
    async with bench.running():
        bench.admit()(LONG)
        await trio.sleep(4.0)
        (order,) = bench.broker.placed
        bench.broker.known[order.client_id] = bench.broker.filled(order)
        await bench.gateway.drain()
    assert len(bench.broker.placed) == 1
    assert bench.desk.book.position == Decimal(20)


async def test_a_blocked_symbol_sends_nothing_not_even_a_flatten(
    autojump_clock: MockClock,
) -> None:
    """While an outcome is unknown the newest wish waits, and is decided with the truth."""
    bench = Bench()
    bench.broker.answer = unknown
    async with bench.running():
        submit = bench.admit()
        submit(LONG)
        await trio.sleep(1)
        submit(FLAT)
        bench.gateway.flatten("BTCUSDT")
        await trio.sleep(1)
        assert len(bench.broker.placed) == 1
        (order,) = bench.broker.placed
        bench.broker.answer = None
        bench.broker.known[order.client_id] = bench.broker.filled(order)
        await bench.gateway.drain()
    assert [order.side for order in bench.broker.placed] == [Side.BUY, Side.SELL]
    assert bench.desk.book.is_flat


async def test_a_fill_told_twice_is_booked_once(autojump_clock: MockClock) -> None:
    """F49: by the user stream before the answer, and by the answer: one trade id, one fill."""
    bench = Bench()
    bench.broker.delay = 1.0
    bench.broker.answer = lambda order: with_trade_id(bench.broker.filled(order), 7)
    async with bench.running():
        bench.admit()(LONG)
        await trio.sleep(0.5)
        (order,) = bench.broker.placed
        early = with_trade_id(bench.broker.filled(order), 7)
        assert bench.broker.tell is not None
        bench.broker.tell("BTCUSDT", attrs.evolve(early, status=OrderStatus.PARTIALLY_FILLED))
        await trio.sleep(0.1)
        assert bench.desk.book.position == Decimal(20)
        await bench.gateway.drain()
    assert bench.desk.book.position == Decimal(20)
    assert len(bench.fills) == 1


async def test_what_the_journal_had_already_is_not_booked(autojump_clock: MockClock) -> None:
    """The journal's word counts over the memory's: a fill it knows is no news."""
    bench = Bench()

    def answer(order: Order) -> OrderReport:
        report = with_trade_id(bench.broker.filled(order), 7)
        bench.journal.known_fills = tuple(report.fills)
        return report

    bench.broker.answer = answer
    async with bench.running():
        bench.admit()(LONG)
        await bench.gateway.drain()
    assert bench.desk.book.is_flat


async def test_a_backward_status_proves_nothing(autojump_clock: MockClock) -> None:
    """B099: an answer that contradicts what was proven is asked about again."""
    bench = Bench()
    answers = iter((OrderStatus.PARTIALLY_FILLED, OrderStatus.NEW, OrderStatus.FILLED))

    def answer(order: Order) -> OrderReport:
        return OrderReport(client_id=order.client_id, status=next(answers))

    bench.broker.answer = answer
    async with bench.running():
        bench.admit()(LONG)
        await trio.sleep(0.05)
        (order,) = bench.broker.placed
        for _ in range(2):
            bench.broker.known[order.client_id] = answer(order)
            await trio.sleep(1)
        await bench.gateway.drain()
    assert statuses(bench) == [
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.UNKNOWN,
        OrderStatus.FILLED,
    ]
    assert len(bench.report.of("quarantine")) == 1


@pytest.mark.parametrize("how", ["stop", "halt", "pause"])
async def test_a_resting_entry_is_cancelled(how: str, autojump_clock: MockClock) -> None:
    """Stop, halt and pause cancel an entry that rests at the venue, within a second."""
    bench = Bench()
    bench.broker.answer = lambda order: OrderReport(
        client_id=order.client_id, status=OrderStatus.NEW
    )
    async with bench.running():
        bench.admit()(LONG)
        await trio.sleep(0.05)
        (order,) = bench.broker.placed
        bench.broker.known[order.client_id] = OrderReport(
            client_id=order.client_id, status=OrderStatus.NEW
        )
        await trio.sleep(3)
        match how:
            case "stop":
                bench.gateway.permit("BTCUSDT", Permission.NONE)
            case "halt":
                await bench.gateway.set_trading_state(TradingState.HALTED, "drill")
            case _:
                bench.gateway.permit("BTCUSDT", Permission.EXITS)
        with trio.fail_after(1):
            await bench.gateway.drain()
    assert bench.broker.cancelled == [order]
    assert statuses(bench)[-1] is OrderStatus.CANCELED


async def test_reconciled_before_anything_is_sent(autojump_clock: MockClock) -> None:
    """B102: while the venue cannot be asked nothing leaves; what was wanted meanwhile goes then."""
    bench = Bench()
    bench.broker.unavailable = "connection refused"
    async with bench.running(ready=False):
        submit = bench.admit()
        submit(LONG)
        await trio.sleep(10)
        assert bench.journal.of(IntentEntry) == []
        bench.broker.unavailable = None
        await bench.desk.ready.wait()
        await bench.gateway.drain()
    assert len(bench.broker.placed) == 1
    assert bench.report.of("unreconciled")


async def test_a_missed_fill_of_ours_is_booked(autojump_clock: MockClock) -> None:
    """After a reconnect the venue shows a trade of one of our orders: journaled and booked."""
    bench = Bench(journal=FakeJournal(seq=9))
    async with bench.running():
        await bench.desk.ready.wait()
        missed = Fill(
            client_id="levi-0-9-0",
            symbol="BTCUSDT",
            side=Side.BUY,
            price=Decimal(100),
            quantity=Decimal(3),
            fee=Decimal(0),
            fee_asset="USDT",
            time_ms=0,
            venue="fake",
            trade_id=41,
        )
        bench.broker.now = Standing(trades=(missed,))
        assert bench.broker.lost is not None
        for _ in range(2):
            bench.broker.lost()
            assert Block.RECONCILING in bench.desk.blocks
            await trio.sleep(1)
    assert bench.desk.book.position == 3
    assert bench.desk.last_trade_id == 41
    assert len(bench.report.of("reconciled")) == 1


@pytest.mark.parametrize("how", ["open order", "trade", "told"])
async def test_a_stranger_blocks_the_symbol(how: str, autojump_clock: MockClock) -> None:
    """B100, F51: somebody else's order or trade: nothing leaves until the operator has looked."""
    bench = Bench()
    stranger = OrderReport(client_id="web_123", status=OrderStatus.NEW)
    trade = Fill(
        client_id="",
        symbol="BTCUSDT",
        side=Side.SELL,
        price=Decimal(1),
        quantity=Decimal(5),
        fee=Decimal(0),
        fee_asset="USDT",
        time_ms=0,
        venue="fake",
        trade_id=9,
    )
    if how == "open order":
        bench.broker.now = Standing(open_orders=(stranger,))
    elif how == "trade":
        bench.broker.now = Standing(trades=(trade,))
    async with bench.running():
        await bench.desk.ready.wait()
        if how == "told":
            assert bench.broker.tell is not None
            bench.broker.tell("BTCUSDT", stranger)
        submit = bench.admit()
        submit(LONG)
        await bench.gateway.drain()
        assert bench.broker.placed == []
        assert bench.desk.denials == {"foreign_order": 1}
        assert bench.desk.book.is_flat
        bench.broker.now = Standing()
        bench.gateway.forgive("BTCUSDT")
        await wait_all_tasks_blocked()
        submit(LONG)
        await bench.gateway.drain()
    assert len(bench.broker.placed) == 1


async def test_resume_compares_again(autojump_clock: MockClock) -> None:
    """After a pause the venue is asked before the engine may open anything."""
    bench = Bench()
    async with bench.running():
        bench.admit()
        await bench.desk.ready.wait()
        bench.gateway.permit("BTCUSDT", Permission.EXITS)
        bench.gateway.permit("BTCUSDT", Permission.ALL)
        assert Block.RECONCILING in bench.desk.blocks
        await wait_all_tasks_blocked()
        assert bench.broker.asked == 2
        assert bench.desk.blocks == set()


async def test_what_is_told_unasked_ends_no_order(autojump_clock: MockClock) -> None:
    """Fills in the venue's order, and "filled" only once the order itself was asked for.

    After a kill the journal must still ask about an order one of whose fills was never told.
    """
    bench = Bench()
    bench.broker.answer = lambda order: OrderReport(
        client_id=order.client_id, status=OrderStatus.NEW
    )
    async with bench.running():
        bench.admit()(LONG)
        await trio.sleep(0.05)
        (order,) = bench.broker.placed
        whole = bench.broker.filled(order)
        (fill,) = whole.fills
        parts = [attrs.evolve(fill, quantity=Decimal(10), trade_id=number) for number in (6, 7)]
        assert bench.broker.tell is not None
        for part in parts:
            bench.broker.tell("BTCUSDT", attrs.evolve(whole, fills=(part,)))
        bench.broker.known[order.client_id] = attrs.evolve(whole, fills=tuple(parts))
        await bench.gateway.drain()
    assert [fill.trade_id for fill in bench.fills] == [6, 7]
    assert statuses(bench)[:2] == [OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED]
    outcomes = [e for e in bench.journal.of(OutcomeEntry) if isinstance(e, OutcomeEntry)]
    ends = [e for e in outcomes if e.status is OrderStatus.FILLED]
    assert [len(end.fills) for end in ends] == [2]


async def test_a_cancel_is_tried_until_the_order_has_ended(autojump_clock: MockClock) -> None:
    """A halt while the venue cannot be reached: the order is cancelled as soon as it can be."""
    bench = Bench()
    bench.broker.answer = lambda order: OrderReport(
        client_id=order.client_id, status=OrderStatus.NEW
    )
    bench.broker.cancel_answer = unknown
    async with bench.running():
        bench.admit()(LONG)
        await trio.sleep(0.05)
        (order,) = bench.broker.placed
        bench.broker.known[order.client_id] = bench.broker.answer(order)
        await bench.gateway.set_trading_state(TradingState.HALTED, "drill")
        await trio.sleep(20)
        tries = len(bench.broker.cancelled)
        assert 4 <= tries <= 12
        bench.broker.cancel_answer = None
        with trio.fail_after(6):
            await bench.gateway.drain()
    assert statuses(bench)[-1] is OrderStatus.CANCELED


async def test_a_resting_order_is_asked_about_ever_more_rarely(autojump_clock: MockClock) -> None:
    """The venue's weight is for everybody: an hour of rest costs about 720 questions."""
    bench = Bench()
    bench.broker.answer = lambda order: OrderReport(
        client_id=order.client_id, status=OrderStatus.NEW
    )
    async with bench.running():
        bench.admit()(LONG)
        await trio.sleep(0.05)
        (order,) = bench.broker.placed
        bench.broker.known[order.client_id] = bench.broker.answer(order)
        await trio.sleep(3600)
        assert 700 < bench.broker.questions < 750


@pytest.mark.parametrize("how", ["block", "close"])
async def test_not_even_a_flatten_leaves(how: str, autojump_clock: MockClock) -> None:
    """A reconnect or the end of the fleet while its intent becomes durable: withdrawn."""
    bench = Bench()
    async with bench.running():
        bench.admit()(LONG)
        await bench.gateway.drain()
        bench.journal.delay = 1.0
        bench.gateway.flatten("BTCUSDT")
        await trio.sleep(0.5)
        if how == "block":
            bench.desk.block(Block.FOREIGN_ORDER)
        else:
            bench.gateway.close()
        await bench.gateway.drain()
    assert len(bench.broker.placed) == 1
    assert statuses(bench)[-1] is OrderStatus.CANCELED


async def test_nothing_is_decided_once_the_fleet_ends(autojump_clock: MockClock) -> None:
    """Signals and flattens that come, or waited for a comparison, leave no more."""
    bench = Bench()
    bench.broker.unavailable = "down"
    async with bench.running(ready=False):
        submit = bench.admit()
        submit(LONG)
        bench.gateway.close()
        submit(LONG)
        bench.broker.unavailable = None
        await bench.desk.ready.wait()
        submit(LONG)
        await trio.sleep(5)
        await bench.gateway.drain()
    assert bench.journal.of(IntentEntry) == []
