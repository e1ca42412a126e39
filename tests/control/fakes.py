"""A fake fleet for tests that need one behind a control socket."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import attrs
import trio

from levitrio.control import error_codes
from levitrio.control.answers import Incident, RiskStatus, TradingAnswer
from levitrio.control.fleet_interface import CommandResult, EventBatch, Peer, Verb
from levitrio.control.responses import encode
from levitrio.control.status_document import FleetStatus, FleetSummary
from levitrio.errors import ControlError

_AFTER = {
    "start": ("started", "running"),
    "stop": ("stopped", "stopped"),
    "restart": ("restarted", "running"),
    "pause": ("paused", "paused"),
    "resume": ("resumed", "running"),
    "reset": ("reset", "running"),
}


@attrs.define(eq=False)
class FakeFleet:
    """Implements the port. `failed` engines refuse, `slow` delays commands, `bug` raises."""

    wanted: dict[str, str]
    name: str = "demo"
    failed: set[str] = attrs.field(factory=set)
    never_ready: set[str] = attrs.field(factory=set)
    last_error: str = ""
    slow: float = 0.0
    bug: Exception | None = None
    commands: list[tuple[str, tuple[str, ...], Peer]] = attrs.field(factory=list)
    kept_events: list[dict[str, Any]] = attrs.field(factory=list)
    dropped_events: int = 0
    padding: str = ""
    mode: str = "paper"
    orders_to: str = "paper"
    followed: trio.Event = attrs.field(factory=trio.Event)
    """Set once a client waits for an event."""
    _changed: trio.Event = attrs.field(factory=trio.Event)

    def symbols(self) -> Collection[str]:
        return self.wanted.keys()

    async def status(self, symbols: Sequence[str] | None) -> bytes:
        await trio.lowlevel.checkpoint()
        chosen = self.wanted if symbols is None else symbols
        engines = [self._engine(symbol) for symbol in chosen]
        return encode({**self.summary(), "engines": engines})

    def document(self) -> FleetStatus:
        """What `status` answers for all engines."""
        engines = [self._engine(symbol) for symbol in self.wanted]
        return cast(FleetStatus, {**self.summary(), "engines": engines})

    def summary(self) -> FleetSummary:
        if self.bug is not None:
            raise self.bug
        states = Counter(self._engine(symbol)["status"] for symbol in self.wanted)
        summary = {
            "schema": 1,
            "fleet": self.name,
            "reachable": True,
            "pid": 4711,
            "mode": self.mode,
            "orders_to": self.orders_to,
            "trading_state": "active",
            "equity": "10012.75",
            "total": len(self.wanted),
            **{state: states[state] for state in ("running", "paused", "failed", "stopped")},
            "padding": self.padding,
        }
        return cast(FleetSummary, summary)

    async def command(
        self, verb: Verb, symbols: Sequence[str], peer: Peer
    ) -> Sequence[CommandResult]:
        self.commands.append((verb, tuple(symbols), peer))
        await trio.sleep(self.slow)
        found = []
        for symbol in symbols:
            done, wanted = _AFTER[verb]
            refused = symbol in self.failed and verb in ("start", "restart")
            if not refused:
                self.wanted[symbol] = wanted
                self.failed.discard(symbol)
            found.append(
                CommandResult(
                    symbol=symbol,
                    ok=not refused,
                    status="failed" if refused else done,
                    reason="it was given up" if refused else "",
                    hint=f"levi ctl reset {symbol}" if refused else "",
                )
            )
        self.emit("command", verb)
        return found

    async def wait_as_wanted(self, symbols: Sequence[str], timeout: float) -> Sequence[str]:
        late = [symbol for symbol in symbols if symbol in self.never_ready]
        if late:
            await trio.sleep(timeout)
        return late

    async def reload(
        self, *, dry_run: bool, flatten: bool, keep_position: bool, peer: Peer
    ) -> Mapping[str, Any]:
        raise ControlError(error_codes.REFUSED, "nothing to reload")

    def risk(self) -> RiskStatus:
        risk = {"trading_state": "active", "limits": {"max_daily_loss": "0.03"}, "denials": []}
        return cast(RiskStatus, risk)

    async def halt(self, reason: str, peer: Peer) -> TradingAnswer:
        self.commands.append(("halt", (reason,), peer))
        return {"ok": True, "trading_state": "halted", "reason": reason}

    async def unhalt(self, peer: Peer) -> TradingAnswer:
        self.commands.append(("unhalt", (), peer))
        return cast(TradingAnswer, {"ok": True, "trading_state": "active"})

    async def flatten(self, symbols: Sequence[str], peer: Peer) -> Sequence[CommandResult]:
        return [CommandResult(symbol=symbol, ok=True, status="flattening") for symbol in symbols]

    async def history(self, symbol: str, limit: int) -> Sequence[Incident]:
        incidents = [
            {
                "symbol": symbol,
                "incarnation": 1,
                "cause": "crash",
                "error": "ValueError: \x1b[2Jbad",
                "traceback": "Traceback:\n  a.py:1\n",
                "delay": None,
                "wall_ms": 1_795_342_500_000,
            }
        ]
        return cast(list[Incident], incidents[:limit])

    def events(self, since: int | None, limit: int) -> EventBatch:
        newest = self.dropped_events + len(self.kept_events)
        start = max(newest - limit, 0) if since is None else since
        missed = max(0, self.dropped_events - start) if since is not None else 0
        found = [event for event in self.kept_events if event["seq"] > start][:limit]
        last = found[-1]["seq"] if found else newest
        return EventBatch(events=found, next_since=last, missed=missed)

    async def wait_event(self, since: int) -> None:
        self.followed.set()
        while self.dropped_events + len(self.kept_events) <= since:
            await self._changed.wait()
        await trio.lowlevel.checkpoint()

    async def metrics(self) -> str:
        await trio.lowlevel.checkpoint()
        return "levitrio_engines 2\n"

    async def shutdown(self, grace: float | None, peer: Peer) -> None:
        self.commands.append(("shutdown", (), peer))

    def emit(self, kind: str, text: str) -> None:
        """Append one event and wake the clients that follow."""
        seq = self.dropped_events + len(self.kept_events) + 1
        self.kept_events.append({"seq": seq, "time": "t", "kind": kind, "text": text})
        self._changed.set()
        self._changed = trio.Event()

    def forget_events(self, count: int) -> None:
        """Drop the oldest, as a bounded log does."""
        del self.kept_events[:count]
        self.dropped_events += count

    def _engine(self, symbol: str) -> dict[str, Any]:
        wanted = self.wanted[symbol]
        return {
            "symbol": symbol,
            "status": "failed" if symbol in self.failed else wanted,
            "wanted": wanted,
            "incarnation": 1,
            "restarts": 0,
            "uptime_seconds": 75.0,
            "position": "0.5",
            "total_pnl": "12.75",
            "last_error": self.last_error,
        }
