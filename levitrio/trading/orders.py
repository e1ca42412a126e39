"""Orders, fills, and the transitions of an order's status.

A status moves only along `NEXT`; the caller treats any other status a venue sends as an unknown
outcome. The gateway itself sets `LOST`, and `CANCELED` for an order it did not send.
"""

from decimal import Decimal
from enum import StrEnum

import attrs


class Side(StrEnum):
    """Side of an order or fill."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell: the sign of a fill's change of the position."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """Type of an order, in the venue's words."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"


class OrderStatus(StrEnum):
    """Status of an order: the venue's, and three of our own."""

    INTENDED = "INTENDED"
    """Journaled, not known to have been sent."""
    UNKNOWN = "UNKNOWN"
    """Sent without a trustworthy answer: the symbol is blocked until the outcome is known."""
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    LOST = "LOST"
    """Proven never to have reached the venue."""


_LIVE_ENDS = {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED}

NEXT: dict[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.INTENDED: frozenset(OrderStatus) - {OrderStatus.INTENDED},
    OrderStatus.UNKNOWN: frozenset(OrderStatus) - {OrderStatus.INTENDED, OrderStatus.UNKNOWN},
    OrderStatus.NEW: frozenset({OrderStatus.PARTIALLY_FILLED, OrderStatus.UNKNOWN} | _LIVE_ENDS),
    OrderStatus.PARTIALLY_FILLED: frozenset(
        {OrderStatus.PARTIALLY_FILLED, OrderStatus.UNKNOWN} | _LIVE_ENDS
    ),
    OrderStatus.FILLED: frozenset(),
    OrderStatus.CANCELED: frozenset(),
    OrderStatus.EXPIRED: frozenset(),
    OrderStatus.REJECTED: frozenset(),
    OrderStatus.LOST: frozenset(),
}
"""Status -> the statuses that may follow it; an order without any has ended."""


@attrs.frozen(kw_only=True)
class Order:
    """An order to the venue; never changed once it is journaled."""

    client_id: str
    """At most 36 characters, derived from the journal's sequence, never reused."""
    symbol: str
    side: Side
    type: OrderType = OrderType.MARKET
    quantity: Decimal
    """In the base asset."""
    price: Decimal | None = None
    """In the quote asset; None for MARKET."""
    is_exit: bool = False
    """Whether it only brings the position nearer to flat."""

    def named(self, client_id: str) -> "Order":
        """A copy with its client order id."""
        return Order(
            client_id=client_id,
            symbol=self.symbol,
            side=self.side,
            type=self.type,
            quantity=self.quantity,
            price=self.price,
            is_exit=self.is_exit,
        )


@attrs.frozen(kw_only=True)
class Fill:
    """One execution of one of our orders."""

    client_id: str
    symbol: str
    side: Side
    price: Decimal
    """In the quote asset."""
    quantity: Decimal
    """In the base asset."""
    fee: Decimal
    fee_asset: str
    time_ms: int
    """Market time, ms since 1970."""
    venue: str
    trade_id: int | None = None
    """The venue's; None from the paper broker, whose fills are keyed by the journal's sequence."""
    position: Decimal = Decimal(0)
    """Position after the fill, in the base asset; set once the gateway has applied it."""
    average_entry: Decimal = Decimal(0)
    """Average entry price after the fill; set once the gateway has applied it."""

    def applied(self, position: Decimal, average_entry: Decimal) -> "Fill":
        """A copy with the position and average entry after it."""
        # `attrs.evolve` takes three times as long.
        return Fill(
            client_id=self.client_id,
            symbol=self.symbol,
            side=self.side,
            price=self.price,
            quantity=self.quantity,
            fee=self.fee,
            fee_asset=self.fee_asset,
            time_ms=self.time_ms,
            venue=self.venue,
            trade_id=self.trade_id,
            position=position,
            average_entry=average_entry,
        )
