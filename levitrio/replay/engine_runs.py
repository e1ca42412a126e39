"""The engines of a replay: launches, crashes and restarts, fills and signals."""

from collections import deque
from collections.abc import Callable, Mapping

import attrs
import trio

from levitrio.app import settings
from levitrio.app.assembly import Assembly
from levitrio.app.engine_hooks import Submit, TakeFill
from levitrio.engine.engine import Engine
from levitrio.replay.engine_run import NEVER, EngineRun
from levitrio.strategies.base import Signal
from levitrio.supervision.restart import RestartPolicy
from levitrio.trading.orders import Fill
from levitrio.trading.risk import Permission

OnSignal = Callable[[str, int, Signal], None]
"""Called with symbol, market time in ms and the signal, for each that an engine submits."""


@attrs.define(eq=False)
class ReplayHooks:
    """Counts the signals of each engine, and notes which engines have fills to take.

    Made before the assembly; `EngineRuns` fills `engine_runs` before the first launch.
    """

    market_ms: Callable[[], int]
    """The market clock, ms since 1970."""
    on_signal: OnSignal | None = None
    engine_runs: dict[str, EngineRun] = attrs.field(factory=dict)
    filled: deque[EngineRun] = attrs.field(factory=deque)
    """Engines with fills that were not handed over."""

    def submit(self, symbol: str, submit: Submit) -> Submit:
        """Return the gateway's, with the signals counted; a warm-up's signals are dropped."""
        engine_run, on_signal, market_ms = self.engine_runs[symbol], self.on_signal, self.market_ms

        def submit_counted(signal: Signal) -> None:
            if engine_run.warm_up:
                return
            engine_run.signals += 1
            if on_signal is not None:
                on_signal(symbol, market_ms(), signal)
            submit(signal)

        return submit_counted

    def take_fill(self, engine: Engine) -> TakeFill:
        """Return what keeps a fill until the step that caused it has ended."""
        engine_run, take = self.engine_runs[engine.symbol], engine.fills.append

        def on_fill(fill: Fill) -> None:
            if engine_run.wants_fills:
                take(fill)
                self.filled.append(engine_run)

        return on_fill


@attrs.define(eq=False)
class EngineRuns:
    """Launches and restarts the engines of a replay by the fleet's restart policy."""

    assembly: Assembly
    chance: Callable[[], float]
    hooks: ReplayHooks
    restart_ms: int = NEVER
    """When the next restart is due, in market ms."""
    _policy: RestartPolicy = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        config = self.assembly.config
        self._policy = settings.restart_policy(config)
        intervals = len(settings.kline_intervals(config))
        self.hooks.engine_runs.update(
            (symbol, EngineRun(slot=slot, warm_up=slot.config.warm_up * intervals))
            for symbol, slot in self.assembly.slots.items()
        )

    @property
    def engine_runs(self) -> Mapping[str, EngineRun]:
        """By symbol, in the order of the file."""
        return self.hooks.engine_runs

    @property
    def filled(self) -> deque[EngineRun]:
        """Engines with fills that were not handed over."""
        return self.hooks.filled

    def launch_all(self) -> None:
        """Launch the first incarnation of each engine, before the first event."""
        for engine_run in self.engine_runs.values():
            self.launch(engine_run)

    def restart_due(self, now_ms: int) -> None:
        """Launch the next incarnation of the engines whose backoff is over."""
        if now_ms < self.restart_ms:
            return
        for engine_run in self.engine_runs.values():
            if engine_run.restart_ms <= now_ms:
                self.launch(engine_run)
        self.restart_ms = min(engine_run.restart_ms for engine_run in self.engine_runs.values())

    def launch(self, engine_run: EngineRun) -> None:
        """Launch a new incarnation, with the state that the last one had saved."""
        engine_run.incarnation += 1
        engine_run.restart_ms = NEVER
        engine = self.assembly.launch(engine_run.symbol, engine_run.incarnation)
        self.assembly.gateway.permit(engine_run.symbol, Permission.ALL)
        try:
            engine.prepare()
        except BaseException as error:  # noqa: BLE001  whatever a strategy raises is a crash
            self.crashed(engine_run, error)
            return
        engine_run.take(engine, self.assembly.market_clock.now_ms())

    def crashed(self, engine_run: EngineRun, error: BaseException) -> None:
        """Handle what left a method of the strategy: a crash.

        Raises:
            BaseException: The same again when it ends the replay: Ctrl-C, or cancellation.
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
