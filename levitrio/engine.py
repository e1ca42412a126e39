"""One incarnation of one symbol: inbox -> strategy -> signal.

An engine is disposable. It owns nothing that must survive it: the inbox, the book and the
counters belong to its symbol, the money to the gateway. It is given `submit(signal)` and does
not know what becomes of it. Whatever the strategy raises leaves `run` and is the supervisor's.
"""

import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from itertools import islice
from typing import Any

import attrs
import trio

from levitrio.inbox import Inbox
from levitrio.records.registry import plain_state
from levitrio.strategies.base import Reply, Signal, Strategy
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
    absorbed_errors: Callable[[], int] = int
    """Consecutive errors somebody else absorbed for this engine: refused orders."""
    fills: deque[Fill] = attrs.field(factory=deque)
    """Waiting for `on_fill`; never dropped."""
    heartbeat: float = attrs.field(factory=trio.current_time)
    """trio's clock at the last finished drain or cycle."""
    _handlers: dict[type, Callable[[Any], Reply]] = attrs.field(factory=dict)
    _on_cycle: Callable[[datetime], Reply] | None = None
    _state: Callable[[], Any] | None = None
    _next_cycle_ms: int = 0
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
        strategy = self.make_strategy()
        if self.saved_state is not None:
            strategy.restore(self.saved_state)
        self._bind(strategy)
        await self.wait_ready()
        started()
        await self._cycle(self.market_clock.now_ms())
        while True:
            await self._sleep()
            await self._drain()
            await self._cycle(self.market_clock.now_ms())
            self._save()
            self.heartbeat = trio.current_time()

    def _bind(self, strategy: Strategy) -> None:
        """Look up what the strategy overrides once, not per event."""
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
                self._handlers[event_type] = getattr(strategy, name)
        if kind.on_cycle is not base.on_cycle:
            self._on_cycle = strategy.on_cycle
        if kind.state is not base.state:
            self._state = strategy.state

    async def _sleep(self) -> None:
        if self.fills:
            await trio.lowlevel.checkpoint()
            return
        nap = self.longest_nap
        if self._on_cycle is not None and self._next_cycle_ms:
            left_ms = self._next_cycle_ms - self.market_clock.now_ms()
            nap = min(nap, max(SHORTEST_NAP, left_ms / 1000 / self.market_clock.speed))
        with trio.move_on_after(nap):
            await self.inbox.wait()

    async def _drain(self) -> None:
        at, handlers = self.market_clock.at, self._handlers
        for event in islice(self.inbox.drain(), BATCH):
            if self.fills:
                await self._hand_over_fills()
            if self._on_cycle is not None:
                await self._cycle(at(event))
            handler = handlers.get(type(event))
            if handler is not None and (reply := handler(event)) is not None:
                await self._take(reply, handler)
        await self._hand_over_fills()

    async def _hand_over_fills(self) -> None:
        handler = self._handlers.get(Fill)
        while self.fills:
            fill = self.fills.popleft()
            if handler is not None and (reply := handler(fill)) is not None:
                await self._take(reply, handler)

    async def _cycle(self, now_ms: int) -> None:
        """Run a cycle that is due at market time `now_ms`; missed ones are not repeated.

        The strategy is told the time the cycle was due, so that the same tape gives the same
        cycles however late the engine reads it.
        """
        if self._on_cycle is None or now_ms == 0 or now_ms < self._next_cycle_ms:
            return
        interval_ms = max(1, round(self.cycle_interval * 1000))
        due_ms = now_ms - now_ms % interval_ms
        is_first = self._next_cycle_ms == 0
        self._next_cycle_ms = due_ms + interval_ms
        if not is_first and (reply := self._on_cycle(utc(due_ms))) is not None:
            await self._take(reply, self._on_cycle)

    async def _take(self, reply: Signal | Awaitable[Signal | None], source: object) -> None:
        answer: object = reply
        if not isinstance(reply, Signal) and inspect.isawaitable(reply):
            answer = await reply
        if isinstance(answer, Signal):
            self.submit(answer)
        elif answer is not None:
            name = getattr(source, "__name__", repr(source))
            raise TypeError(f"{name}: expected a Signal or None, got {type(answer).__name__}")

    def _save(self) -> None:
        now = trio.current_time()
        if self._state is None or now < self._next_save:
            return
        self._next_save = now + SAVE_PERIOD
        # A copy, so that the strategy may go on changing what it returned.
        self.saved_state = plain_state(self._state())
