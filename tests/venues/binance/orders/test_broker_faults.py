"""The broker when the venue or the line to it fails: what it believes, and what it sends."""

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from levitrio.trading.orders import OrderStatus, Side
from levitrio.venues.base import BrokerUnavailable
from levitrio.venues.binance.orders.credentials import Credentials
from levitrio.venues.binance.orders.session import RECV_WINDOW_MS
from levitrio.venues.simulator.exchange.accounts import ApiKey
from tests.venues.binance.broker_harness import API_KEY, SYMBOL, broker_harness
from tests.venues.binance.orders.test_signing import PRIVATE, PUBLIC


async def test_an_order_accepted_without_an_answer_is_unknown(autojump_clock: MockClock) -> None:
    """After -1007 the outcome is UNKNOWN, one question finds it, and it was sent once."""
    async with broker_harness() as harness:
        harness.fault(timeout_every=1)
        order = harness.order()
        report = await harness.broker.place(order)
        assert report.status is OrderStatus.UNKNOWN
        found = await harness.broker.query(order)
        assert found is not None
        assert found.status is OrderStatus.FILLED
        assert sum(fill.quantity for fill in found.fills) == order.quantity
        assert len(harness.account.orders) == 1


async def test_a_lost_reply_is_unknown_at_once(autojump_clock: MockClock) -> None:
    """A connection cut after the send does not let the order wait for a deadline."""
    async with broker_harness() as harness:
        harness.fault(lost_reply_every=1)
        order = harness.order()
        began = trio.current_time()
        assert (await harness.broker.place(order)).status is OrderStatus.UNKNOWN
        assert trio.current_time() - began < 1
        harness.fault()
        await harness.connected()
        found = await harness.broker.query(order)
        assert found is not None
        assert found.status is OrderStatus.FILLED
        assert sum(fill.quantity for fill in found.fills) == order.quantity


async def test_an_order_that_arrives_late_is_found_before_the_proof(
    autojump_clock: MockClock,
) -> None:
    """No such order, then it is there: what is absent is proof only after `proof_after`."""
    async with broker_harness() as harness:
        harness.fault(late_every=1, late_by=4.9)
        order = harness.order()
        sent = trio.current_time()
        assert (await harness.broker.place(order)).status is OrderStatus.UNKNOWN
        assert await harness.broker.query(order) is None
        await trio.sleep_until(sent + harness.broker.proof_after)
        found = await harness.broker.query(order)
        assert found is not None
        assert found.status is OrderStatus.FILLED


async def test_nothing_arrives_after_the_proof(autojump_clock: MockClock) -> None:
    """An order later than its window is dropped, so "no such order" stays true."""
    async with broker_harness() as harness:
        harness.fault(late_every=1, late_by=RECV_WINDOW_MS / 1000 + 0.5)
        order = harness.order()
        sent = trio.current_time()
        await harness.broker.place(order)
        await trio.sleep_until(sent + harness.broker.proof_after)
        assert await harness.broker.query(order) is None
        await trio.sleep(60)
        assert await harness.broker.query(order) is None


@pytest.mark.parametrize("skew_ms", [2_000, -2_000, 3_600_000, -30_000])
async def test_a_clock_that_jumped_is_measured_again(
    skew_ms: int, autojump_clock: MockClock
) -> None:
    """-1021 is a refusal that is certain: measured, sent again, and carried out once."""
    async with broker_harness() as harness:
        harness.fault(clock_skew_ms=skew_ms)
        assert (await harness.broker.place(harness.order())).status is OrderStatus.FILLED
        assert len(harness.account.orders) == 1


@pytest.mark.parametrize("status", [429, 418])
async def test_a_ban_is_honoured(status: int, autojump_clock: MockClock) -> None:
    """Refused for too much: nothing is sent or asked until the venue's time is over."""
    async with broker_harness() as harness:
        harness.fault(refuse=status, refuse_for=120.0)
        assert (await harness.broker.place(harness.order())).status is OrderStatus.REJECTED
        refused_at = trio.current_time()
        harness.fault()
        window = harness.simulator.venue.weights.window
        used = window.used(harness.simulator.venue.wall_ms())
        second = await harness.broker.place(harness.order(is_exit=True))
        assert second.status is OrderStatus.UNKNOWN
        assert "not sent" in second.reason
        with pytest.raises(BrokerUnavailable, match="may not be asked"):
            await harness.broker.mass_status(SYMBOL, None)
        assert window.used(harness.simulator.venue.wall_ms()) == used
        await trio.sleep_until(refused_at + 121)
        assert (await harness.broker.place(harness.order())).status is OrderStatus.FILLED


async def test_a_server_error_is_unknown(autojump_clock: MockClock) -> None:
    """5xx says nothing about whether it was carried out."""
    async with broker_harness() as harness:
        harness.fault(refuse=500)
        assert (await harness.broker.place(harness.order())).status is OrderStatus.UNKNOWN
        found = await harness.broker.query(harness.order())
        assert found is not None
        assert found.status is OrderStatus.UNKNOWN


async def test_events_before_the_answer_tell_a_fill_once_each(autojump_clock: MockClock) -> None:
    """A fill by event and by answer is one fill, one id, and the event is handed on once."""
    async with broker_harness() as harness:
        harness.fault(events_first=True)
        report = await harness.broker.place(harness.order())
        await trio.testing.wait_all_tasks_blocked()
        heard = [fill for _, each in harness.listener.reports for fill in each.fills]
        assert [fill.trade_id for fill in heard] == [fill.trade_id for fill in report.fills]


async def test_a_broken_connection_is_replaced_and_told(autojump_clock: MockClock) -> None:
    """After a reconnect the listener compares all symbols; not before."""
    async with broker_harness() as harness:
        assert harness.listener.missed == []
        await harness.cut()
        assert (await harness.broker.place(harness.order())).status is OrderStatus.UNKNOWN
        await harness.connected()
        assert len(harness.listener.missed) == 1
        assert (await harness.broker.place(harness.order())).status is OrderStatus.FILLED
        assert harness.kinds.count("broker_disconnected") == 1


async def test_an_old_connection_is_replaced_while_it_works(autojump_clock: MockClock) -> None:
    """Before the venue's 24 hours a successor takes over, and nothing was missed."""
    async with broker_harness(renew_after=600) as harness:
        await trio.sleep(660)
        assert len(harness.streams) == 2
        assert harness.listener.missed == []
        assert "broker_renewed" in harness.kinds
        assert (await harness.broker.place(harness.order())).status is OrderStatus.FILLED


async def test_a_shutdown_is_anticipated(autojump_clock: MockClock) -> None:
    """serverShutdown: the successor listens before the venue closes."""
    async with broker_harness() as harness:
        harness.fault(cut_after=600.0, shutdown_notice=30.0)
        await trio.sleep(580)
        assert len(harness.streams) == 2
        harness.fault()
        await trio.sleep(60)
        assert harness.listener.missed == []
        assert "broker_disconnected" not in harness.kinds


async def test_a_venue_that_is_down_is_tried_again(autojump_clock: MockClock) -> None:
    """Pauses grow; once it is up, everything works without anybody's help."""
    async with broker_harness(connect=False) as harness:
        harness.is_down = True
        await trio.sleep(300)
        tries = harness.kinds.count("broker_disconnected")
        assert 5 <= tries <= 12
        harness.is_down = False
        await harness.connected()
        assert (await harness.broker.place(harness.order())).status is OrderStatus.FILLED


async def test_a_key_that_is_refused_stops_trading(autojump_clock: MockClock) -> None:
    """A wrong secret: told once and loudly, tried again rarely, and the key is in no text."""
    wrong = Credentials.of(API_KEY, "W" + "rongSecretOfTheRightLength123")
    async with broker_harness(credentials=wrong, connect=False) as harness:
        await trio.sleep(600)
        assert harness.listener.halts
        assert harness.kinds.count("broker_unauthorized") == 1
        assert len(harness.streams) <= 11
        told = repr(harness.events) + repr(harness.listener.halts)
        assert API_KEY not in told
        assert "-1022" in told


async def test_ed25519_logs_on(autojump_clock: MockClock) -> None:
    """With an Ed25519 key the session is logged on, and orders need no signature."""
    pytest.importorskip("cryptography")
    async with broker_harness(
        credentials=Credentials.of(API_KEY, PRIVATE), keys=(ApiKey.of(API_KEY, PUBLIC),)
    ) as harness:
        report = await harness.broker.place(harness.order())
        assert report.status is OrderStatus.FILLED
        await trio.testing.wait_all_tasks_blocked()
        assert harness.listener.reports


async def test_entries_leave_room_for_exits(autojump_clock: MockClock) -> None:
    """Near the venue's order limit only what closes a position goes out."""
    async with broker_harness() as harness:
        reports = [await harness.broker.place(harness.resting()) for _ in range(45)]
        sent = [each for each in reports if each.status is OrderStatus.NEW]
        assert len(sent) == 40
        assert all("exits" in each.reason for each in reports if each not in sent)
        exit_order = harness.order(Side.SELL, is_exit=True)
        assert (await harness.broker.place(exit_order)).status is OrderStatus.FILLED
        await trio.sleep(10)
        assert (await harness.broker.place(harness.order())).status is OrderStatus.FILLED


async def test_our_own_id_again_is_found_not_refused(autojump_clock: MockClock) -> None:
    """ "Duplicate order sent." means the order is there: only a question tells what it is."""
    async with broker_harness() as harness:
        order = harness.resting()
        await harness.broker.place(order)
        assert (await harness.broker.place(order)).status is OrderStatus.UNKNOWN
        found = await harness.broker.query(order)
        assert found is not None
        assert found.status is OrderStatus.NEW


async def test_cancelled_while_an_answer_is_awaited(autojump_clock: MockClock) -> None:
    """Cancelling `place` leaves the connection good, and the order where it is."""
    async with broker_harness() as harness:
        order = harness.resting()
        with trio.CancelScope() as scope:
            scope.cancel()
            await harness.broker.place(order)
        other = harness.order()
        assert (await harness.broker.place(other)).status is OrderStatus.FILLED


async def test_a_slow_question_does_not_hold_an_order(autojump_clock: MockClock) -> None:
    """While questions wait for their turn, an order goes out at once."""
    async with broker_harness() as harness:
        order = harness.resting()
        await harness.broker.place(order)
        async with trio.open_nursery() as nursery:
            for _ in range(400):
                nursery.start_soon(harness.broker.query, order)
            await trio.testing.wait_all_tasks_blocked()
            began = trio.current_time()
            assert (await harness.broker.place(harness.order())).status is OrderStatus.FILLED
            assert trio.current_time() - began < 0.1
            nursery.cancel_scope.cancel()
