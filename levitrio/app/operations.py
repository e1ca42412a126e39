"""What an operator can read of a running fleet and do to it, over the control socket."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import msgspec
import trio

from levitrio.app.assembly import Assembly
from levitrio.app.reload import Positions, Reloader, describe
from levitrio.control import error_codes
from levitrio.control.answers import Incident, RiskStatus, TradingAnswer
from levitrio.control.fleet_interface import CommandResult, EventBatch, Peer, Verb
from levitrio.control.status_document import FleetSummary
from levitrio.errors import ControlError, JournalUnavailable
from levitrio.records.journal.entries import CommandEntry, IncidentEntry
from levitrio.records.logs.event_log import iso_ms
from levitrio.supervision.commands import Refusal
from levitrio.trading.amounts import format_amount
from levitrio.trading.risk import TradingState

_DONE: Mapping[Verb, str] = {
    "start": "started",
    "stop": "stopped",
    "restart": "restarted",
    "pause": "paused",
    "resume": "resumed",
    "reset": "reset",
}


@attrs.define(eq=False, kw_only=True)
class Operations:
    """Implements the control plane's `FleetApi` for one running fleet."""

    assembly: Assembly
    end: Callable[[float | None], None]
    """Begins the shutdown. Its argument is the grace in seconds; None: as configured."""

    @property
    def name(self) -> str:
        """The fleet's name."""
        return self.assembly.config.fleet.name

    def symbols(self) -> Collection[str]:
        """The symbols of all engines, as a live view."""
        return self.assembly.slots.keys()

    async def status(self, symbols: Sequence[str] | None) -> bytes:
        """The status document as JSON, with the rows of `symbols`; None: of all engines."""
        if symbols is None:
            return await self.assembly.status.encoded()
        return await self.assembly.status_document.encode(symbols)

    def summary(self) -> FleetSummary:
        """The status document without its rows."""
        return self.assembly.status_document.head()

    async def command(
        self, verb: Verb, symbols: Sequence[str], peer: Peer
    ) -> Sequence[CommandResult]:
        """Start, stop, restart, pause, resume or reset engines; one result for each symbol.

        Cancelled, some engines have obeyed and some have not; the command is journaled.

        Raises:
            ControlError: The journal cannot keep the command; nothing was changed.
        """
        await self._journal(verb, peer, symbols=list(symbols))
        supervisor = self.assembly.supervisor
        act: Mapping[Verb, Callable[[str], Awaitable[Refusal | None]]] = {
            "start": supervisor.start,
            "stop": supervisor.stop,
            "restart": supervisor.restart,
            "pause": supervisor.pause,
            "resume": supervisor.resume,
            "reset": self._reset,
        }
        results: dict[str, CommandResult] = {}

        async def carry_out(symbol: str) -> None:
            results[symbol] = self._result(verb, symbol, await act[verb](symbol))

        # All at once: their records become durable in one commit, not one after the other.
        async with trio.open_nursery() as nursery:
            for symbol in symbols:
                nursery.start_soon(carry_out, symbol)
        self.assembly.status.forget()  # the next status shows what the command did
        return [results[symbol] for symbol in symbols]

    async def _reset(self, symbol: str) -> Refusal | None:
        """Forget an engine's crashes, and lift the block for orders that are not ours."""
        refusal = await self.assembly.supervisor.reset(symbol)
        if refusal is None:
            self.assembly.gateway.forgive(symbol)
        return refusal

    def _result(self, verb: Verb, symbol: str, refusal: Refusal | None) -> CommandResult:
        if refusal is None:
            return CommandResult(symbol=symbol, ok=True, status=_DONE[verb])
        hint = f"levi ctl {refusal.hint} {symbol}" if refusal.hint else ""
        state = self.assembly.supervisor.children[symbol].state.value
        return CommandResult(
            symbol=symbol, ok=False, status=state, reason=refusal.reason, hint=hint
        )

    async def wait_as_wanted(self, symbols: Sequence[str], timeout: float) -> Sequence[str]:
        """Wait until engines are as wanted; returns the symbols that are not after `timeout` s."""
        late: set[str] = set()

        async def wait(symbol: str) -> None:
            if not await self.assembly.supervisor.wait_as_wanted(symbol, timeout):
                late.add(symbol)

        async with trio.open_nursery() as nursery:
            for symbol in symbols:
                nursery.start_soon(wait, symbol)
        return [symbol for symbol in symbols if symbol in late]

    async def reload(
        self, *, dry_run: bool, flatten: bool, keep_position: bool, peer: Peer
    ) -> Mapping[str, Any]:
        """Put a changed fleet.toml in force, or only say what it would change.

        Args:
            dry_run: Change nothing.
            flatten: Close the positions of engines that are no longer in the file.
            keep_position: Remove such engines and keep their positions.
            peer: The process that asks.

        Raises:
            ControlError: The file is bad, a removed engine holds a position and neither `flatten`
                nor `keep_position` is set, or the journal cannot keep the command.
        """
        reloader = Reloader(assembly=self.assembly)
        config, changes = reloader.read()
        holding = reloader.holding(changes)
        if not dry_run:
            await self._journal("reload", peer)
            positions: Positions = "flatten" if flatten else "keep" if keep_position else "refuse"
            await reloader.apply(config, changes, positions)
        return describe(changes, dry_run=dry_run, holding=holding)

    def risk(self) -> RiskStatus:
        """The account's equity, exposure, denials and limits."""
        account, rules = self.assembly.account, self.assembly.gateway.rules
        equity, day_start = account.equity(), account.day_start_equity()
        denials: dict[str, int] = {}
        for state in account.symbol_states.values():
            for reason, count in state.denials.items():
                denials[reason] = denials.get(reason, 0) + count
        return {
            "trading_state": account.trading_state.value,
            "reason": account.trading_reason,
            "equity": format_amount(equity),
            "capital": format_amount(account.capital),
            "is_capital_known": account.is_capital_known,
            "daily_pnl": format_amount(equity - day_start),
            "peak_equity": format_amount(account.peak_equity),
            "gross_exposure": format_amount(account.gross_notional()),
            "open_positions": account.open_positions(),
            "orders_last_minute": account.orders_last_minute(trio.current_time()),
            "denials": denials,
            "limits": {
                name: value if isinstance(value, int | float | str) else str(value)
                for name, value in attrs.asdict(rules.risk).items()
            },
        }

    async def halt(self, reason: str, peer: Peer) -> TradingAnswer:
        """Halt trading at once, then journal it.

        Raises:
            ControlError: The journal cannot keep the halt, which is in force all the same.
        """
        reason = reason or "by the operator"
        # Halt before anything is written: a slow or broken journal must not delay it.
        self.assembly.gateway.halt_now(reason)
        await self._journal("halt", peer, reason=reason)
        with _refused_without_journal():
            await self.assembly.gateway.set_trading_state(TradingState.HALTED, reason)
        return self._trading()

    async def unhalt(self, peer: Peer) -> TradingAnswer:
        """Let the fleet trade again.

        Raises:
            ControlError: The journal cannot keep it; the fleet stays halted.
        """
        await self._journal("unhalt", peer)
        with _refused_without_journal():
            await self.assembly.gateway.unhalt()
        return self._trading()

    def _trading(self) -> TradingAnswer:
        account = self.assembly.account
        state = account.trading_state.value
        return {"ok": True, "trading_state": state, "reason": account.trading_reason}

    async def flatten(self, symbols: Sequence[str], peer: Peer) -> Sequence[CommandResult]:
        """Begin to close positions at the market; returns before the orders have filled.

        Raises:
            ControlError: The journal cannot keep the command; nothing was sent.
        """
        await self._journal("flatten", peer, symbols=list(symbols))
        results = []
        for symbol in symbols:
            sent = self.assembly.gateway.flatten(symbol)
            closed = self.assembly.symbol_states[symbol].closed
            status = "flat" if not sent else "waiting" if closed else "flattening"
            reason = f"the venue says {closed[:40]}" if sent and closed else ""
            results.append(CommandResult(symbol=symbol, ok=True, status=status, reason=reason))
        return results

    async def history(self, symbol: str, limit: int) -> Sequence[Incident]:
        """An engine's newest incidents, at most `limit`.

        Raises:
            ControlError: The journal cannot be read.
        """
        with _refused_without_journal():
            incidents = await self.assembly.journal.incidents(symbol, limit)
        return [_incident(entry) for entry in incidents]

    def events(self, since: int | None, limit: int) -> EventBatch:
        """At most `limit` events after number `since`; None: the newest ones."""
        log = self.assembly.events
        cursor = max(0, log.last_seq - limit) if since is None else since
        backlog = log.since(cursor, limit)
        newest = backlog.events[-1].seq if backlog.events else log.last_seq
        return EventBatch(
            events=[event.as_dict() for event in backlog.events],
            next_since=newest,
            missed=0 if since is None else backlog.missed,
        )

    async def wait_event(self, since: int) -> None:
        """Wait until there is an event with a number above `since`."""
        await self.assembly.events.wait_newer(since)

    async def metrics(self) -> str:
        """Prometheus text.

        Raises:
            ControlError: The extra `http` is not installed.
        """
        return (await self.assembly.metrics_exporter.scrape()).decode()

    async def shutdown(self, grace: float | None, peer: Peer) -> None:
        """Begin the shutdown. `grace` in seconds; None: as configured."""
        # Not awaited: a full disk must not keep a fleet alive.
        self.assembly.journal.append_nowait(self._entry("shutdown", peer, {"grace": grace}))
        self.assembly.tell("shutdown", f"asked by process {peer.pid}", pid=peer.pid, uid=peer.uid)
        self.end(grace)

    async def _journal(self, method: str, peer: Peer, **params: object) -> None:
        with _refused_without_journal():
            await self.assembly.journal.append(self._entry(method, peer, params))

    def _entry(self, method: str, peer: Peer, params: Mapping[str, object]) -> CommandEntry:
        return CommandEntry(
            method=method,
            params=msgspec.json.encode(params).decode(),
            pid=peer.pid,
            uid=peer.uid,
            wall_ms=self.assembly.wall_ms(),
        )


def _incident(entry: IncidentEntry) -> Incident:
    return {
        "time": iso_ms(entry.wall_ms),
        "symbol": entry.symbol,
        "incarnation": entry.incarnation,
        "cause": entry.cause,
        "error": entry.error,
        "traceback": entry.traceback,
        "last_lines": entry.last_lines,
        "counts": entry.counts,
        "delay": entry.delay,
        "wall_ms": entry.wall_ms,
    }


@contextmanager
def _refused_without_journal() -> Iterator[None]:
    """Turn the journal's refusal into a ControlError with the journal's text."""
    try:
        yield
    except JournalUnavailable as exc:
        raise ControlError(
            error_codes.REFUSED, f"the journal cannot keep the command: {exc}", "levi ctl events"
        ) from exc
