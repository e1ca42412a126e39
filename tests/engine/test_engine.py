"""One incarnation in virtual time: what the strategy is called with, and what it may do."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from levitrio.engine.engine import BATCH, Engine
from levitrio.engine.inbox import Inbox
from levitrio.strategies import Signal, Strategy
from levitrio.trading.clock import LiveClock, TapeClock
from levitrio.trading.market import Bar, Quote, Trade
from levitrio.trading.orders import Fill
from tests.factories import make_fill, make_trade

LONG = Signal(side="long")


FILL = make_fill(
    client_id="a",
    price=1,
)


class Recorder(Strategy):
    """Writes down what it is called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []

    def on_trade(self, trade: Trade) -> Signal | None:
        self.calls.append(("trade", trade.trade_id))
        return None

    def on_quote(self, quote: Quote) -> None:
        self.calls.append(("quote", quote.update_id))

    def on_bar(self, bar: Bar) -> None:
        self.calls.append(("bar", bar.open_time_ms))

    def on_cycle(self, now: datetime) -> Signal | None:
        self.calls.append(("cycle", now))
        return None

    def on_fill(self, fill: Fill) -> None:
        self.calls.append(("fill", fill.client_id))

    def of(self, kind: str) -> list[object]:
        return [value for found, value in self.calls if found == kind]


@attrs.define(eq=False)
class Harness:
    """An engine between a hand-fed inbox and a list of signals."""

    strategy: Strategy
    clock: TapeClock | LiveClock = attrs.field(factory=TapeClock)
    saved_state: Any = None
    signals: list[Signal] = attrs.field(factory=list)
    inbox: Inbox = attrs.field(factory=Inbox)
    engine: Engine = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.engine = Engine(
            symbol="BTCUSDT",
            make_strategy=lambda: self.strategy,
            inbox=self.inbox,
            submit=self.signals.append,
            market_clock=self.clock,
            cycle_interval=1.0,
            longest_nap=20.0,
            saved_state=self.saved_state,
            heartbeat=0.0,
        )

    def put(self, event: Trade | Quote | Bar) -> None:
        self.clock.see(event)
        self.inbox.put(event)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            started = trio.Event()
            nursery.start_soon(self.engine.run, started.set)
            await started.wait()
            yield
            nursery.cancel_scope.cancel()


async def test_events_arrive_in_order(autojump_clock: MockClock) -> None:
    """Trades, quotes and bars reach their own method in the order they were put."""
    recorder = Recorder()
    harness = Harness(recorder)
    async with harness.running():
        harness.put(make_trade(1))
        harness.put(Quote.of("BTCUSDT", "1", "2", update_id=5))
        harness.put(Bar.of("BTCUSDT", "1", open_time=60_000))
        harness.put(make_trade(2, time_ms=120_001))
        await wait_all_tasks_blocked()
    events = [call for call in recorder.calls if call[0] != "cycle"]
    assert events == [("trade", 1), ("quote", 5), ("bar", 60_000), ("trade", 2)]


async def test_a_long_queue_lets_others_run(autojump_clock: MockClock) -> None:
    """After each batch the other tasks get their turn."""
    harness = Harness(Recorder())
    turns = 0

    async def neighbour() -> None:
        nonlocal turns
        while len(harness.inbox):
            turns += 1
            await trio.lowlevel.checkpoint()

    for i in range(1, 10 * BATCH):
        harness.put(make_trade(i))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(neighbour)
        async with harness.running():
            await wait_all_tasks_blocked()
    assert turns >= 9


async def test_signals_of_plain_and_async_methods(autojump_clock: MockClock) -> None:
    """Both kinds of method may answer with a signal."""

    class Both(Strategy):
        def on_trade(self, trade: Trade) -> Signal:
            return LONG

        async def on_quote(self, quote: Quote) -> Signal:
            await trio.sleep(1)
            return Signal(side="flat")

    harness = Harness(Both("BTCUSDT"))
    async with harness.running():
        harness.put(make_trade(1))
        harness.put(Quote.of("BTCUSDT", "1", "2"))
        await trio.sleep(2)
    assert [signal.side for signal in harness.signals] == ["long", "flat"]


async def test_a_wrong_answer_is_a_clear_error(autojump_clock: MockClock) -> None:
    """A method that answers with something else crashes with what was expected and what came."""

    class Wrong(Strategy):
        def on_trade(self, trade: Trade) -> Any:
            return "long"

    harness = Harness(Wrong("BTCUSDT"))
    harness.put(make_trade(1))
    with pytest.raises(TypeError, match="on_trade: expected a Signal or None, got str"):
        await harness.engine.run(lambda: None)


async def test_a_generator_mistake_is_a_clear_error(autojump_clock: MockClock) -> None:
    """A stray `yield` turns a method into a generator: said so, not silently ignored."""

    class Yields(Strategy):
        def on_trade(self, trade: Trade) -> Iterator[Signal]:  # type: ignore[override]
            yield LONG

    harness = Harness(Yields("BTCUSDT"))
    harness.put(make_trade(1))
    with pytest.raises(TypeError, match="got generator"):
        await harness.engine.run(lambda: None)


async def test_a_crash_loses_only_its_own_event(autojump_clock: MockClock) -> None:
    """What was not handled stays in the inbox for the next incarnation."""

    class Fragile(Recorder):
        def on_trade(self, trade: Trade) -> None:
            super().on_trade(trade)
            if trade.trade_id == 2:
                raise ValueError("two")

    harness = Harness(Fragile())
    for i in range(1, 6):
        harness.put(make_trade(i))
    with pytest.raises(ValueError, match="two"):
        await harness.engine.run(lambda: None)
    heir = Recorder()
    harness.strategy = heir
    async with harness.running():
        await wait_all_tasks_blocked()
    assert heir.of("trade") == [3, 4, 5]


async def test_cycles_follow_market_time(autojump_clock: MockClock) -> None:
    """On a tape a cycle is due by the events' time; missed ones are not repeated."""
    recorder = Recorder()
    harness = Harness(recorder)
    async with harness.running():
        for trade_id, time_ms in enumerate((1_000, 1_500, 2_100, 7_300, 7_400), start=1):
            harness.put(make_trade(trade_id, time_ms=time_ms))
        await wait_all_tasks_blocked()
    assert recorder.of("cycle") == [datetime.fromtimestamp(s, UTC) for s in (2, 7)]


async def test_live_cycles_need_no_data(autojump_clock: MockClock) -> None:
    """By wall clock cycles come every second though nothing trades, and do not drift."""
    recorder = Recorder()
    clock = LiveClock(wall_clock=lambda: 1_000.25 + trio.current_time())
    harness = Harness(recorder, clock=clock)
    async with harness.running():
        await trio.sleep(5)
    cycles = recorder.of("cycle")
    assert len(cycles) == 5
    assert all(isinstance(now, datetime) and now.microsecond == 0 for now in cycles)


async def test_fills_reach_the_strategy_on_its_own_task(autojump_clock: MockClock) -> None:
    """A fill wakes a sleeping engine and is handed over before anything else."""
    recorder = Recorder()
    harness = Harness(recorder)
    async with harness.running():
        await wait_all_tasks_blocked()
        harness.engine.take_fill(FILL)
        await wait_all_tasks_blocked()
    assert recorder.calls == [("fill", "a")]


async def test_a_quiet_engine_shows_that_it_lives(autojump_clock: MockClock) -> None:
    """Without data and cycles the heartbeat still moves every `longest_nap` seconds."""
    harness = Harness(Strategy("BTCUSDT"))
    async with harness.running():
        await trio.sleep(100)
        age = trio.current_time() - harness.engine.heartbeat
    assert age <= 20.0


class Counter(Strategy):
    """Counts trades, and keeps the count over its end."""

    def __init__(self) -> None:
        self.count = 0
        self.data: dict[str, Any] = {"count": 0}

    def on_trade(self, trade: Trade) -> None:
        self.count += 1
        self.data["count"] = self.count

    def state(self) -> Any:
        return self.data

    def restore(self, state: Any) -> None:
        self.count = state["count"]


async def test_state_is_saved_and_restored(autojump_clock: MockClock) -> None:
    """The next incarnation starts with a copy of the last one's state."""
    harness = Harness(Counter())
    async with harness.running():
        for i in range(1, 4):
            harness.put(make_trade(i))
        await wait_all_tasks_blocked()
    saved = harness.engine.saved_state
    assert saved == {"count": 3}
    heir = Counter()
    async with Harness(heir, saved_state=saved).running():
        assert heir.count == 3


async def test_state_must_be_plain_data(autojump_clock: MockClock) -> None:
    """A state that no snapshot can hold is a crash with a clear reason, not a broken snapshot."""

    class Odd(Counter):
        def state(self) -> Any:
            return object()

    harness = Harness(Odd())
    harness.put(make_trade(1))
    with pytest.raises(ValueError, match="plain data"):
        await harness.engine.run(lambda: None)


async def test_only_overridden_methods_cost(autojump_clock: MockClock) -> None:
    """A strategy without on_quote is not called for quotes, but they are drained."""
    harness = Harness(Counter())
    async with harness.running():
        harness.put(Quote.of("BTCUSDT", "1", "2"))
        await wait_all_tasks_blocked()
    assert harness.inbox.statistics().delivered == 1


async def test_a_slow_engine_harms_nobody(autojump_clock: MockClock) -> None:
    """Events a slow engine cannot take are dropped and counted for it alone."""

    class Slow(Recorder):
        async def on_trade(self, trade: Trade) -> None:  # type: ignore[override]
            super().on_trade(trade)
            await trio.sleep(10)

    count, capacity = 1000, 10
    inboxes = {Recorder: Inbox(), Slow: Inbox(capacity)}
    strategies = {kind: kind() for kind in inboxes}
    async with trio.open_nursery() as nursery:
        for kind, inbox in inboxes.items():
            engine = Engine(
                symbol="BTCUSDT",
                make_strategy=lambda kind=kind: strategies[kind],  # type: ignore[misc]
                inbox=inbox,
                submit=lambda _: None,
                market_clock=TapeClock(),
                cycle_interval=1.0,
                longest_nap=1.0,
            )
            nursery.start_soon(engine.run, lambda: None)
        for number in range(1, count + 1):
            for inbox in inboxes.values():
                inbox.put(make_trade(number))
            await trio.sleep(0.1)
        quick, slow = (inbox.statistics() for inbox in inboxes.values())
        nursery.cancel_scope.cancel()
    assert strategies[Recorder].of("trade") == list(range(1, count + 1))
    assert (quick.dropped, slow.queued) == (0, capacity)
    assert slow.delivered == len(strategies[Slow].of("trade")) >= 10
    assert slow.delivered + slow.dropped + slow.queued == count
