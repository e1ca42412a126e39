"""One incarnation of one symbol: inbox -> strategy -> signal.

An engine is disposable. It owns nothing that must survive it: the inbox, the book and the
counters belong to its symbol, the money to the gateway. It is given `submit(signal)` and does
not know what becomes of it. Whatever the strategy raises leaves `run` and is the supervisor's.

Live it is driven by `run`. Replay has no inbox and no task for each engine: it calls `prepare`,
then for each event of the tape the `handlers`, `cycle`, `take` and `hand_over_fills` that `run`
is made of.
"""

import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import attrs
import trio

from levitrio.engine.inbox import Inbox
from levitrio.strategies.base import Reply, Signal, Strategy
from levitrio.strategies.state import plain_state
from levitrio.trading.clock import MarketClock
from levitrio.trading.market import Bar, Quote, Trade, utc
from levitrio.trading.orders import Fill

BATCH = 64
"""Events handled before the other engines get a turn: at 10 us an event, under a millisecond."""

SHORTEST_NAP = 0.05
"""Seconds: a tape that stands still must not turn its cycles into a busy loop."""

SAVE_PERIOD = 1.0
"""Seconds between two asks for a strategy's `state()`: the snapshot is not written more often."""


@attrs.define(eq=False, kw_only=True)
class Engine:
    """Runs one strategy on one symbol until cancelled."""

    symbol: str
    make_strategy: Callable[[], Strategy]
    """Called on the engine's own task: what it raises is a crash while starting."""
    inbox: Inbox
    submit: Callable[[Signal], None]
    market_clock: MarketClock
    cycle_interval: float
    """Seconds of market time."""
    longest_nap: float
    """Seconds after which an engine without data shows that it is alive."""
    saved_state: Any = None
    """What the strategy's `state()` returned last; handed to the next incarnation."""
    wait_ready: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
    """Returns when the engine may start: its symbol was compared with the venue."""
    past_bars: Callable[[], Awaitable[Sequence[Bar]]] | None = None
    """Asks the venue for the bars to warm up with, oldest first; None: it starts cold."""
    absorbed_errors: Callable[[], int] = int
    """Consecutive errors somebody else absorbed for this engine: refused orders."""
    fills: deque[Fill] = attrs.field(factory=deque)
    """Waiting for `on_fill`; never dropped."""
    heartbeat: float = attrs.field(factory=trio.current_time)
    """trio's clock at the last finished drain or cycle."""
    handlers: dict[type, Callable[[Any], Reply]] = attrs.field(factory=dict, init=False)
    """What the strategy wants to be told, by type of event; after `prepare`."""
    on_cycle: Callable[[datetime], Reply] | None = attrs.field(default=None, init=False)
    """None: the strategy has no cycles."""
    next_cycle_ms: int = attrs.field(default=0, init=False)
    """Market time of the next cycle, ms since 1970; 0 before the first."""
    _state: Callable[[], Any] | None = None
    _next_save: float = 0.0

    @property
    def error_count(self) -> int:
        """Consecutive absorbed errors; zero after a clean one."""
        return self.absorbed_errors()

    def take_fill(self, fill: Fill) -> None:
        """Queue a fill for the strategy, on the engine's own task."""
        self.fills.append(fill)
        self.inbox.wake()

    async def run(self, started: Callable[[], None]) -> None:
        """Feed the strategy until cancelled; never returns by itself.

        `started` is called once the strategy exists, has its state back, and its symbol was
        compared with the venue. Cancelled between
        two events, so that no event is lost: what was not handled stays in the inbox.
        """
        self.prepare()
        await self._warm_up()
        await self.wait_ready()
        started()
        await self.cycle(self.market_clock.now_ms())
        while True:
            await self._sleep()
            await self._drain()
            await self.cycle(self.market_clock.now_ms())
            self._save_in_time()
            self.heartbeat = trio.current_time()

    def prepare(self) -> None:
        """Make the strategy, give it its state back, and look up once what it overrides."""
        strategy = self.make_strategy()
        if self.saved_state is not None:
            strategy.restore(self.saved_state)
        base = Strategy
        methods: tuple[tuple[type, str], ...] = (
            (Trade, "on_trade"),
            (Quote, "on_quote"),
            (Bar, "on_bar"),
            (Fill, "on_fill"),
        )
        kind = type(strategy)
        for event_type, name in methods:
            if getattr(kind, name) is not getattr(base, name):
                self.handlers[event_type] = getattr(strategy, name)
        if kind.on_cycle is not base.on_cycle:
            self.on_cycle = strategy.on_cycle
        if kind.state is not base.state:
            self._state = strategy.state

    async def _warm_up(self) -> None:
        """Show a strategy without a past the bars before it was born; what it answers is void."""
        handler = self.handlers.get(Bar)
        if self.past_bars is None or handler is None or self.saved_state is not None:
            return
        newest: dict[str, int] = {}
        for bar in await self.past_bars():
            newest[bar.interval] = bar.open_time_ms
            if (reply := handler(bar)) is not None and not isinstance(reply, Signal):
                await reply

        def only_new(bar: Bar) -> Reply:
            # A bar that closed while the past was asked for comes from the feed as well.
            return handler(bar) if bar.open_time_ms > newest.get(bar.interval, 0) else None

        only_new.__name__ = "on_bar"
        self.handlers[Bar] = only_new

    async def _sleep(self) -> None:
        if self.fills:
            await trio.lowlevel.checkpoint()
            return
        nap = self.longest_nap
        if self.on_cycle is not None and self.next_cycle_ms:
            left_ms = self.next_cycle_ms - self.market_clock.now_ms()
            nap = min(nap, max(SHORTEST_NAP, left_ms / 1000 / self.market_clock.speed))
        with trio.move_on_after(nap):
            await self.inbox.wait()

    async def _drain(self) -> None:
        at, handlers = self.market_clock.at, self.handlers
        for event in islice(self.inbox.drain(), BATCH):
            if self.fills:
                await self.hand_over_fills()
            if self.on_cycle is not None:
                await self.cycle(at(event))
            handler = handlers.get(type(event))
            if handler is not None and (reply := handler(event)) is not None:
                await self.take(reply, handler)
        await self.hand_over_fills()

    async def hand_over_fills(self) -> None:
        """Call `on_fill` for every fill that waits."""
        handler = self.handlers.get(Fill)
        while self.fills:
            fill = self.fills.popleft()
            if handler is not None and (reply := handler(fill)) is not None:
                await self.take(reply, handler)

    async def cycle(self, now_ms: int) -> None:
        """Run a cycle that is due at market time `now_ms`; missed ones are not repeated.

        The strategy is told the time the cycle was due, so that the same tape gives the same
        cycles however late the engine reads it.
        """
        if self.on_cycle is None or now_ms == 0 or now_ms < self.next_cycle_ms:
            return
        interval_ms = max(1, round(self.cycle_interval * 1000))
        due_ms = now_ms - now_ms % interval_ms
        is_first = self.next_cycle_ms == 0
        self.next_cycle_ms = due_ms + interval_ms
        if not is_first and (reply := self.on_cycle(utc(due_ms))) is not None:
            await self.take(reply, self.on_cycle)

    async def take(self, reply: Signal | Awaitable[Signal | None], source: object) -> None:
        """Submit what a method of the strategy answered, once it is there.

        Raises TypeError when it is no signal; `source` is the method, to be named.
        """
        answer: object = reply
        if not isinstance(reply, Signal) and inspect.isawaitable(reply):
            answer = await reply
        if isinstance(answer, Signal):
            self.submit(answer)
        elif answer is not None:
            name = getattr(source, "__name__", repr(source))
            raise TypeError(f"{name}: expected a Signal or None, got {type(answer).__name__}")

    def save(self) -> None:
        """Ask the strategy for its state now."""
        if self._state is not None:
            # A copy, so that the strategy may go on changing what it returned.
            self.saved_state = plain_state(self._state())

    def _save_in_time(self) -> None:
        now = trio.current_time()
        if now >= self._next_save:
            self._next_save = now + SAVE_PERIOD
            self.save()
