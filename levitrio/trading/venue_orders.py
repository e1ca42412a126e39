"""Orders, plans and executions as the matching engine takes and returns them. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

import attrs

from levitrio.trading.market import Quote
from levitrio.trading.orders import OrderType, Side

ZERO = Decimal(0)


class TimeInForce(StrEnum):
    """How long a limit order stays valid."""

    GTC = "GTC"
    """The part that does not fill at once rests until it is cancelled."""
    IOC = "IOC"
    """The part that does not fill at once expires."""
    FOK = "FOK"
    """All of it fills at once, or nothing does."""


class Ending(StrEnum):
    """What happens to the part of an order that did not fill at once."""

    NOTHING_LEFT = "NOTHING_LEFT"
    RESTS = "RESTS"
    WOULD_TAKE = "WOULD_TAKE"
    """A LIMIT_MAKER order that would trade at once: the order is rejected."""
    IOC_EXPIRES = "UNFILLED_IOC_QUANTITY_EXPIRED"
    FOK_EXPIRES = "UNFILLED_FOK_ORDER_EXPIRED"
    NO_LIQUIDITY = "INSUFFICIENT_LIQUIDITY"


@attrs.frozen(kw_only=True)
class Depth:
    """The market's levels at one moment, best first, as (price, quantity)."""

    bids: Sequence[tuple[Decimal, Decimal]]
    asks: Sequence[tuple[Decimal, Decimal]]
    update_id: int
    """Changes with the levels; a level we took from is whole again once it has changed."""

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
    """One order in the matching engine; it changes with each fill."""

    order_id: int
    side: Side
    type: OrderType
    """Type after its stop price, if any, was triggered."""
    quantity: Decimal
    """In the base asset; for a MARKET order by quote amount the quantity filled."""
    price: Decimal | None = None
    """Limit price; None for MARKET."""
    quote_quantity: Decimal | None = None
    """Amount of a MARKET order by quote amount, in the quote asset."""
    time_in_force: TimeInForce = TimeInForce.GTC
    stop_price: Decimal | None = None
    """The order sleeps until a trade at or beyond this price."""
    wakes_rising: bool = False
    """Whether the stop price is above the market."""
    filled: Decimal = ZERO
    """In the base asset."""
    quote_filled: Decimal = ZERO
    """Price x quantity of every fill, in the quote asset."""
    ahead: Decimal = ZERO
    """Market quantity at its price that came first, while it rests; in the base asset."""

    @property
    def remaining(self) -> Decimal:
        """Quantity not filled yet, in the base asset."""
        return self.quantity - self.filled

    def crosses(self, price: Decimal) -> bool:
        """Whether the order accepts this price from the other side."""
        if self.price is None:
            return True
        return price <= self.price if self.side is Side.BUY else price >= self.price

    def wakes_at(self, price: Decimal) -> bool:
        """Whether a trade at this price triggers its stop price."""
        if self.stop_price is None:
            return False
        return price >= self.stop_price if self.wakes_rising else price <= self.stop_price


@attrs.frozen(kw_only=True)
class Match:
    """Part of a plan: a quantity at a price, from the market or from a resting order."""

    price: Decimal
    quantity: Decimal
    resting: RestingOrder | None = None


@attrs.frozen(kw_only=True)
class Plan:
    """What an order would fill; nothing has changed yet."""

    matches: tuple[Match, ...]
    ending: Ending
    ahead: Decimal = ZERO
    """Market quantity at the price where the order will rest, in the base asset."""

    @property
    def quantity(self) -> Decimal:
        """Quantity of all matches, in the base asset."""
        return sum((match.quantity for match in self.matches), ZERO)

    @property
    def notional(self) -> Decimal:
        """Worth of all matches, in the quote asset."""
        return sum((match.price * match.quantity for match in self.matches), ZERO)


@attrs.frozen(kw_only=True)
class Execution:
    """One fill of one of our orders; a match between two of ours gives two executions."""

    order: RestingOrder
    price: Decimal
    quantity: Decimal
    is_maker: bool
