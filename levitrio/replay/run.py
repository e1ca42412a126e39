"""Plays a tape through the engines, gateway, risk and paper broker of a fleet, in virtual time.

One task plays the tape and calls the engines itself, in the order of the tape: a pass of the
scheduler for each event would cost more than everything else together. Before an event is
handled the clocks are set to it, never to the end of a batch; what is due before it (cycles, the
loss limit, an order in flight) happens first.
"""

import math
from collections.abc import Callable, Mapping
from random import Random

import attrs
import trio
from trio.testing import wait_all_tasks_blocked

from levitrio.app.assembly import Assembly
from levitrio.config.sections import FleetConfig
from levitrio.gateway.loss_limit import PERIOD
from levitrio.records.journal.entries import History
from levitrio.replay.assembly import assemble
from levitrio.replay.clock import ReplayClock, until_next_deadline
from levitrio.replay.data.tape import Tape
from levitrio.replay.engine_run import NEVER, EngineRun, Handler
from levitrio.replay.engine_runs import EngineRuns, OnSignal, ReplayHooks
from levitrio.replay.equity_curve import EquityCurve
from levitrio.replay.replay_journal import ReplayJournal
from levitrio.replay.valuation import Valuation
from levitrio.strategies.base import Reply, Signal
from levitrio.trading.clock import TapeClock
from levitrio.trading.market import MarketEvent, Quote, Trade

BREATH = 8_192
"""Events between two passes of the scheduler, in which the journal writes what it has."""

TICK = 1e-6
"""Seconds between two orders of the same moment, so that they arrive in the order of the sends."""

SAVE_MS = 60_000
"""Market ms between two calls of a strategy's `state()`. A crash loses what is newer."""

_PERIOD_MS = round(PERIOD * 1000)


@attrs.frozen(kw_only=True)
class Options:
    """Options of a replay beside the fleet's file."""

    seed: int = 1
    """Seed of the jitter before restarts."""
    on_signal: OnSignal | None = None
    on_progress: Callable[[float], None] | None = None
    """Called every few thousand events with the fraction that is done."""


@attrs.define(eq=False)
class Replay:
    """One replay of one fleet. `run` it once, then read the results from its attributes."""

    config: FleetConfig
    tape: Tape
    options: Options = Options()
    time: ReplayClock = attrs.field(factory=ReplayClock)
    replay_journal: ReplayJournal = attrs.field(factory=ReplayJournal)
    assembly: Assembly = attrs.field(init=False)
    engines: EngineRuns = attrs.field(init=False)
    valuation: Valuation = attrs.field(init=False)
    end_ms: int = attrs.field(default=0, init=False)
    """Market time of the last event, ms since 1970."""
    events: int = attrs.field(default=0, init=False)
    """Trades, bars, and quotes that a strategy handled."""
    _venue: trio.Nursery | None = attrs.field(default=None, init=False)
    _start_ns: int = attrs.field(default=0, init=False)
    _due_ms: int = attrs.field(default=0, init=False)
    """Market ms until which nothing but events is due."""
    _next_look_ms: int = attrs.field(default=0, init=False)
    _next_save_ms: int = attrs.field(default=0, init=False)
    _is_late: bool = attrs.field(default=False, init=False)
    """An order is in flight, or rests in the market."""
    _may_wait: bool = attrs.field(init=False)
    """Orders take time, or entries rest."""

    def __attrs_post_init__(self) -> None:
        broker = self.config.broker
        self._may_wait = bool(broker.latency) or broker.entry != "market"

    @property
    def engine_runs(self) -> Mapping[str, EngineRun]:
        """By symbol, in the order of the file."""
        return self.engines.engine_runs

    def run(self) -> None:
        """Play the whole tape; blocks.

        Raises:
            UsageError: The tape cannot be read.
            KeyboardInterrupt: Ctrl-C.
        """
        history = self.replay_journal.journal.open()
        try:
            trio.run(self._run, history, clock=self.time)
        except BaseExceptionGroup as group:
            raise _alone(group) from None
        finally:
            self.replay_journal.journal.close()

    async def _run(self, history: History) -> None:
        chance = Random(self.options.seed).random
        market_clock = TapeClock()
        hooks = ReplayHooks(market_clock.now_ms, self.options.on_signal)
        self.assembly = assemble(
            self.config, self.replay_journal, history, chance, market_clock, hooks
        )
        self.engines = EngineRuns(self.assembly, chance, hooks)
        self.valuation = Valuation(self.assembly, self.tape, EquityCurve(self.config.broker.cash))
        async with trio.open_nursery() as nursery:
            await nursery.start(self.replay_journal.journal.run)
            async with trio.open_nursery() as venue:
                self._venue = venue
                await venue.start(self._serve)
                venue.start_soon(self.assembly.models.run)
                for state in self.assembly.symbol_states.values():
                    await state.ready.wait()
                await wait_all_tasks_blocked()
                self.time.settle_in()
                await self._play()
                await self._finish()
                venue.cancel_scope.cancel()
            self.replay_journal.flush()
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    async def _serve(self, *, task_status: trio.TaskStatus[None]) -> None:
        await self.assembly.gateway.run(manual=True, task_status=task_status)

    # The tape

    async def _play(self) -> None:
        engines, clock, tape = self.engines, self.assembly.market_clock, self.tape
        engine_runs = engines.engine_runs
        engines.launch_all()
        tape.quoted.update(p.symbol for p in engine_runs.values() if p.on_quote is not None)
        now_ms, count = 0, 0
        for event in tape:
            if not count % BREATH:
                await self._breathe()
            count += 1
            engine_run = engine_runs[event.symbol]
            if self._is_late:
                await self._catch_up()
            kind = type(event)
            if kind is Trade:
                time_ms = event.time_ms  # type: ignore[union-attr]
                if time_ms > now_ms:
                    now_ms = time_ms
                    clock.see(event)
                    if time_ms >= self._due_ms:
                        await self._keep_time(time_ms)
                engine_run.view.trade = event  # type: ignore[assignment]
                engine_run.trades += 1
                handler = engine_run.on_trade
            elif kind is Quote:
                engine_run.view.quote = event  # type: ignore[assignment]
                handler = engine_run.on_quote
            else:
                time_ms = event.close_time_ms  # type: ignore[union-attr]
                if time_ms > now_ms:
                    now_ms = time_ms
                    clock.see(event)
                    if time_ms >= self._due_ms:
                        await self._keep_time(time_ms)
                engine_run.view.see(event)
                handler = engine_run.on_bar
                if engine_run.warm_up:
                    await self._warm(engine_run, event, handler)
                    continue
            if self._is_late:
                await self._show(engine_run, event)
            if handler is None:
                continue
            try:
                reply = handler(event)
            except BaseException as error:  # noqa: BLE001  whatever a strategy raises is a crash
                self._crashed(engine_run, error)
                continue
            if reply is not None:
                await self._answer(engine_run, reply, handler)
        self.events = count

    async def _breathe(self) -> None:
        if not self._start_ns:
            self._start_ns = self.tape.now_ns()
        self.replay_journal.flush()
        await trio.lowlevel.checkpoint()
        if self.options.on_progress is not None:
            self.options.on_progress(self.tape.fraction())

    async def _warm(self, engine_run: EngineRun, bar: MarketEvent, handler: Handler | None) -> None:
        """Pass the strategy a bar of its warm-up; its signal is dropped."""
        try:
            reply = None if handler is None else handler(bar)
            if reply is not None and not isinstance(reply, Signal):
                with self.time.waiting():
                    await reply
        except BaseException as error:  # noqa: BLE001  whatever a strategy raises is a crash
            self._crashed(engine_run, error)
        engine_run.warm_up -= 1

    async def _finish(self) -> None:
        """Wait for the orders in flight, and mark all positions at the last quotes."""
        self.valuation.mark_all()
        while self._is_late:
            await self._settle()
            with self.time.waiting():
                await self.assembly.gateway.drain()
            self._is_late = False
            await self._hand_over()
        self.valuation.mark_all()
        self.end_ms = self.assembly.market_clock.now_ms()
        if self.valuation.start_ms:
            self.valuation.sample(self.end_ms)
            self.valuation.curve.finish()

    # What a strategy answers

    async def _answer(self, engine_run: EngineRun, reply: Reply, source: Handler) -> None:
        engine = engine_run.engine
        assert engine is not None
        assert reply is not None
        self._set_time()
        if isinstance(reply, Signal):
            if reply.side == "flat":  # an exit is not sized: its own quote will do
                self.valuation.mark_only(engine_run.symbol)
            else:
                self.valuation.mark(engine_run.symbol)
            engine.submit(reply)
        else:
            self.valuation.mark(engine_run.symbol)
            try:
                with self.time.waiting():
                    await engine.take(reply, source)
            except BaseException as error:  # noqa: BLE001  whatever a strategy raises is a crash
                self._crashed(engine_run, error)
        await self._settle()

    async def _settle(self) -> None:
        """Let the gateway handle the submitted signals, as far as it can at this moment."""
        gateway = self.assembly.gateway
        if not self._may_wait:
            while gateway.waiting:
                await gateway.work_next()
        elif gateway.waiting:
            assert self._venue is not None
            while gateway.waiting:
                self._venue.start_soon(gateway.work_next)
                await wait_all_tasks_blocked()
                self.time.reach(self.time.now + TICK)
            self._look_ahead()
        if self.engines.filled:
            await self._hand_over()

    async def _hand_over(self) -> None:
        """Pass fills to their engines, and the signals that follow to the gateway."""
        filled = self.engines.filled
        while filled:
            engine_run = filled.popleft()
            if engine_run.engine is None:
                continue
            try:
                with self.time.waiting():
                    await engine_run.engine.hand_over_fills()
            except BaseException as error:  # noqa: BLE001  whatever a strategy raises is a crash
                self._crashed(engine_run, error)
            await self._settle()

    def _crashed(self, engine_run: EngineRun, error: BaseException) -> None:
        self.engines.crashed(engine_run, error)
        # Its next incarnation, launched or waiting, has cycles and a restart of its own.
        self._due_ms = 0

    # Time

    def _set_time(self) -> None:
        self.time.reach((self.tape.now_ns() - self._start_ns) / 1e9)

    async def _show(self, engine_run: EngineRun, event: MarketEvent) -> None:
        """Let the paper broker see an event, which may fill resting orders."""
        assert engine_run.slot.also is not None
        engine_run.slot.also(event)
        if engine_run.slot.symbol_state.pending_reports:
            await wait_all_tasks_blocked()
            self._look_ahead()
            await self._hand_over()

    def _look_ahead(self) -> None:
        """Check before each event what is due while an order is in flight or rests."""
        self._is_late = self.tape.eager = not math.isinf(until_next_deadline())

    async def _catch_up(self) -> None:
        """Let orders that arrive before the event at hand fill or expire before it."""
        if self.assembly.gateway.waiting:  # a crash has cancelled its entry
            await self._settle()
        until = (self.tape.now_ns() - self._start_ns) / 1e9
        while (wait := until_next_deadline()) <= until - self.time.now:
            # One deadline at a time: two at once would wake their tasks in any order.
            # A little beyond it: a sum of floats may fall short of the deadline for ever.
            self.time.reach(self.time.now + wait + 1e-9)
            await wait_all_tasks_blocked()
            await self._hand_over()
        self.time.reach(until)
        self._look_ahead()

    async def _keep_time(self, now_ms: int) -> None:
        """Run what is due before the event at market time `now_ms`."""
        valuation = self.valuation
        if not valuation.start_ms:
            valuation.begin(now_ms)
        self._set_time()
        valuation.mark_unseen()
        if now_ms >= self._next_look_ms:
            self._next_look_ms = (now_ms // _PERIOD_MS + 1) * _PERIOD_MS
            gateway = self.assembly.gateway
            await gateway.loss_limiter.look(gateway.rules.risk)
            if gateway.waiting:  # it has flattened
                await self._settle()
        if now_ms >= valuation.next_sample_ms:
            valuation.sample(now_ms)
        if now_ms >= self._next_save_ms:
            self._next_save_ms = (now_ms // SAVE_MS + 1) * SAVE_MS
            self._save()
        self.engines.restart_due(now_ms)
        next_cycle_ms = await self._cycle(now_ms)
        self._due_ms = min(
            self._next_look_ms,
            valuation.next_sample_ms,
            self._next_save_ms,
            self.engines.restart_ms,
            next_cycle_ms,
        )

    async def _cycle(self, now_ms: int) -> int:
        """Run the cycles that are due; return when the next one is, in market ms."""
        next_ms = NEVER
        for engine_run in self.engine_runs.values():
            engine = engine_run.engine
            if engine is None or engine.on_cycle is None:
                continue
            if now_ms >= engine.next_cycle_ms:
                self.valuation.mark(engine_run.symbol)
                try:
                    with self.time.waiting():
                        await engine.cycle(now_ms)
                except BaseException as error:  # noqa: BLE001  a crash, whatever it is
                    self._crashed(engine_run, error)
                await self._settle()
            next_ms = min(next_ms, engine.next_cycle_ms)
        return next_ms

    def _save(self) -> None:
        for engine_run in self.engine_runs.values():
            if engine_run.engine is not None:
                try:
                    engine_run.engine.save()
                except BaseException as error:  # noqa: BLE001  a crash, whatever it is
                    self._crashed(engine_run, error)


def _alone(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that nurseries have wrapped: Ctrl-C first, else the only one."""
    if group.subgroup(KeyboardInterrupt) is not None:
        return KeyboardInterrupt()
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
