"""Orders as a venue's book sees them: what `matching` takes and answers. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

import attrs

from levitrio.trading.market import Quote
from levitrio.trading.orders import OrderType, Side

ZERO = Decimal(0)


class TimeInForce(StrEnum):
    GTC = "GTC"
    """What does not fill at once rests until it is cancelled."""
    IOC = "IOC"
    """What does not fill at once expires."""
    FOK = "FOK"
    """All of it at once, or nothing."""


class Ending(StrEnum):
    """What becomes of the part of an order that did not fill at once."""

    NOTHING_LEFT = "NOTHING_LEFT"
    RESTS = "RESTS"
    WOULD_TAKE = "WOULD_TAKE"
    """A LIMIT_MAKER that would not be a maker: the order is refused."""
    IOC_EXPIRES = "UNFILLED_IOC_QUANTITY_EXPIRED"
    FOK_EXPIRES = "UNFILLED_FOK_ORDER_EXPIRED"
    NO_LIQUIDITY = "INSUFFICIENT_LIQUIDITY"


@attrs.frozen(kw_only=True)
class Depth:
    """The market's standing orders at one moment, best first, as (price, quantity)."""

    bids: Sequence[tuple[Decimal, Decimal]]
    asks: Sequence[tuple[Decimal, Decimal]]
    update_id: int
    """A level we took from is whole again once this has changed."""

    @classmethod
    def of(cls, quote: Quote) -> "Depth":
        """The touch alone."""
        return cls(
            bids=((quote.bid, quote.bid_quantity),),
            asks=((quote.ask, quote.ask_quantity),),
            update_id=quote.update_id,
        )


@attrs.define(eq=False, kw_only=True)
class RestingOrder:
    """One order as the book knows it."""

    order_id: int
    side: Side
    type: OrderType
    """What it is once it is awake."""
    quantity: Decimal
    """In the base asset; of a MARKET order by quote amount what was filled."""
    price: Decimal | None = None
    """None for MARKET."""
    quote_quantity: Decimal | None = None
    """A MARKET order by amount, in the quote asset."""
    time_in_force: TimeInForce = TimeInForce.GTC
    stop_price: Decimal | None = None
    """It sleeps until a trade at this price."""
    wakes_rising: bool = False
    """The stop price is above the market."""
    filled: Decimal = ZERO
    """In the base asset."""
    quote_filled: Decimal = ZERO
    """Price x quantity of every fill, in the quote asset."""
    ahead: Decimal = ZERO
    """While it rests: what the market holds at its price and came first, in the base asset."""

    @property
    def remaining(self) -> Decimal:
        """In the base asset."""
        return self.quantity - self.filled

    def crosses(self, price: Decimal) -> bool:
        """Whether the order accepts that price from the other side."""
        if self.price is None:
            return True
        return price <= self.price if self.side is Side.BUY else price >= self.price

    def wakes_at(self, price: Decimal) -> bool:
        """Whether a trade at that price wakes it."""
        if self.stop_price is None:
            return False
        return price >= self.stop_price if self.wakes_rising else price <= self.stop_price


@attrs.frozen(kw_only=True)
class Match:
    """Part of a plan: so much at that price, from the market or from a resting order."""

    price: Decimal
    quantity: Decimal
    resting: RestingOrder | None = None


@attrs.frozen(kw_only=True)
class Plan:
    """What an order would get; nothing has changed yet."""

    matches: tuple[Match, ...]
    ending: Ending
    ahead: Decimal = ZERO
    """What the market holds already at the price where the order will rest, in the base asset."""

    @property
    def quantity(self) -> Decimal:
        """In the base asset."""
        return sum((match.quantity for match in self.matches), ZERO)

    @property
    def notional(self) -> Decimal:
        """In the quote asset."""
        return sum((match.price * match.quantity for match in self.matches), ZERO)


@attrs.frozen(kw_only=True)
class Execution:
    """One fill of one of our orders; a match of two of ours is two of them."""

    order: RestingOrder
    price: Decimal
    quantity: Decimal
    is_maker: bool
