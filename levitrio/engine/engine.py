"""One incarnation of one symbol: inbox -> strategy -> signal.

An engine is disposable. It owns nothing that must survive it: inbox, position and counters belong
to its symbol, money to the gateway. It passes signals to `submit` and does not see what follows.
What the strategy raises leaves `run`, for the supervisor.

A live fleet calls `run`. Replay has no inbox and no task for each engine: it calls `prepare`, then
for each event of the tape the `handlers`, `cycle`, `take` and `hand_over_fills` that `run` is made
of.
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
"""Events handled before other engines get a turn: at 10 us an event, under a millisecond."""

SHORTEST_NAP = 0.05
"""Shortest wait in seconds: a tape that stands still must not cause a busy loop of cycles."""

SAVE_PERIOD = 1.0
"""Seconds between two calls of a strategy's `state()`; the snapshot is written no more often."""


@attrs.define(eq=False, kw_only=True)
class Engine:
    """Runs one strategy on one symbol until cancelled."""

    symbol: str
    make_strategy: Callable[[], Strategy]
    """Called in the engine's task; what it raises is a crash while starting."""
    inbox: Inbox
    submit: Callable[[Signal], None]
    market_clock: MarketClock
    cycle_interval: float
    """Seconds of market time."""
    longest_nap: float
    """Longest wait in seconds, after which an engine without data renews its heartbeat."""
    saved_state: Any = None
    """What the strategy's `state()` returned last; handed to the next incarnation."""
    wait_ready: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
    """Returns when the engine may start: its symbol has been reconciled with the venue."""
    past_bars: Callable[[], Awaitable[Sequence[Bar]]] | None = None
    """Asks the venue for the bars to warm up with, oldest first; None for no warm-up."""
    absorbed_errors: Callable[[], int] = int
    """Returns the consecutive errors absorbed for this engine: rejected orders, failed models."""
    fills: deque[Fill] = attrs.field(factory=deque)
    """Fills that wait for `on_fill`; never dropped."""
    heartbeat: float = attrs.field(factory=trio.current_time)
    """When the last batch and cycle were finished, on trio's clock."""
    handlers: dict[type, Callable[[Any], Reply]] = attrs.field(factory=dict, init=False)
    """The methods that the strategy overrides, by type of event; filled by `prepare`."""
    on_cycle: Callable[[datetime], Reply] | None = attrs.field(default=None, init=False)
    """The strategy's `on_cycle`; None when it does not override it."""
    next_cycle_ms: int = attrs.field(default=0, init=False)
    """Market time of the next cycle, ms since 1970; 0 before the first."""
    _state: Callable[[], Any] | None = None
    _next_save: float = 0.0

    @property
    def error_count(self) -> int:
        """Consecutive absorbed errors; 0 after a success."""
        return self.absorbed_errors()

    def take_fill(self, fill: Fill) -> None:
        """Queue a fill for the strategy, which handles it in the engine's own task."""
        self.fills.append(fill)
        self.inbox.wake()

    async def run(self, started: Callable[[], None]) -> None:
        """Pass events to the strategy until cancelled; never returns by itself.

        `started` is called once the strategy exists, has its state back, and its symbol has been
        reconciled with the venue. Cancelled, it leaves unhandled events in the inbox; only the
        event whose async handler was interrupted is lost.
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
        """Make the strategy, restore its state, and look up once which methods it overrides."""
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
        """Pass past bars to a strategy without saved state; its signals are ignored."""
        handler = self.handlers.get(Bar)
        if self.past_bars is None or handler is None or self.saved_state is not None:
            return
        newest: dict[str, int] = {}
        for bar in await self.past_bars():
            newest[bar.interval] = bar.open_time_ms
            if (reply := handler(bar)) is not None and not isinstance(reply, Signal):
                await reply

        def only_new(bar: Bar) -> Reply:
            # A bar that closed during the request comes from the feed as well.
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
        """Call `on_fill` for every queued fill."""
        handler = self.handlers.get(Fill)
        while self.fills:
            fill = self.fills.popleft()
            if handler is not None and (reply := handler(fill)) is not None:
                await self.take(reply, handler)

    async def cycle(self, now_ms: int) -> None:
        """Run a cycle that is due at market time `now_ms`; missed ones are not repeated.

        The strategy gets the time at which the cycle was due, so that the same tape gives the
        same cycles however late the engine reads it.
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
        """Await a method's reply if it is async, and submit the signal in it.

        Raises:
            TypeError: The reply is neither a signal nor None; the text names the method `source`.
        """
        result: object = reply
        if not isinstance(reply, Signal) and inspect.isawaitable(reply):
            result = await reply
        if isinstance(result, Signal):
            self.submit(result)
        elif result is not None:
            name = getattr(source, "__name__", repr(source))
            raise TypeError(f"{name}: expected a Signal or None, got {type(result).__name__}")

    def save(self) -> None:
        """Save a copy of the strategy's state now.

        Raises:
            ValueError: `state()` returned no plain data, or too much of it.
        """
        if self._state is not None:
            self.saved_state = plain_state(self._state())

    def _save_in_time(self) -> None:
        now = trio.current_time()
        if now >= self._next_save:
            self._next_save = now + SAVE_PERIOD
            self.save()
