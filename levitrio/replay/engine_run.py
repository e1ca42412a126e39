"""One engine in a replay: its incarnations, its crashes, and the events it handles."""

from collections.abc import Callable
from typing import Any

import attrs

from levitrio.app.engine_slot import EngineSlot
from levitrio.engine.engine import Engine
from levitrio.strategies.base import Reply
from levitrio.supervision.crash import Crash, capture
from levitrio.supervision.restart import CrashLog, Restart, RestartPolicy
from levitrio.trading.market import Bar, Quote, Trade
from levitrio.trading.market_view import MarketView
from levitrio.trading.orders import Fill

Handler = Callable[[Any], Reply]

NEVER = 2**63


@attrs.frozen(kw_only=True)
class CrashLine:
    """One crash of an engine, for the report."""

    symbol: str
    time_ms: int
    """Market time, ms since 1970."""
    error: str
    place: str
    """`file:line in function`, the innermost frame."""
    restarts_in: float | None
    """Seconds; None: given up."""


@attrs.define(eq=False, kw_only=True)
class EngineRun:
    """What a replay keeps of one engine, over all of its incarnations."""

    slot: EngineSlot
    warm_up: int
    """Bars that are left until its signals count."""
    view: MarketView = attrs.field(init=False)
    engine: Engine | None = None
    """None while it waits for its restart, or after it was given up."""
    on_trade: Handler | None = None
    on_quote: Handler | None = None
    on_bar: Handler | None = None
    wants_fills: bool = False
    """Whether its strategy has `on_fill`."""
    incarnation: int = 0
    started_ms: int = 0
    restart_ms: int = NEVER
    """When the next incarnation is due, in market ms."""
    trades: int = 0
    signals: int = 0
    crashes: list[CrashLine] = attrs.field(factory=list)
    _log: CrashLog = attrs.field(factory=CrashLog)

    def __attrs_post_init__(self) -> None:
        self.view = self.slot.market

    @property
    def symbol(self) -> str:
        """The engine's symbol."""
        return self.slot.config.symbol

    @property
    def has_failed(self) -> bool:
        """Whether it was given up."""
        return self.engine is None and self.restart_ms == NEVER and self.incarnation > 0

    def take(self, engine: Engine, now_ms: int) -> None:
        """Start a prepared engine: look up its handlers, note the time."""
        self.engine = engine
        handlers = engine.handlers
        self.on_trade, self.on_quote, self.on_bar = map(handlers.get, (Trade, Quote, Bar))
        self.wants_fills = Fill in handlers
        if self.on_bar is None:
            self.warm_up = 0  # nothing to warm up with
        self.started_ms = now_ms
        self.restart_ms = NEVER
        if self.incarnation > 1:
            self._log.restarted(now_ms / 1000)

    def lose(
        self, error: BaseException, policy: RestartPolicy, *, now_ms: int, chance: float
    ) -> CrashLine:
        """Record a crash and when the next incarnation is due.

        Args:
            error: what left the strategy; not kept.
            policy: decides whether and when the engine is restarted.
            now_ms: market time, ms since 1970.
            chance: a random number in [0, 1), for the jitter.
        """
        crash: Crash = capture(error)
        ran = 0.0 if self.engine is None else (now_ms - self.started_ms) / 1000
        self.engine = self.on_trade = self.on_quote = self.on_bar = None
        decision = self._log.crashed(policy, now=now_ms / 1000, ran=ran, chance=chance)
        delay = decision.delay if isinstance(decision, Restart) else None
        self.restart_ms = NEVER if delay is None else now_ms + round(delay * 1000)
        file, line, function = crash.frames[-1] if crash.frames else ("?", 0, "?")
        crash_line = CrashLine(
            symbol=self.symbol,
            time_ms=now_ms,
            error=crash.error,
            place=f"{file}:{line} in {function}",
            restarts_in=delay,
        )
        self.crashes.append(crash_line)
        return crash_line
