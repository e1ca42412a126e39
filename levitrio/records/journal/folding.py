"""Folds the journal's entries into the `History` that a start needs. Pure.

Every start uses it, after a clean stop as after `kill -9`.
"""

from collections import deque
from collections.abc import Iterable
from decimal import Decimal

from levitrio.records.journal.entries import (
    DayEntry,
    Entry,
    EquityEntry,
    FailedEntry,
    HaltEntry,
    History,
    IncidentEntry,
    IntentEntry,
    MarketTimeEntry,
    OpenOrder,
    OutcomeEntry,
    WantedEntry,
)
from levitrio.trading.orders import NEXT, Fill, OrderStatus

CRASHES_KEPT = 1_000
"""Per symbol; far above any `max_restarts`, so it bounds memory and changes no decision."""


def fold(entries: Iterable[Entry]) -> History:
    """Fold entries, given in journal order, into a history."""
    folding = _Folding()
    for entry in entries:
        folding.add(entry)
    return folding.history()


class _Folding:
    def __init__(self) -> None:
        self.fills: list[Fill] = []
        self.open_orders: dict[str, OpenOrder] = {}
        self.wanted: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self.crashes: dict[str, deque[int]] = {}
        self.last_errors: dict[str, str] = {}
        self.trading_state = "active"
        self.trading_reason = ""
        self.days: dict[str, tuple[str, Decimal]] = {}
        self.equity: EquityEntry | None = None
        self.market_ms = 0

    def add(self, entry: Entry) -> None:
        match entry:
            case IntentEntry():
                self.open_orders[entry.order.client_id] = OpenOrder(
                    seq=entry.seq, order=entry.order, status=OrderStatus.INTENDED
                )
            case OutcomeEntry():
                self._add_outcome(entry)
            case IncidentEntry():
                self.last_errors[entry.symbol] = entry.error
                if entry.counts:
                    kept = self.crashes.setdefault(entry.symbol, deque(maxlen=CRASHES_KEPT))
                    kept.append(entry.wall_ms)
            case WantedEntry():
                self.wanted[entry.symbol] = entry.wanted
            case FailedEntry(reason=None):
                self.failed.pop(entry.symbol, None)
                self.crashes.pop(entry.symbol, None)
            case FailedEntry(reason=str(reason)):
                self.failed[entry.symbol] = reason
            case HaltEntry():
                self.trading_state, self.trading_reason = entry.trading_state, entry.reason
            case DayEntry():
                self.days[entry.symbol] = (entry.day, entry.total_pnl)
            case EquityEntry():
                self.equity = entry
            case MarketTimeEntry():
                self.market_ms = max(self.market_ms, entry.market_ms)
            case _:
                pass  # a command is only an audit record: what it changed has its own entry

    def _add_outcome(self, entry: OutcomeEntry) -> None:
        self.fills.extend(entry.fills)
        found = self.open_orders.get(entry.client_id)
        if found is None:
            return  # the order has ended: a late outcome may add fills, but never reopens it
        if not NEXT[entry.status]:
            del self.open_orders[entry.client_id]
        else:
            self.open_orders[entry.client_id] = OpenOrder(
                seq=found.seq, order=found.order, status=entry.status
            )

    def history(self) -> History:
        return History(
            fills=tuple(self.fills),
            open_orders=tuple(sorted(self.open_orders.values(), key=lambda order: order.seq)),
            wanted=self.wanted,
            failed=self.failed,
            crashes={symbol: tuple(times) for symbol, times in self.crashes.items()},
            last_errors=self.last_errors,
            trading_state=self.trading_state,
            trading_reason=self.trading_reason,
            days=self.days,
            equity=self.equity,
            market_ms=self.market_ms,
        )
