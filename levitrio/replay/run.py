"""Replay: the engines, gateway, risk and paper broker of a fleet over a tape, in its own time.

One task plays the tape and calls the engines itself, in the order of the tape: a pass of the
scheduler for each event would cost more than everything else together. Before an event is
handled the clocks are set to it, never to the end of a batch; what is due before it (cycles, the
loss brake, an order that has been on its way) happens first.
"""

import math
from collections.abc import Callable
from random import Random

import attrs
import trio
from trio.testing import wait_all_tasks_blocked

from levitrio.app import settings
from levitrio.app.assembly import Assembly, Seams
from levitrio.app.models import local_models
from levitrio.fleet.config import FleetConfig
from levitrio.gateway.brake import PERIOD
from levitrio.records.entries import History
from levitrio.records.events import EventLog
from levitrio.records.offload import inline
from levitrio.replay.clock import TapeTime
from levitrio.replay.curve import Curve
from levitrio.replay.ledger import Ledger
from levitrio.replay.place import NEVER, Handler, Place
from levitrio.replay.tape import Tape
from levitrio.strategies.base import Reply, Signal
from levitrio.trading.clock import MarketClock
from levitrio.trading.market import MarketEvent, Quote, Trade
from levitrio.trading.orders import Fill
from levitrio.trading.risk import Permission

BREATH = 8_192
"""Events between two passes of the scheduler, in which the journal writes what it has."""

TICK = 1e-6
"""Seconds between two orders of the same moment, so that they arrive in the order of the sends."""

SAVE_MS = 60_000
"""Market time between two asks for a strategy's `state()`, in ms. A crash loses what is newer."""

_PERIOD_MS = round(PERIOD * 1000)


@attrs.frozen(kw_only=True)
class Options:
    """What a replay may be told beside the fleet."""

    seed: int = 1
    """Of the jitter before restarts."""
    on_signal: Callable[[str, int, Signal], None] | None = None
    """Called with symbol, market time in ms and the signal, for each that is submitted."""
    on_progress: Callable[[float], None] | None = None
    """Called now and then with the fraction that is done."""


@attrs.define(eq=False)
class Replay:
    """One replay of one fleet. `run` it once, then read what came of it."""

    config: FleetConfig
    tape: Tape
    options: Options = Options()
    time: TapeTime = attrs.field(factory=TapeTime)
    ledger: Ledger = attrs.field(factory=Ledger)
    curve: Curve = attrs.field(init=False)
    places: dict[str, Place] = attrs.field(factory=dict, init=False)
    assembly: Assembly = attrs.field(init=False)
    first: dict[str, Quote] = attrs.field(factory=dict, init=False)
    """Symbol -> the first quote that was looked at: where holding would have begun."""
    start_ms: int = attrs.field(default=0, init=False)
    end_ms: int = attrs.field(default=0, init=False)
    """Market time of the first and the last event, ms since 1970."""
    events: int = attrs.field(default=0, init=False)
    """Trades, bars, and quotes that somebody looked at."""
    _clock: MarketClock = attrs.field(init=False)
    _chance: Callable[[], float] = attrs.field(init=False)
    _venue: trio.Nursery | None = attrs.field(default=None, init=False)
    _start_ns: int = attrs.field(default=0, init=False)
    _due_ms: int = attrs.field(default=0, init=False)
    _next_look_ms: int = attrs.field(default=0, init=False)
    _next_sample_ms: int = attrs.field(default=0, init=False)
    _next_save_ms: int = attrs.field(default=0, init=False)
    _is_late: bool = attrs.field(default=False, init=False)
    """Orders take time: there may be one on its way."""
    _filled: list[Place] = attrs.field(factory=list, init=False)
    """Engines with fills that were not handed over."""

    def __attrs_post_init__(self) -> None:
        self.curve = Curve(self.config.broker.cash)
        self._chance = Random(self.options.seed).random

    def run(self) -> None:
        """Play the whole tape; blocks. Raises UsageError when the tape cannot be read."""
        history = self.ledger.journal.open()
        try:
            trio.run(self._run, history, clock=self.time)
        finally:
            self.ledger.journal.close()

    async def _run(self, history: History) -> None:
        self.assembly = self._assemble(history)
        gateway = self.assembly.gateway
        async with trio.open_nursery() as nursery:
            await nursery.start(self.ledger.journal.run)
            async with trio.open_nursery() as venue:
                self._venue = venue
                await venue.start(self._serve)
                venue.start_soon(self.assembly.models.run)
                for desk in self.assembly.desks.values():
                    await desk.ready.wait()
                await wait_all_tasks_blocked()
                self.time.settle_in()
                await self._play()
                while self._is_late:
                    with self.time.waiting():
                        await gateway.drain()
                    self._is_late = False
                    await self._hand_over()
                await self._finish()
                venue.cancel_scope.cancel()
            self.ledger.flush()
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    async def _serve(self, *, task_status: trio.TaskStatus[None]) -> None:
        await self.assembly.gateway.run(by_hand=True, task_status=task_status)

    def _assemble(self, history: History) -> Assembly:
        config = attrs.evolve(
            self.config,
            simulator=None,
            feed=attrs.evolve(self.config.feed, kind="simulator", url=None),
            broker=attrs.evolve(self.config.broker, kind="paper"),
        )

        def wall_clock() -> float:
            return self._clock.now_ms() / 1000 if self.places else 0.0

        assembly = Assembly(
            config,
            journal=self.ledger.journal,
            history=history,
            events=EventLog(wall_clock_ms=lambda: int(wall_clock() * 1000)),
            seams=Seams(
                wall_clock=wall_clock,
                chance=self._chance,
                offload=lambda: inline,
                make_models=local_models,
            ),
        )
        gateway = assembly.gateway
        # The ledger is the journal and remembers besides what the report will tell.
        gateway.journal = gateway.execution.journal = self.ledger
        # Nobody follows the events of a replay, and a fill in words costs more than the fill.
        gateway.report = gateway.execution.report = _tell_nobody
        self._clock = assembly.market_clock
        self.places = {
            symbol: Place(seat=seat, warm_up=seat.config.warm_up)
            for symbol, seat in assembly.seats.items()
        }
        return assembly

    # The tape

    async def _play(self) -> None:
        places, clock, tape = self.places, self._clock, self.tape
        for place in places.values():
            await self._launch(place, 0)
        tape.quoted.update(p.symbol for p in places.values() if p.on_quote is not None)
        now_ms, count = 0, 0
        for event in tape:
            if not count % BREATH:
                await self._breathe(event)
            count += 1
            place = places[event.symbol]
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
                place.view.trade = event  # type: ignore[assignment]
                place.trades += 1
                handler = place.on_trade
            elif kind is Quote:
                place.view.quote = event  # type: ignore[assignment]
                handler = place.on_quote
            else:
                time_ms = event.close_time_ms  # type: ignore[union-attr]
                if time_ms > now_ms:
                    now_ms = time_ms
                    clock.see(event)
                    if time_ms >= self._due_ms:
                        await self._keep_time(time_ms)
                place.view.see(event)
                handler = place.on_bar
                if place.warm_up:
                    await self._warm(place, event, handler)
                    continue
            if handler is None:
                continue
            try:
                reply = handler(event)
                if reply is not None:
                    await self._answer(place, reply, handler)
            except BaseException as error:  # noqa: BLE001  whatever a strategy raises is a crash
                await self._crashed(place, error)
        self.events = count

    async def _breathe(self, event: MarketEvent) -> None:
        if not self._start_ns:
            self._start_ns = self.tape.now_ns()
        self.ledger.flush()
        await trio.lowlevel.checkpoint()
        if self.options.on_progress is not None:
            self.options.on_progress(self.tape.fraction())

    async def _warm(self, place: Place, bar: MarketEvent, handler: Handler | None) -> None:
        """A bar before the engine's first signal: it is shown, and the answer is void."""
        place.warm_up -= 1
        if handler is None:
            return
        try:
            reply = handler(bar)
            if reply is not None and not isinstance(reply, Signal):
                with self.time.waiting():
                    await reply
        except BaseException as error:  # noqa: BLE001  whatever a strategy raises is a crash
            await self._crashed(place, error)

    # What a strategy answers

    async def _answer(self, place: Place, reply: Reply, source: Handler) -> None:
        assert place.engine is not None
        assert reply is not None
        self._set_time()
        self._mark(place.symbol)
        if isinstance(reply, Signal):
            if not place.warm_up:
                place.engine.submit(reply)
        else:
            with self.time.waiting():
                await place.engine.take(reply, source)
        await self._settle()

    async def _settle(self) -> None:
        """Let the gateway work off what was submitted, as far as it can at this moment."""
        gateway = self.assembly.gateway
        if not self.config.broker.latency:
            while gateway.waiting:
                await gateway.work_next()
        elif gateway.waiting:
            assert self._venue is not None
            while gateway.waiting:
                self._venue.start_soon(gateway.work_next)
                await wait_all_tasks_blocked()
                self.time.reach(self.time.now + TICK)
            self._is_late = self.tape.eager = not math.isinf(_until_next_deadline())
        if self._filled:
            await self._hand_over()

    async def _hand_over(self) -> None:
        """Fills to their engines, and what these make of it to the gateway."""
        while self._filled:
            place = self._filled.pop(0)
            if place.engine is None:
                continue
            try:
                with self.time.waiting():
                    await place.engine.hand_over_fills()
            except BaseException as error:  # noqa: BLE001  whatever a strategy raises is a crash
                await self._crashed(place, error)
            await self._settle()

    # Time

    def _set_time(self) -> None:
        self.time.reach((self.tape.now_ns() - self._start_ns) / 1e9)

    def _mark(self, *symbols: str) -> None:
        """Bring the quotes up to date that money is counted at now."""
        desks = self.assembly.desks
        held = [symbol for symbol, desk in desks.items() if desk.book.position]
        self.tape.mark(self.assembly.markets, {*held, *symbols})

    async def _catch_up(self) -> None:
        """Orders that arrive before the event at hand are filled before it."""
        until = (self.tape.now_ns() - self._start_ns) / 1e9
        while (wait := _until_next_deadline()) <= until - self.time.now:
            # One deadline at a time: two at once would wake their tasks in any order.
            # A little beyond it: a sum of floats may fall short of the deadline for ever.
            self.time.reach(self.time.now + wait + 1e-9)
            await wait_all_tasks_blocked()
            await self._hand_over()
        self.time.reach(until)
        self._is_late = self.tape.eager = not math.isinf(_until_next_deadline())

    async def _keep_time(self, now_ms: int) -> None:
        """Everything that is due before the event at market time `now_ms`."""
        if not self.start_ms:
            self.start_ms = now_ms
            self.curve.start(now_ms)
            self._next_sample_ms = self.curve.next_ms(now_ms)
        self._set_time()
        if len(self.first) < len(self.places):
            self._mark(*self.places)
        else:
            self._mark()
        if now_ms >= self._next_look_ms:
            self._next_look_ms = (now_ms // _PERIOD_MS + 1) * _PERIOD_MS
            await self.assembly.gateway.brake.look(self.assembly.gateway.rules.risk)
            await self._settle_brake()
        if now_ms >= self._next_sample_ms:
            self._sample(now_ms)
        if now_ms >= self._next_save_ms:
            self._next_save_ms = (now_ms // SAVE_MS + 1) * SAVE_MS
            for place in self.places.values():
                if place.engine is not None:
                    place.engine.save()
        due_ms = min(self._next_look_ms, self._next_sample_ms, self._next_save_ms)
        for place in self.places.values():
            if place.restart_ms <= now_ms:
                await self._launch(place, now_ms)
            if place.engine is not None and place.engine.on_cycle is not None:
                await self._cycle(place, now_ms)
                if place.engine is not None:
                    due_ms = min(due_ms, place.engine.next_cycle_ms)
            due_ms = min(due_ms, place.restart_ms)
        self._due_ms = due_ms

    async def _settle_brake(self) -> None:
        """The brake may have flattened; mostly it has done nothing."""
        if any(desk.busy for desk in self.assembly.desks.values()):
            await self._settle()

    async def _cycle(self, place: Place, now_ms: int) -> None:
        engine = place.engine
        assert engine is not None
        if now_ms < engine.next_cycle_ms:
            return
        self._mark(place.symbol)
        try:
            with self.time.waiting():
                await engine.cycle(now_ms)
            await self._settle()
        except BaseException as error:  # noqa: BLE001  whatever a strategy raises is a crash
            await self._crashed(place, error)

    def _sample(self, now_ms: int) -> None:
        account = self.assembly.account
        if len(self.first) < len(self.places):
            for symbol, view in self.assembly.markets.items():
                if view.quote is not None:
                    self.first.setdefault(symbol, view.quote)
        self.curve.sample(now_ms, account.equity(), account.gross_notional())
        self._next_sample_ms = self.curve.next_ms(now_ms)

    async def _finish(self) -> None:
        """Mark everything at the last quotes."""
        self._mark(*self.places)
        self.end_ms = self._clock.now_ms()
        if self.start_ms:
            self._sample(self.end_ms)

    # Engines

    async def _launch(self, place: Place, now_ms: int) -> None:
        """A new incarnation, with the state the last one had saved."""
        place.incarnation += 1
        place.restart_ms = NEVER
        engine = self.assembly.launch(place.symbol, place.incarnation)
        desk = self.assembly.desks[place.symbol]
        desk.on_fill = self._fills_of(place, engine.fills.append)
        engine.submit = self._signals_of(place, engine.submit)
        self.assembly.gateway.permit(place.symbol, Permission.ALL)
        try:
            engine.prepare()
        except BaseException as error:  # noqa: BLE001  whatever a strategy raises is a crash
            await self._crashed(place, error)
            return
        place.take(engine, now_ms)
        self._due_ms = min(self._due_ms, now_ms)

    def _fills_of(self, place: Place, take: Callable[[Fill], None]) -> Callable[[Fill], None]:
        def on_fill(fill: Fill) -> None:
            take(fill)
            self._filled.append(place)

        return on_fill

    def _signals_of(
        self, place: Place, submit: Callable[[Signal], None]
    ) -> Callable[[Signal], None]:
        told = self.options.on_signal

        def submit_counted(signal: Signal) -> None:
            place.signals += 1
            if told is not None:
                told(place.symbol, self._clock.now_ms(), signal)
            submit(signal)

        return submit_counted

    async def _crashed(self, place: Place, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt | trio.Cancelled):
            raise error  # Ctrl-C ends the replay, and is nobody's crash
        now_ms = self._clock.now_ms()
        policy = settings.restart_policy(self.config)
        self.assembly.gateway.permit(place.symbol, Permission.NONE)
        place.lose(error, policy, now_ms=now_ms, chance=self._chance())
        await trio.lowlevel.checkpoint()
        if place.restart_ms <= now_ms:
            await self._launch(place, now_ms)
        else:
            self._due_ms = min(self._due_ms, place.restart_ms)


def _until_next_deadline() -> float:
    """Seconds until some task wants to wake up by itself; infinity when none does."""
    return trio.lowlevel.current_statistics().seconds_to_next_deadline


def _tell_nobody(kind: str, text: str, *, engine: str | None = None, **data: object) -> None:
    pass
