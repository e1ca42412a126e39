"""Unknown outcomes, late answers, foreign orders: every fill counts once."""

from decimal import Decimal

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from levitrio.gateway.symbol_state import Block
from levitrio.records.journal.entries import IntentEntry, OutcomeEntry
from levitrio.trading.orders import Order, OrderStatus, Side
from levitrio.trading.risk import Permission, TradingState
from levitrio.venues.base import MassStatus, OrderReport
from tests.factories import make_fill
from tests.fakes import FakeJournal
from tests.gateway.harness import FLAT, LONG, Harness


def unknown(order: Order) -> OrderReport:
    return OrderReport(client_id=order.client_id, status=OrderStatus.UNKNOWN, reason="-1007")


def with_trade_id(report: OrderReport, trade_id: int) -> OrderReport:
    (fill,) = report.fills
    return attrs.evolve(report, fills=(attrs.evolve(fill, trade_id=trade_id),))


def statuses(harness: Harness) -> list[OrderStatus]:
    return [e.status for e in harness.journal.of(OutcomeEntry) if isinstance(e, OutcomeEntry)]


async def test_an_unknown_order_is_asked_about_and_adopted(autojump_clock: MockClock) -> None:
    """The answer was lost, the order was filled: found by its id, applied once, sent once."""
    harness = Harness()
    harness.broker.answer = unknown
    async with harness.running():
        submit = harness.admit()
        submit(LONG)
        await trio.sleep(2)
        assert Block.UNKNOWN_OUTCOME in harness.symbol_state.blocks
        assert harness.symbol_state.position.is_flat
        (order,) = harness.broker.placed
        harness.broker.known[order.client_id] = harness.broker.filled(order)
        await harness.gateway.drain()
        assert harness.symbol_state.blocks == set()
    assert harness.symbol_state.position.quantity == Decimal(20)
    assert statuses(harness) == [OrderStatus.UNKNOWN, OrderStatus.FILLED]


async def test_no_such_order_is_proof_only_later(autojump_clock: MockClock) -> None:
    """Until the receive window has passed "none" proves nothing; then it is decided anew."""
    harness = Harness()
    harness.broker.answer = unknown
    async with harness.running():
        submit = harness.admit()
        began = trio.current_time()
        submit(LONG)
        await harness.gateway.drain()
        assert trio.current_time() - began >= harness.broker.proof_after
        assert statuses(harness)[-1] is OrderStatus.LOST
        harness.broker.answer = None
        submit(LONG)
        await harness.gateway.drain()
    first, second = harness.broker.placed
    assert first.client_id != second.client_id
    assert harness.symbol_state.position.quantity == Decimal(20)


async def test_a_late_arrival_is_found(autojump_clock: MockClock) -> None:
    """First "none", then the order arrives after all, in its window: adopted, not repeated."""
    harness = Harness()
    harness.broker.answer = unknown
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(4.0)
        (order,) = harness.broker.placed
        harness.broker.known[order.client_id] = harness.broker.filled(order)
        await harness.gateway.drain()
    assert len(harness.broker.placed) == 1
    assert harness.symbol_state.position.quantity == Decimal(20)


async def test_a_blocked_symbol_sends_nothing_not_even_a_flatten(
    autojump_clock: MockClock,
) -> None:
    """While an outcome is unknown the newest target waits, and is decided when it is known."""
    harness = Harness()
    harness.broker.answer = unknown
    async with harness.running():
        submit = harness.admit()
        submit(LONG)
        await trio.sleep(1)
        submit(FLAT)
        harness.gateway.flatten("BTCUSDT")
        await trio.sleep(1)
        assert len(harness.broker.placed) == 1
        (order,) = harness.broker.placed
        harness.broker.answer = None
        harness.broker.known[order.client_id] = harness.broker.filled(order)
        await harness.gateway.drain()
    assert [order.side for order in harness.broker.placed] == [Side.BUY, Side.SELL]
    assert harness.symbol_state.position.is_flat


async def test_a_fill_reported_twice_is_applied_once(autojump_clock: MockClock) -> None:
    """By the user stream before the answer, and by the answer: one trade id, one fill."""
    harness = Harness()
    harness.broker.delay = 1.0
    harness.broker.answer = lambda order: with_trade_id(harness.broker.filled(order), 7)
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(0.5)
        (order,) = harness.broker.placed
        early = with_trade_id(harness.broker.filled(order), 7)
        assert harness.broker.tell is not None
        harness.broker.tell("BTCUSDT", attrs.evolve(early, status=OrderStatus.PARTIALLY_FILLED))
        await trio.sleep(0.1)
        assert harness.symbol_state.position.quantity == Decimal(20)
        await harness.gateway.drain()
    assert harness.symbol_state.position.quantity == Decimal(20)
    assert len(harness.fills) == 1


async def test_a_fill_the_journal_has_is_not_applied(autojump_clock: MockClock) -> None:
    """A fill that the journal had already is not applied again."""
    harness = Harness()

    def answer(order: Order) -> OrderReport:
        report = with_trade_id(harness.broker.filled(order), 7)
        harness.journal.known_fills = tuple(report.fills)
        return report

    harness.broker.answer = answer
    async with harness.running():
        harness.admit()(LONG)
        await harness.gateway.drain()
    assert harness.symbol_state.position.is_flat


async def test_a_backward_status_proves_nothing(autojump_clock: MockClock) -> None:
    """An answer that contradicts what was proven is asked about again."""
    harness = Harness()
    answers = iter((OrderStatus.PARTIALLY_FILLED, OrderStatus.NEW, OrderStatus.FILLED))

    def answer(order: Order) -> OrderReport:
        return OrderReport(client_id=order.client_id, status=next(answers))

    harness.broker.answer = answer
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(0.05)
        (order,) = harness.broker.placed
        for _ in range(2):
            harness.broker.known[order.client_id] = answer(order)
            await trio.sleep(1)
        await harness.gateway.drain()
    assert statuses(harness) == [
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.UNKNOWN,
        OrderStatus.FILLED,
    ]
    assert len(harness.report.of("quarantine")) == 1


@pytest.mark.parametrize("how", ["stop", "halt", "pause"])
async def test_a_resting_entry_is_cancelled(how: str, autojump_clock: MockClock) -> None:
    """Stop, halt and pause cancel an entry that rests at the venue, within a second."""
    harness = Harness()
    harness.broker.answer = lambda order: OrderReport(
        client_id=order.client_id, status=OrderStatus.NEW
    )
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(0.05)
        (order,) = harness.broker.placed
        harness.broker.known[order.client_id] = OrderReport(
            client_id=order.client_id, status=OrderStatus.NEW
        )
        await trio.sleep(3)
        match how:
            case "stop":
                harness.gateway.permit("BTCUSDT", Permission.NONE)
            case "halt":
                await harness.gateway.set_trading_state(TradingState.HALTED, "drill")
            case _:
                harness.gateway.permit("BTCUSDT", Permission.EXITS)
        with trio.fail_after(1):
            await harness.gateway.drain()
    assert harness.broker.cancelled == [order]
    assert statuses(harness)[-1] is OrderStatus.CANCELED


async def test_reconciled_before_anything_is_sent(autojump_clock: MockClock) -> None:
    """While the venue cannot be asked nothing leaves; what was wanted meanwhile goes then."""
    harness = Harness()
    harness.broker.unavailable = "connection refused"
    async with harness.running(ready=False):
        submit = harness.admit()
        submit(LONG)
        await trio.sleep(10)
        assert harness.journal.of(IntentEntry) == []
        harness.broker.unavailable = None
        await harness.symbol_state.ready.wait()
        await harness.gateway.drain()
    assert len(harness.broker.placed) == 1
    assert harness.report.of("unreconciled")


async def test_a_missed_fill_of_ours_is_applied(autojump_clock: MockClock) -> None:
    """After a reconnect the venue shows a trade of one of our orders: journaled and applied."""
    harness = Harness(journal=FakeJournal(seq=9))
    async with harness.running():
        await harness.symbol_state.ready.wait()
        missed = make_fill(
            client_id="levi-0-9-0",
            quantity=3,
            venue="fake",
            trade_id=41,
        )
        harness.broker.now = MassStatus(trades=(missed,))
        assert harness.broker.lost is not None
        for _ in range(2):
            harness.broker.lost()
            assert Block.RECONCILING in harness.symbol_state.blocks
            await trio.sleep(1)
    assert harness.symbol_state.position.quantity == 3
    assert harness.symbol_state.last_trade_id == 41
    assert len(harness.report.of("reconciled")) == 1


@pytest.mark.parametrize("how", ["open order", "trade", "pushed"])
async def test_a_foreign_order_blocks_the_symbol(how: str, autojump_clock: MockClock) -> None:
    """After a foreign order or trade nothing leaves until the operator has looked."""
    harness = Harness()
    foreign = OrderReport(client_id="web_123", status=OrderStatus.NEW)
    trade = make_fill(
        client_id="",
        side=Side.SELL,
        price=1,
        quantity=5,
        venue="fake",
        trade_id=9,
    )
    if how == "open order":
        harness.broker.now = MassStatus(open_orders=(foreign,))
    elif how == "trade":
        harness.broker.now = MassStatus(trades=(trade,))
    async with harness.running():
        await harness.symbol_state.ready.wait()
        if how == "pushed":
            assert harness.broker.tell is not None
            harness.broker.tell("BTCUSDT", foreign)
        submit = harness.admit()
        submit(LONG)
        await harness.gateway.drain()
        assert harness.broker.placed == []
        assert harness.symbol_state.denials == {"foreign_order": 1}
        assert harness.symbol_state.position.is_flat
        harness.broker.now = MassStatus()
        harness.gateway.forgive("BTCUSDT")
        await wait_all_tasks_blocked()
        submit(LONG)
        await harness.gateway.drain()
    assert len(harness.broker.placed) == 1


async def test_resume_compares_again(autojump_clock: MockClock) -> None:
    """After a pause the venue is asked before the engine may open anything."""
    harness = Harness()
    async with harness.running():
        harness.admit()
        await harness.symbol_state.ready.wait()
        harness.gateway.permit("BTCUSDT", Permission.EXITS)
        harness.gateway.permit("BTCUSDT", Permission.ALL)
        assert Block.RECONCILING in harness.symbol_state.blocks
        await wait_all_tasks_blocked()
        assert harness.broker.asked == 2
        assert harness.symbol_state.blocks == set()


async def test_a_pushed_report_ends_no_order(autojump_clock: MockClock) -> None:
    """Fills in the venue's order, and "filled" only once the order itself was asked for.

    After a kill the journal must still ask about an order one of whose fills was never reported.
    """
    harness = Harness()
    harness.broker.answer = lambda order: OrderReport(
        client_id=order.client_id, status=OrderStatus.NEW
    )
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(0.05)
        (order,) = harness.broker.placed
        whole = harness.broker.filled(order)
        (fill,) = whole.fills
        parts = [attrs.evolve(fill, quantity=Decimal(10), trade_id=number) for number in (6, 7)]
        assert harness.broker.tell is not None
        for part in parts:
            harness.broker.tell("BTCUSDT", attrs.evolve(whole, fills=(part,)))
        harness.broker.known[order.client_id] = attrs.evolve(whole, fills=tuple(parts))
        await harness.gateway.drain()
    assert [fill.trade_id for fill in harness.fills] == [6, 7]
    assert statuses(harness)[:2] == [OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED]
    outcomes = [e for e in harness.journal.of(OutcomeEntry) if isinstance(e, OutcomeEntry)]
    ends = [e for e in outcomes if e.status is OrderStatus.FILLED]
    assert [len(end.fills) for end in ends] == [2]


async def test_a_cancel_is_tried_until_the_order_has_ended(autojump_clock: MockClock) -> None:
    """A halt while the venue cannot be reached: the order is cancelled as soon as it can be."""
    harness = Harness()
    harness.broker.answer = lambda order: OrderReport(
        client_id=order.client_id, status=OrderStatus.NEW
    )
    harness.broker.cancel_answer = unknown
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(0.05)
        (order,) = harness.broker.placed
        harness.broker.known[order.client_id] = harness.broker.answer(order)
        await harness.gateway.set_trading_state(TradingState.HALTED, "drill")
        await trio.sleep(20)
        tries = len(harness.broker.cancelled)
        assert 4 <= tries <= 12
        harness.broker.cancel_answer = None
        with trio.fail_after(6):
            await harness.gateway.drain()
    assert statuses(harness)[-1] is OrderStatus.CANCELED


async def test_a_resting_order_is_asked_about_ever_more_rarely(autojump_clock: MockClock) -> None:
    """The rate limit is shared: an order that rests for an hour costs about 720 queries."""
    harness = Harness()
    harness.broker.answer = lambda order: OrderReport(
        client_id=order.client_id, status=OrderStatus.NEW
    )
    async with harness.running():
        harness.admit()(LONG)
        await trio.sleep(0.05)
        (order,) = harness.broker.placed
        harness.broker.known[order.client_id] = harness.broker.answer(order)
        await trio.sleep(3600)
        assert 700 < harness.broker.questions < 750


@pytest.mark.parametrize("how", ["block", "close"])
async def test_not_even_a_flatten_leaves(how: str, autojump_clock: MockClock) -> None:
    """A reconnect or the end of the fleet while its intent becomes durable: withdrawn."""
    harness = Harness()
    async with harness.running():
        harness.admit()(LONG)
        await harness.gateway.drain()
        harness.journal.delay = 1.0
        harness.gateway.flatten("BTCUSDT")
        await trio.sleep(0.5)
        if how == "block":
            harness.symbol_state.block(Block.FOREIGN_ORDER)
        else:
            harness.gateway.close()
        await harness.gateway.drain()
    assert len(harness.broker.placed) == 1
    assert statuses(harness)[-1] is OrderStatus.CANCELED


async def test_nothing_is_decided_once_the_fleet_ends(autojump_clock: MockClock) -> None:
    """Signals and flattens that come, or waited for a comparison, leave no more."""
    harness = Harness()
    harness.broker.unavailable = "down"
    async with harness.running(ready=False):
        submit = harness.admit()
        submit(LONG)
        harness.gateway.close()
        submit(LONG)
        harness.broker.unavailable = None
        await harness.symbol_state.ready.wait()
        submit(LONG)
        await trio.sleep(5)
        await harness.gateway.drain()
    assert harness.journal.of(IntentEntry) == []
