"""The engines of a replay: their births, their crashes, their fills and signals."""

from collections import deque
from collections.abc import Callable

import attrs
import trio

from levitrio.app import settings
from levitrio.app.assembly import Assembly
from levitrio.replay.engine_run import NEVER, EngineRun
from levitrio.strategies.base import Signal
from levitrio.supervision.restart import RestartPolicy
from levitrio.trading.orders import Fill
from levitrio.trading.risk import Permission

OnSignal = Callable[[str, int, Signal], None]
"""Called with symbol, market time in ms and the signal, for each that is submitted."""


@attrs.define(eq=False)
class EngineRuns:
    """One place for each engine of the fleet; crashes are answered by its restart policy."""

    assembly: Assembly
    chance: Callable[[], float]
    on_signal: OnSignal | None = None
    engine_runs: dict[str, EngineRun] = attrs.field(init=False)
    filled: deque[EngineRun] = attrs.field(factory=deque, init=False)
    """Those with fills that were not handed over."""
    restart_ms: int = NEVER
    """When the next restart is due, in market ms."""
    _policy: RestartPolicy = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        config = self.assembly.config
        self._policy = settings.restart_policy(config)
        intervals = len(settings.kline_intervals(config))
        self.engine_runs = {
            symbol: EngineRun(slot=slot, warm_up=slot.config.warm_up * intervals)
            for symbol, slot in self.assembly.slots.items()
        }

    def launch_all(self) -> None:
        """The first incarnation of each, before the first event."""
        for engine_run in self.engine_runs.values():
            self.launch(engine_run)

    def restart_due(self, now_ms: int) -> None:
        """The next incarnation of those whose pause is over."""
        if now_ms < self.restart_ms:
            return
        for engine_run in self.engine_runs.values():
            if engine_run.restart_ms <= now_ms:
                self.launch(engine_run)
        self.restart_ms = min(engine_run.restart_ms for engine_run in self.engine_runs.values())

    def launch(self, engine_run: EngineRun) -> None:
        """A new incarnation, with the state the last one had saved."""
        engine_run.incarnation += 1
        engine_run.restart_ms = NEVER
        engine = self.assembly.launch(engine_run.symbol, engine_run.incarnation)
        engine.submit = self._signals_of(engine_run, engine.submit)
        state = self.assembly.symbol_states[engine_run.symbol]
        state.on_fill = self._fills_of(engine_run, engine.fills.append)
        self.assembly.gateway.permit(engine_run.symbol, Permission.ALL)
        try:
            engine.prepare()
        except BaseException as error:  # noqa: BLE001  whatever a strategy raises is a crash
            self.crashed(engine_run, error)
            return
        engine_run.take(engine, self.assembly.market_clock.now_ms())

    def crashed(self, engine_run: EngineRun, error: BaseException) -> None:
        """Something left a method of the strategy: a crash, unless it is Ctrl-C.

        Raises the error again when it is meant for the replay as a whole.
        """
        if isinstance(error, KeyboardInterrupt | trio.Cancelled):
            raise error
        now_ms = self.assembly.market_clock.now_ms()
        self.assembly.gateway.permit(engine_run.symbol, Permission.NONE)
        engine_run.lose(error, self._policy, now_ms=now_ms, chance=self.chance())
        if engine_run.restart_ms <= now_ms:
            self.launch(engine_run)
        else:
            self.restart_ms = min(self.restart_ms, engine_run.restart_ms)

    def _fills_of(
        self, engine_run: EngineRun, take: Callable[[Fill], None]
    ) -> Callable[[Fill], None]:
        def on_fill(fill: Fill) -> None:
            if engine_run.wants_fills:
                take(fill)
                self.filled.append(engine_run)

        return on_fill

    def _signals_of(
        self, engine_run: EngineRun, submit: Callable[[Signal], None]
    ) -> Callable[[Signal], None]:
        told = self.on_signal

        def submit_counted(signal: Signal) -> None:
            if engine_run.warm_up:
                return
            engine_run.signals += 1
            if told is not None:
                told(engine_run.symbol, self.assembly.market_clock.now_ms(), signal)
            submit(signal)

        return submit_counted
