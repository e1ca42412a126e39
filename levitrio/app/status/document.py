"""Builds the status document of contracts.md, and the snapshot of all engines for disk.

Everything is read when a reader asks; nothing is kept up to date in between.
"""

import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import attrs
import msgspec
import trio

from levitrio.app.engine_slot import EngineSlot
from levitrio.control.responses import encode
from levitrio.control.status_document import (
    EngineStatus,
    FleetSummary,
    ModelsStatus,
    OpenOrder,
)
from levitrio.gateway.account import Account
from levitrio.gateway.symbol_state import SymbolState
from levitrio.inference.interface import InferenceStatistics
from levitrio.records.logs.event_log import iso_ms
from levitrio.records.metrics.process_stats import ProcessFigures
from levitrio.records.snapshots.snapshot import EngineSnapshot, RegistrySnapshot, encode_engines
from levitrio.records.snapshots.snapshot import encode as encode_registry
from levitrio.supervision.child import Child
from levitrio.supervision.lifecycle import State
from levitrio.supervision.restart import RestartPolicy
from levitrio.trading.amounts import format_amount
from levitrio.venues.binance.market_data.statistics import InputState

SCHEMA = 1

SLICE = 16
"""Engines read between two checkpoints: 1 ms on a busy machine."""


def drawdown(equity: Decimal, peak: Decimal) -> Decimal:
    """How far equity is below its peak, as a fraction with six digits."""
    return max(Decimal(0), (peak - equity) / peak).quantize(_MILLIONTH) if peak > 0 else Decimal(0)


_MILLIONTH = Decimal("0.000001")


def _open_order(state: SymbolState) -> OpenOrder | None:
    """The symbol's resting entry, or the one being sent; None without one."""
    order = state.in_flight
    if order is None or order.price is None:
        return None
    left = state.expires_at - trio.current_time()
    return {
        "client_id": order.client_id,
        "side": order.side.value,
        "type": order.type.value,
        "price": format_amount(order.price),
        "quantity": format_amount(order.quantity),
        "filled": format_amount(state.filled),
        "expires_in": None if math.isinf(left) else round(max(left, 0.0), 3),
    }


def _models(statistics: InferenceStatistics) -> ModelsStatus:
    return {
        "workers": statistics.workers,
        "ready": statistics.ready,
        "calls": statistics.calls,
        "late": statistics.late,
        "wrong": statistics.wrong,
        "lost": statistics.lost,
    }


@attrs.define(eq=False, kw_only=True)
class StatusDocument:
    """Reads children, engine slots and account; keeps nothing."""

    fleet: str
    mode: str
    """`paper`, `simulator` or `live`."""
    orders_to: str
    """The venue that gets the orders, as text for people: `Binance testnet`."""
    data_dir: Path
    slots: Mapping[str, EngineSlot]
    children: Mapping[str, Child]
    account: Account
    policy: Callable[[], RestartPolicy]
    data_age: Callable[[str], float | None]
    input_state: Callable[[str], InputState | None]
    """Counts of a symbol's refused input, its silence and suspension; None without a feed."""
    models: Callable[[], InferenceStatistics]
    wall_ms: Callable[[], int]
    market_ms: Callable[[], int]
    redact: Callable[[str], str] = str
    """Takes secrets out of error texts of strategies."""
    process: ProcessFigures = attrs.field(factory=lambda: ProcessFigures(trio.current_time))

    async def encode(self, symbols: Sequence[str] | None = None) -> bytes:
        """The status document as JSON, with a checkpoint after every `SLICE` engines.

        `symbols` chooses the rows; the totals are always those of the fleet. Without `symbols` the
        totals count the states of the rows, so that they agree. A thousand engines take 20 ms,
        which must not delay other tasks.
        """
        chosen = tuple(self.children) if symbols is None else tuple(symbols)
        states: Counter[str] | None = Counter() if symbols is None else None
        pieces = []
        for start in range(0, len(chosen), SLICE):
            # A reload may have removed an engine at a checkpoint.
            here = [symbol for symbol in chosen[start : start + SLICE] if symbol in self.slots]
            rows = [self.row(symbol) for symbol in here]
            if states is not None:
                states.update(row["status"] for row in rows)
            pieces.append(encode(rows)[1:-1])
            await trio.lowlevel.checkpoint()
        engines = b",".join(piece for piece in pieces if piece)
        return b'%s,"engines":[%s]}' % (encode(self.head(states))[:-1], engines)

    def head(self, states: Mapping[str, int] | None = None) -> FleetSummary:
        """The document without its rows; `states` counts the engines in each state."""
        if states is None:
            states = Counter(child.state.value for child in self.children.values())
        account = self.account
        equity = account.equity()
        return {
            "schema": SCHEMA,
            "fleet": self.fleet,
            "reachable": True,
            "pid": os.getpid(),
            "mode": self.mode,
            "orders_to": self.orders_to,
            "data_dir": os.path.normpath(self.data_dir),
            "trading_state": account.trading_state.value,
            "trading_reason": account.trading_reason,
            "equity": format_amount(equity),
            "daily_pnl": format_amount(equity - account.day_start_equity()),
            "drawdown": format_amount(drawdown(equity, account.peak_equity)),
            "process": self.process.document(),
            "models": _models(self.models()),
            "market_time": iso_ms(self.market_ms()) if self.market_ms() else None,
            "total": sum(states.values()),
            "stopped": states.get(State.STOPPED, 0),
            "starting": states.get(State.STARTING, 0),
            "running": states.get(State.RUNNING, 0),
            "paused": states.get(State.PAUSED, 0),
            "stopping": states.get(State.STOPPING, 0),
            "crashed": states.get(State.CRASHED, 0),
            "failed": states.get(State.FAILED, 0),
            "stuck": states.get(State.STUCK, 0),
        }

    def row(self, symbol: str) -> EngineStatus:
        """One engine's row of the document."""
        child, slot = self.children[symbol], self.slots[symbol]
        position, quote = slot.symbol_state.position, slot.market.quote
        beat_age, data_age = child.heartbeat_age, self.data_age(symbol)
        inbox, price = slot.inbox.statistics(), slot.market.last_trade
        unrealized = position.unrealized_pnl(quote)
        total = position.realized_pnl + unrealized
        next_restart_in, state = child.next_restart_in, self.input_state(symbol)
        last_beat = None if beat_age is None else iso_ms(self.wall_ms() - round(beat_age * 1000))
        return {
            "symbol": symbol,
            "status": child.state.value,
            "wanted": child.wanted.value,
            "incarnation": child.incarnation,
            "restarts": child.crashes.restarts(self.policy(), trio.current_time()),
            "next_restart_in": None if next_restart_in is None else round(next_restart_in, 3),
            "uptime_seconds": round(child.uptime, 3),
            "last_heartbeat": last_beat,
            "heartbeat_age": None if beat_age is None else round(beat_age, 3),
            "error_count": child.error_count,
            "last_error": self.redact(child.last_error) or None,
            "failed": child.failed,
            "waiting_for": list(child.waiting_for),
            "ticks": inbox.delivered_trades,
            "ticks_dropped": inbox.dropped,
            "queued": inbox.queued,
            "data_age": None if data_age is None else round(data_age, 3),
            "stale": state is not None and state.is_stale,
            "suspended": state is not None and state.is_suspended,
            "dropped_input": {} if state is None else dict(state.dropped),
            "late_trades": 0 if state is None else state.late_trades,
            "price": None if price is None else format_amount(price),
            "position": format_amount(position.quantity),
            "average_entry": format_amount(position.average_entry),
            "unrealized_pnl": format_amount(unrealized),
            "realized_pnl": format_amount(position.realized_pnl),
            "daily_pnl": format_amount(total - position.day_start_pnl),
            "total_pnl": format_amount(total),
            "trade_count": position.trade_count,
            "open_order": _open_order(slot.symbol_state),
            "denials": dict(slot.symbol_state.denials),
            "blocks": sorted(slot.symbol_state.blocks),
            "strategy": slot.config.strategy,
        }

    async def snapshot(self) -> msgspec.Raw:
        """The registry as it is written to disk, with a checkpoint after every `SLICE` engines.

        Engines of different slices are read at different moments; only the journal must be exact.
        Each slice is encoded at once: a thousand live values would start a garbage collection.
        """
        head = RegistrySnapshot(
            fleet=self.fleet,
            saved_at=datetime.fromtimestamp(self.wall_ms() / 1000, UTC),
            market_ms=self.market_ms(),
            trading_state=self.account.trading_state.value,
            engines=(),
        )
        symbols, pieces = tuple(self.children), []
        for start in range(0, len(symbols), SLICE):
            here = [symbol for symbol in symbols[start : start + SLICE] if symbol in self.slots]
            pieces.append(encode_engines([self._engine_snapshot(symbol) for symbol in here]))
            await trio.lowlevel.checkpoint()
        return encode_registry(head, pieces)

    def _engine_snapshot(self, symbol: str) -> EngineSnapshot:
        child, slot = self.children[symbol], self.slots[symbol]
        position, quote = slot.symbol_state.position, slot.market.quote
        return EngineSnapshot(
            symbol=symbol,
            status=child.state.value,
            wanted=child.wanted.value,
            incarnation=child.incarnation,
            restarts=child.crashes.restarts(self.policy(), trio.current_time()),
            last_error=self.redact(child.last_error) or None,
            position=position.quantity,
            average_entry=position.average_entry,
            mark=None if quote is None else position.mark(quote),
            realized_pnl=position.realized_pnl,
            total_pnl=position.total_pnl(quote),
            trade_count=position.trade_count,
            strategy_state=slot.saved_state,
        )
