"""What the journal remembers: one frozen value per kind of record.

The journal is the truth of a fleet; everything that must survive `kill -9` is one of these.
Wall times are ms since 1970 and for people and for ages; market times are the tape's.
"""

from decimal import Decimal

import attrs

from levitrio.trading.orders import Fill, Order, OrderStatus


@attrs.frozen(kw_only=True)
class IntentEntry:
    """An order we are about to send. Durable before the send."""

    seq: int
    """The journal's sequence; the client order id derives from it."""
    order: Order
    incarnation: int
    reason: str
    """What asked for it: `signal`, `flatten`, ..."""
    wall_ms: int
    market_ms: int


@attrs.frozen(kw_only=True)
class OutcomeEntry:
    """What became of an intent, with the fills that came with it: one transaction."""

    client_id: str
    status: OrderStatus
    fills: tuple[Fill, ...] = ()
    reason: str = ""
    wall_ms: int


@attrs.frozen(kw_only=True)
class IncidentEntry:
    """One crash, hang, give-up or operator-visible event of one engine."""

    symbol: str
    incarnation: int
    cause: str
    """`crash`, `heartbeat`, `errors`, `stale`, `blocked`, `gave_up`."""
    error: str
    """`Type: text`, at most 2,000 characters."""
    traceback: str
    """Capped text."""
    last_lines: str = ""
    """The engine's last events before it, one a line."""
    counts: bool
    """It counts against the restart budget."""
    delay: float | None
    """Seconds until the restart that was decided; None when given up."""
    wall_ms: int


@attrs.frozen(kw_only=True)
class WantedEntry:
    """What the operator wants of an engine: `running`, `paused` or `stopped`."""

    symbol: str
    wanted: str
    wall_ms: int


@attrs.frozen(kw_only=True)
class FailedEntry:
    """An engine was given up (`reason`), or reset (`reason` None; forgets its restarts too)."""

    symbol: str
    reason: str | None
    wall_ms: int


@attrs.frozen(kw_only=True)
class HaltEntry:
    """The fleet's trading state changed: `active`, `reducing`, `halted`."""

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
    """What the account's gains and losses are measured against, from here on."""

    account: str
    """Whose: `paper`, or `VENUE:NUMBER`."""
    day: str
    """`YYYY-MM-DD` of the market clock."""
    capital: Decimal
    """What was put in, less what was taken out, in the quote asset."""
    day_capital: Decimal
    """Of it, what the day's equity began with, as if all had been there since 00:00."""
    peak_equity: Decimal
    """The highest equity, as if all capital had been there since the beginning."""
    wall_ms: int


@attrs.frozen(kw_only=True)
class CommandEntry:
    """A mutating control request, before it is carried out."""

    method: str
    params: str
    """JSON."""
    pid: int
    uid: int
    wall_ms: int


@attrs.frozen(kw_only=True)
class MarketTimeEntry:
    """The built-in simulator may have played up to here: the next start begins after it."""

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
    """An intent whose end is not in the journal."""

    seq: int
    order: Order
    status: OrderStatus


@attrs.frozen(kw_only=True)
class History:
    """Everything a start needs, folded from the journal."""

    fills: tuple[Fill, ...] = ()
    """In journal order."""
    open_orders: tuple[OpenOrder, ...] = ()
    wanted: dict[str, str] = attrs.field(factory=dict)
    failed: dict[str, str] = attrs.field(factory=dict)
    """Symbol -> reason, only those that are failed now."""
    crashes: dict[str, tuple[int, ...]] = attrs.field(factory=dict)
    """Symbol -> wall ms of incidents that count, oldest first, since the last reset; bounded."""
    last_errors: dict[str, str] = attrs.field(factory=dict)
    """Symbol -> error of the newest incident."""
    trading_state: str = "active"
    trading_reason: str = ""
    days: dict[str, tuple[str, Decimal]] = attrs.field(factory=dict)
    """Symbol -> (day, total PnL at its start), the newest."""
    equity: EquityEntry | None = None
    """The newest; None: the account was never measured."""
    market_ms: int = 0
    """High-water mark of the built-in simulator's market time."""
