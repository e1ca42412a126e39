"""Journal entries: one frozen value per kind of record.

Everything of a fleet that must survive `kill -9` is one of these. Wall times are ms since 1970,
shown to people and used for ages; market times are those of the venue's market data.
"""

from decimal import Decimal

import attrs

from levitrio.trading.orders import Fill, Order, OrderStatus


@attrs.frozen(kw_only=True)
class IntentEntry:
    """An order that the gateway is about to send; durable before the send."""

    seq: int
    """The journal's sequence; the client order id derives from it."""
    order: Order
    incarnation: int
    reason: str
    """Why it is sent: `signal`, `flatten`, ..."""
    wall_ms: int
    market_ms: int


@attrs.frozen(kw_only=True)
class OutcomeEntry:
    """The new status of an intent, with the fills reported with it; one transaction."""

    client_id: str
    status: OrderStatus
    fills: tuple[Fill, ...] = ()
    reason: str = ""
    wall_ms: int


@attrs.frozen(kw_only=True)
class IncidentEntry:
    """One crash, blocked loop, give-up or other event of one engine that the operator sees."""

    symbol: str
    incarnation: int
    cause: str
    """`crash`, `heartbeat`, `errors`, `stale`, `blocked`, `gave_up`."""
    error: str
    """`Type: text`, at most 2,000 characters."""
    traceback: str
    """Text with source lines, at most 64 KiB."""
    last_lines: str = ""
    """The engine's last events before the incident, one per line."""
    counts: bool
    """Whether it counts against the restart policy."""
    delay: float | None
    """Seconds until the restart; None when the engine was given up."""
    wall_ms: int


@attrs.frozen(kw_only=True)
class WantedEntry:
    """The wanted state of an engine: `running`, `paused` or `stopped`."""

    symbol: str
    wanted: str
    wall_ms: int


@attrs.frozen(kw_only=True)
class FailedEntry:
    """An engine was given up for `reason`, or reset (None), which also clears its crashes."""

    symbol: str
    reason: str | None
    wall_ms: int


@attrs.frozen(kw_only=True)
class HaltEntry:
    """The fleet's trading state changed to `active`, `reducing` or `halted`."""

    trading_state: str
    reason: str
    wall_ms: int


@attrs.frozen(kw_only=True)
class DayEntry:
    """A UTC day of the market clock began for a symbol, with its total PnL at that moment."""

    symbol: str
    day: str
    """`YYYY-MM-DD` of the market clock."""
    total_pnl: Decimal
    wall_ms: int


@attrs.frozen(kw_only=True)
class EquityEntry:
    """Capital and peak equity against which daily loss and drawdown of an account are measured."""

    account: str
    """`paper`, or `VENUE:NUMBER`."""
    day: str
    """`YYYY-MM-DD` of the market clock."""
    capital: Decimal
    """Deposits less withdrawals, in the quote asset."""
    day_capital: Decimal
    """Equity at the day's start, as if today's deposits and withdrawals had been before 00:00."""
    peak_equity: Decimal
    """The highest equity, as if all capital had been there since the beginning."""
    wall_ms: int


@attrs.frozen(kw_only=True)
class CommandEntry:
    """A control request that changes something, journaled before it is carried out."""

    method: str
    params: str
    """JSON."""
    pid: int
    uid: int
    wall_ms: int


@attrs.frozen(kw_only=True)
class MarketTimeEntry:
    """Market time that the built-in simulator may have reached; the next start begins after it."""

    market_ms: int


Entry = (
    IntentEntry
    | OutcomeEntry
    | IncidentEntry
    | WantedEntry
    | FailedEntry
    | HaltEntry
    | DayEntry
    | EquityEntry
    | CommandEntry
    | MarketTimeEntry
)


@attrs.frozen(kw_only=True)
class OpenOrder:
    """An intent whose final status is not in the journal."""

    seq: int
    order: Order
    status: OrderStatus


@attrs.frozen(kw_only=True)
class History:
    """Fills, open orders, engine states and trading state that a start reads from the journal."""

    fills: tuple[Fill, ...] = ()
    """In journal order."""
    open_orders: tuple[OpenOrder, ...] = ()
    """By rising sequence."""
    wanted: dict[str, str] = attrs.field(factory=dict)
    """By symbol, the newest wanted state."""
    failed: dict[str, str] = attrs.field(factory=dict)
    """By symbol, the reason; only engines that are failed now."""
    crashes: dict[str, tuple[int, ...]] = attrs.field(factory=dict)
    """By symbol, wall ms of counted incidents since the last reset, oldest first; bounded."""
    last_errors: dict[str, str] = attrs.field(factory=dict)
    """By symbol, the error of the newest incident."""
    trading_state: str = "active"
    trading_reason: str = ""
    days: dict[str, tuple[str, Decimal]] = attrs.field(factory=dict)
    """By symbol, the newest day and the total PnL at its start."""
    equity: EquityEntry | None = None
    """The newest; None when the account was never measured."""
    market_ms: int = 0
    """High-water mark of the built-in simulator's market time."""
