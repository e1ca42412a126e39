"""What the gateway keeps of one symbol: position, permission, target, order in flight, blocks."""

import math
from collections import Counter, deque
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum

import attrs
import trio

from levitrio.strategies.base import Signal
from levitrio.trading.filters import SymbolRules
from levitrio.trading.market_view import MarketView
from levitrio.trading.orders import Fill, Order
from levitrio.trading.position import Position
from levitrio.trading.risk import Permission
from levitrio.venues.base import OrderReport


class Block(StrEnum):
    """Reason why no order of a symbol may leave, not even the operator's."""

    RECONCILING = "reconciling"
    """Not compared with the venue since the start or the last gap."""
    UNKNOWN_OUTCOME = "unknown_outcome"
    """An order was sent, and its outcome is not known."""
    FOREIGN_ORDER = "foreign_order"
    """The account has an order or trade that this fleet did not send; ends by `levi ctl reset`."""
    MISSING_BALANCE = "missing_balance"
    """The venue holds less than the fleet's fills amount to; ends when the balance covers them."""


@attrs.frozen(kw_only=True)
class PendingExit:
    """An exit that is larger than the venue takes in one order."""

    is_flatten: bool
    """Whether the operator asked for it."""
    incarnation: int
    """The incarnation that asked for it, unless the operator did."""
    position: Decimal
    """Position in the base asset before the order in flight."""


@attrs.define(eq=False, kw_only=True)
class SymbolState:
    """The gateway's state of one symbol; it outlives the symbol's engines."""

    symbol: str
    position: Position
    market: MarketView
    rules: SymbolRules = attrs.field(factory=SymbolRules)
    """The venue's rules for MARKET orders."""
    limit_rules: SymbolRules = attrs.field(factory=SymbolRules)
    """The venue's rules for orders with a price."""
    closed: str = ""
    """The venue's status of a symbol that takes no orders; empty while it trades."""
    signals_only: bool = False
    """Decide orders but deny each of them."""
    permission: Permission = Permission.NONE
    incarnation: int = 0
    """The incarnation whose signals count."""
    on_fill: Callable[[Fill], None] | None = None
    """Hands a fill to the running incarnation; None while none runs."""
    target: Signal | None = None
    """The newest signal that is not decided yet."""
    flatten: bool = False
    """The operator asked for the position to be closed; goes before `target`."""
    flatten_until: float | None = None
    """Until when the operator's flatten waits for the market to open, on trio's clock."""
    closing: "PendingExit | None" = None
    """Set while an exit takes several orders and the one in flight is not the last."""
    in_flight: Order | None = None
    """The order whose intent is journaled or about to be, until it has ended."""
    filled: Decimal = Decimal(0)
    """How much of the order in flight the position includes, in the base asset."""
    expires_at: float = math.inf
    """When the order in flight is cancelled if it still rests, on trio's clock."""
    has_expired: bool = False
    """Whether the order in flight was cancelled because of `expires_at`."""
    cancel_wanted: bool = False
    """Do not send the order in flight; if it was sent, cancel it until it has ended."""
    recheck: trio.Event = attrs.field(factory=trio.Event)
    """Set to have the order in flight asked about now."""
    pending_reports: deque[OrderReport] = attrs.field(factory=deque)
    """Fills the venue pushed, in its order, until the position includes them."""
    settling: trio.Lock = attrs.field(factory=trio.Lock)
    """Held while an answer is journaled and its fills are applied."""
    ready: trio.Event = attrs.field(factory=trio.Event)
    """Set once the symbol has been reconciled with the venue."""
    last_order_at: float | None = None
    """When the last order was sent, on trio's clock."""
    last_trade_id: int | None = None
    """The venue's trade id of the newest fill in the position."""
    denials: Counter[str] = attrs.field(factory=Counter)
    """Number of denials by reason, since the fleet started."""
    refused: int = 0
    """Consecutive orders the venue rejected: errors the engine absorbs."""
    busy: bool = False
    """A task of the gateway decides or sends for this symbol."""
    is_comparing: bool = False
    """A task of the gateway reconciles this symbol."""
    missed: trio.Event = attrs.field(factory=trio.Event)
    """Set when an order or fill may have been missed since the venue was last asked."""
    blocks: set[Block] = attrs.field(factory=lambda: {Block.RECONCILING})
    _applied: set[int] = attrs.field(factory=set)
    """The venue's trade ids of the fills in the position."""
    _last_denial: str = ""

    def block(self, reason: Block) -> None:
        """Let no order leave until `unblock` is called with the same reason."""
        self.blocks.add(reason)

    def unblock(self, reason: Block) -> None:
        """Remove one reason; the others still hold."""
        self.blocks.discard(reason)

    def has_applied(self, fill: Fill) -> bool:
        """Whether the position includes this fill, known by the venue's trade id."""
        return fill.trade_id is not None and fill.trade_id in self._applied

    def apply(self, fill: Fill) -> Fill:
        """Apply a fill to the position; returns it with the position after it."""
        if fill.trade_id is not None:
            self._applied.add(fill.trade_id)
            self.last_trade_id = max(self.last_trade_id or 0, fill.trade_id)
        if self.in_flight is not None and fill.client_id == self.in_flight.client_id:
            self.filled += fill.quantity
        return self.position.apply(fill)

    def begin(self, order: Order) -> None:
        """Put an order in flight, of which nothing is known yet."""
        self.in_flight, self.filled = order, Decimal(0)
        self.expires_at, self.has_expired, self.cancel_wanted = math.inf, False, False
        self.recheck = trio.Event()

    def contradicts(self, report: OrderReport) -> bool:
        """Whether a report has fills the order in flight cannot have: other side, or too much."""
        order = self.in_flight
        if order is None or report.client_id != order.client_id:
            return False
        waiting = [fill for pending in self.pending_reports for fill in pending.fills]
        by_id = {fill.trade_id: fill for fill in (*waiting, *report.fills) if fill.trade_id}
        new = [fill for fill in by_id.values() if not self.has_applied(fill)]
        is_too_much = self.filled + sum(fill.quantity for fill in new) > order.quantity
        return is_too_much or any(fill.side is not order.side for fill in new)

    @property
    def entering(self) -> Decimal:
        """How much the order in flight may still open, in the base asset."""
        order = self.in_flight
        return Decimal(0) if order is None or order.is_exit else order.quantity - self.filled

    @property
    def awaits_price(self) -> bool:
        """Whether a limit entry is in flight that is not to be cancelled: it may rest for long."""
        order = self.in_flight
        is_patient = order is not None and not order.is_exit and order.price is not None
        return is_patient and not self.cancel_wanted

    def count_denial(self, reason: str) -> bool:
        """Count a denial; returns whether it differs from the last one and is worth an event."""
        self.denials[reason] += 1
        is_news = reason != self._last_denial
        self._last_denial = reason
        return is_news

    def forget_denial(self) -> None:
        """Make the next denial worth an event again, because an order was filled."""
        self._last_denial = ""

    def continue_exit(self) -> None:
        """Ask for the rest of an exit that takes several orders, after one of them has ended.

        Stops when an order has not reduced the position: a venue that rejects one is not asked
        for ever.
        """
        closing, self.closing = self.closing, None
        if closing is None or abs(self.position.quantity) >= abs(closing.position):
            return
        if closing.is_flatten:
            self.flatten = True
        elif self.incarnation == closing.incarnation and self.permission is not Permission.NONE:
            self.target = self.target or Signal(side="flat")

    @property
    def has_work(self) -> bool:
        """Whether a target or a flatten waits that may be decided now."""
        waits = self.flatten or self.target is not None
        return waits and Block.RECONCILING not in self.blocks

    @property
    def closable(self) -> Decimal:
        """How much of the position the next order may close; 0 when flat or dust."""
        price = self.position.mark(self.market.quote)
        return self.rules.portion(abs(self.position.quantity), price)

    @property
    def is_dust(self) -> bool:
        """Whether the position is too small for an order of the venue, as after a fee in coins."""
        return not self.position.is_flat and not self.closable

    @property
    def side(self) -> int:
        """+1 for long, -1 for short, 0 for flat; dust counts as flat."""
        position = self.position.quantity
        if position == 0 or self.is_dust:
            return 0
        return 1 if position > 0 else -1

    @property
    def holds(self) -> bool:
        """Whether it has a position other than dust, or an order in flight."""
        return self.side != 0 or self.in_flight is not None

    def is_settled(self) -> bool:
        """Whether the waiting target is held already and no flatten waits."""
        if self.flatten or self.target is None:
            return False
        side = self.target.side
        return (side == "long" and self.side > 0) or (side == "flat" and self.position.is_flat)
