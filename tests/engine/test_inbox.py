"""The inbox against a plain model, and each place where its consumer can stop."""

from collections.abc import Callable, Iterable

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from levitrio.engine.inbox import Inbox
from levitrio.trading.market import MarketEvent, Quote
from tests.factories import make_bar, make_quote, make_trade


class Model:
    """The same rules, written for clearness instead of speed."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.events: list[MarketEvent] = []
        self.is_open = True
        self.put_count = self.delivered = self.dropped = self.conflated = self.discarded = 0

    def put(self, event: MarketEvent) -> None:
        self.put_count += 1
        if not self.is_open:
            self.discarded += 1
            return
        if isinstance(event, Quote):
            kept: list[MarketEvent] = [old for old in self.events if not isinstance(old, Quote)]
            self.conflated += len(self.events) - len(kept)
            self.events = kept
        else:
            others = [old for old in self.events if not isinstance(old, Quote)]
            if len(others) >= self.capacity:
                self.events.remove(others[0])
                self.dropped += 1
        self.events.append(event)

    def pop(self) -> MarketEvent | None:
        if not self.events:
            return None
        self.delivered += 1
        return self.events.pop(0)

    def close(self) -> None:
        self.is_open = False
        self.discarded += len(self.events)
        self.events = []

    def open(self) -> None:
        self.is_open = True


@given(
    capacity=st.integers(1, 5),
    steps=st.lists(
        st.sampled_from(["trade", "trade", "bar", "quote", "quote", "pop", "pop", "close", "open"]),
        max_size=200,
    ),
)
def test_inbox_is_its_model(capacity: int, steps: list[str]) -> None:
    """Whatever is put, popped, opened and closed: same events, same counts, bounded memory."""
    inbox = Inbox(capacity)
    model = Model(capacity)
    make: dict[str, Callable[[int], MarketEvent]] = {
        "trade": make_trade,
        "quote": make_quote,
        "bar": make_bar,
    }
    for n, step in enumerate(steps):
        if step in make:
            event = make[step](n)
            inbox.put(event)
            model.put(event)
        elif step == "pop":
            expected = model.pop()
            if expected is None:
                with pytest.raises(trio.WouldBlock):
                    inbox.pop()
            else:
                assert inbox.pop() is expected
        elif step == "close":
            inbox.close()
            model.close()
        else:
            inbox.open()
            model.open()
        seen = inbox.statistics()
        assert len(inbox) == len(model.events) == seen.queued
        assert seen.delivered == model.delivered
        assert seen.dropped == model.dropped
        assert seen.conflated == model.conflated
        assert seen.discarded == model.discarded
        assert model.put_count == (
            seen.delivered + seen.dropped + seen.conflated + seen.discarded + seen.queued
        )
        assert len(inbox._queue) <= 2 * capacity + 1
    assert list(inbox.drain()) == model.events


def test_same_quote_object_twice() -> None:
    """A feed that repeats one quote object gets it delivered once, at its latest place."""
    inbox = Inbox()
    same, between = make_quote(1), make_trade(2)
    fill(inbox, [same, between, same])
    assert list(inbox.drain()) == [between, same]
    assert inbox.statistics().conflated == 1


def fill(inbox: Inbox, events: Iterable[MarketEvent]) -> None:
    for event in events:
        inbox.put(event)


def test_overflow_keeps_an_unread_quote() -> None:
    """The oldest trade is dropped even when the latest quote is queued before it."""
    inbox = Inbox(2)
    first = make_quote(0)
    fill(inbox, [first, make_trade(1), make_trade(2), make_trade(3)])
    assert list(inbox.drain()) == [first, make_trade(2), make_trade(3)]


def test_drain_leaves_the_rest_to_the_next_incarnation() -> None:
    """A consumer that crashes in the middle of a batch loses only the event that crashed it."""
    inbox = Inbox()
    fill(inbox, [make_trade(n) for n in range(5)])

    def die() -> None:
        for event in inbox.drain():
            if event == make_trade(2):
                raise RuntimeError("the strategy's own")

    with pytest.raises(RuntimeError, match="own"):
        die()
    assert list(inbox.drain()) == [make_trade(3), make_trade(4)]
    assert inbox.statistics().delivered_trades == 5


def test_drain_is_one_batch() -> None:
    """What arrives while a batch is worked on belongs to the next, so a batch ends."""
    inbox = Inbox()
    fill(inbox, [make_trade(0), make_trade(1)])
    seen = []
    for event in inbox.drain():
        seen.append(event)
        inbox.put(make_trade(len(seen) + 10))
    assert seen == [make_trade(0), make_trade(1)]
    assert len(inbox) == 2


def test_drain_of_an_inbox_closed_meanwhile() -> None:
    """Closing in the middle of a batch ends the batch without an error."""
    inbox = Inbox()
    fill(inbox, [make_trade(0), make_trade(1)])
    batch = inbox.drain()
    next(batch)
    inbox.close()
    assert list(batch) == []


def test_capacity_is_checked() -> None:
    """A capacity below 1 is refused when the inbox is made."""
    with pytest.raises(ValueError, match="at least 1"):
        Inbox(0)


async def test_wait_wakes_on_put(autojump_clock: trio.testing.MockClock) -> None:
    """A parked consumer is woken by the first event, and gets the whole batch."""
    inbox = Inbox()
    seen: list[MarketEvent] = []

    async def consume() -> None:
        await inbox.wait()
        seen.extend(inbox.drain())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(consume)
        await trio.testing.wait_all_tasks_blocked()
        fill(inbox, [make_trade(0), make_quote(1), make_trade(2)])
    assert seen == [make_trade(0), make_quote(1), make_trade(2)]


async def test_wake_without_an_event() -> None:
    """`wake` ends a wait without an event; without a waiting consumer it does nothing."""
    inbox = Inbox()
    inbox.wake()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(inbox.wait)
        await trio.testing.wait_all_tasks_blocked()
        inbox.wake()
    assert len(inbox) == 0


async def test_wait_is_a_checkpoint_when_full() -> None:
    """With events waiting, `wait` returns but lets others run and lets cancellation in."""
    inbox = Inbox()
    inbox.put(make_trade(0))
    with trio.testing.assert_checkpoints():
        await inbox.wait()
    with trio.CancelScope() as scope:
        scope.cancel()
        await inbox.wait()
    assert scope.cancelled_caught
    assert len(inbox) == 1


async def test_cancelled_wait_loses_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """Cancelled while parked, the inbox serves the next waiter as if nothing had been."""
    inbox = Inbox()
    with trio.move_on_after(1) as scope:
        await inbox.wait()
    assert scope.cancelled_caught
    inbox.put(make_trade(0))
    await inbox.wait()
    assert inbox.pop() == make_trade(0)


async def test_cancelled_in_the_moment_of_waking() -> None:
    """Cancelled after the event came but before the consumer ran: the event stays queued."""
    inbox = Inbox()
    scope = trio.CancelScope()

    async def consume() -> None:
        with scope:
            await inbox.wait()
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(consume)
        await trio.testing.wait_all_tasks_blocked()
        inbox.put(make_trade(0))
        scope.cancel()
    assert len(inbox) == 1


async def test_two_waiters_are_a_bug() -> None:
    """An inbox has one consumer; a second one gets an error and the first is not disturbed."""
    inbox = Inbox()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(inbox.wait)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await inbox.wait()
        inbox.put(make_trade(0))


async def test_closed_inbox_does_not_wake(autojump_clock: trio.testing.MockClock) -> None:
    """Events put while closed are discarded and wake no consumer; opened, the inbox works again."""
    inbox = Inbox()
    inbox.close()
    with trio.move_on_after(1) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(inbox.wait)
            await trio.testing.wait_all_tasks_blocked()
            inbox.put(make_trade(0))
    assert scope.cancelled_caught
    inbox.open()
    inbox.put(make_trade(1))
    await inbox.wait()
    assert list(inbox.drain()) == [make_trade(1)]
