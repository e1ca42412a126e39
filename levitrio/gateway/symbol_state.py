"""One symbol at the gateway: what it holds, what it may do, what it waits to do."""

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
    """Why no order of a symbol may leave, not even the operator's."""

    RECONCILING = "reconciling"
    """What the venue holds of ours is not known yet."""
    UNKNOWN_OUTCOME = "unknown_outcome"
    """An order was sent, and nobody knows what became of it."""
    FOREIGN_ORDER = "foreign_order"
    """Somebody else trades this symbol on our account; ended by the operator's `reset`."""
    MISSING_BALANCE = "missing_balance"
    """The venue holds less than our fills amount to; ended by a balance that covers them."""


@attrs.frozen(kw_only=True)
class PendingExit:
    """A wish to be flat that one order cannot fulfil."""

    is_flatten: bool
    incarnation: int
    """The engine whose wish it is, unless it is the operator's."""
    position: Decimal
    """Before the order that is under way."""


@attrs.define(eq=False, kw_only=True)
class SymbolState:
    """Lives as long as its symbol is in the fleet; engines come and go in front of it."""

    symbol: str
    position: Position
    market: MarketView
    rules: SymbolRules = attrs.field(factory=SymbolRules)
    """Of MARKET orders."""
    limit_rules: SymbolRules = attrs.field(factory=SymbolRules)
    """Of orders with a price."""
    closed: str = ""
    """Why the venue takes no orders of this symbol: its status; empty while it is traded."""
    signals_only: bool = False
    """Everything but the orders."""
    permission: Permission = Permission.NONE
    incarnation: int = 0
    """The engine whose signals count."""
    on_fill: Callable[[Fill], None] | None = None
    """Of the incarnation that runs; None while none does."""
    target: Signal | None = None
    """Waits while an order is under way; only the newest is kept."""
    flatten: bool = False
    """The operator wants out, whatever the engine says."""
    flatten_until: float | None = None
    """The operator's wish waits for the market to open until then, on trio's clock."""
    closing: "PendingExit | None" = None
    """An exit in several orders is under way, this one not the last."""
    in_flight: Order | None = None
    """Journaled or about to be, its end not yet in the book."""
    filled: Decimal = Decimal(0)
    """Of the order under way, what is in the book."""
    expires_at: float = math.inf
    """On trio's clock: when the order under way is cancelled if it still rests."""
    has_expired: bool = False
    """The order under way was to be cancelled because its time was over."""
    cancel_wanted: bool = False
    """The order under way is not to be sent, or to be cancelled until it has ended."""
    recheck: trio.Event = attrs.field(factory=trio.Event)
    """Set to have the order under way looked at now."""
    pending_reports: deque[OrderReport] = attrs.field(factory=deque)
    """What the venue told unasked, in its order, until it is in the book."""
    settling: trio.Lock = attrs.field(factory=trio.Lock)
    ready: trio.Event = attrs.field(factory=trio.Event)
    """Set once the symbol was reconciled with the venue."""
    last_order_at: float | None = None
    """On trio's clock."""
    last_trade_id: int | None = None
    """The venue's, of the newest fill in the book."""
    denials: Counter[str] = attrs.field(factory=Counter)
    """By reason, since the fleet started."""
    refused: int = 0
    """Consecutive orders the venue refused: errors the engine absorbs."""
    busy: bool = False
    """A task of the gateway works on this symbol."""
    is_comparing: bool = False
    """A task of the gateway compares it with the venue."""
    missed: trio.Event = attrs.field(factory=trio.Event)
    """Set when something may have been missed since the venue was last asked."""
    blocks: set[Block] = attrs.field(factory=lambda: {Block.RECONCILING})
    _booked: set[int] = attrs.field(factory=set)
    """Trade ids of the venue that are in the book."""
    _last_denial: str = ""

    def block(self, reason: Block) -> None:
        """No order leaves until `unblock` with the same reason."""
        self.blocks.add(reason)

    def unblock(self, reason: Block) -> None:
        """One reason less; the others hold."""
        self.blocks.discard(reason)

    def has_booked(self, fill: Fill) -> bool:
        """A fill of a venue that is in the book already."""
        return fill.trade_id is not None and fill.trade_id in self._booked

    def apply(self, fill: Fill) -> Fill:
        """Book a fill; returns it with the position after it."""
        if fill.trade_id is not None:
            self._booked.add(fill.trade_id)
            self.last_trade_id = max(self.last_trade_id or 0, fill.trade_id)
        if self.in_flight is not None and fill.client_id == self.in_flight.client_id:
            self.filled += fill.quantity
        return self.position.apply(fill)

    def begin(self, order: Order) -> None:
        """An order is under way, of which nothing is known yet."""
        self.in_flight, self.filled = order, Decimal(0)
        self.expires_at, self.has_expired, self.cancel_wanted = math.inf, False, False
        self.recheck = trio.Event()

    def contradicts(self, report: OrderReport) -> bool:
        """It tells fills that the order under way cannot have: of another side, or too much."""
        order = self.in_flight
        if order is None or report.client_id != order.client_id:
            return False
        waiting = [fill for heard in self.pending_reports for fill in heard.fills]
        told = {fill.trade_id: fill for fill in (*waiting, *report.fills) if fill.trade_id}
        new = [fill for fill in told.values() if not self.has_booked(fill)]
        is_too_much = self.filled + sum(fill.quantity for fill in new) > order.quantity
        return is_too_much or any(fill.side is not order.side for fill in new)

    @property
    def entering(self) -> Decimal:
        """How much the order under way may still open, in the base asset."""
        order = self.in_flight
        return Decimal(0) if order is None or order.is_exit else order.quantity - self.filled

    @property
    def awaits_price(self) -> bool:
        """An entry with a price is under way, and nobody wants it back: it may rest for long."""
        order = self.in_flight
        is_patient = order is not None and not order.is_exit and order.price is not None
        return is_patient and not self.cancel_wanted

    def count_denial(self, reason: str) -> bool:
        """Returns whether it is news: the same denial again is counted, not told again."""
        self.denials[reason] += 1
        is_news = reason != self._last_denial
        self._last_denial = reason
        return is_news

    def forget_denial(self) -> None:
        """An order went through: the next denial is news again."""
        self._last_denial = ""

    def continue_exit(self) -> None:
        """After an order: what wanted an exit larger than one order wants the rest of it.

        Only while it gets nearer to flat: what the venue refuses is not asked for again and again.
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
        """Something waits that may be decided now."""
        waits = self.flatten or self.target is not None
        return waits and Block.RECONCILING not in self.blocks

    @property
    def closable(self) -> Decimal:
        """How much of the position the next order may close; 0: none, or it is dust."""
        price = self.position.mark(self.market.quote)
        return self.rules.portion(abs(self.position.quantity), price)

    @property
    def is_dust(self) -> bool:
        """What is held is too little for the venue to take: a fee's remainder, not a position."""
        return not self.position.is_flat and not self.closable

    @property
    def side(self) -> int:
        """+1 long, -1 short, 0 flat; dust is flat."""
        position = self.position.quantity
        if position == 0 or self.is_dust:
            return 0
        return 1 if position > 0 else -1

    @property
    def holds(self) -> bool:
        """It has a position, or an order under way that may give it one."""
        return self.side != 0 or self.in_flight is not None

    def is_settled(self) -> bool:
        """The waiting target is what the book holds already, and nothing else is asked."""
        if self.flatten or self.target is None:
            return False
        side = self.target.side
        return (side == "long" and self.side > 0) or (side == "flat" and self.position.is_flat)
