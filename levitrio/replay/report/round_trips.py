"""From fills to trades as people count them: from flat to flat. Pure."""

from collections.abc import Iterable
from decimal import Decimal

import attrs

from levitrio.trading.orders import Fill, Side

ZERO = Decimal(0)


@attrs.frozen(kw_only=True)
class RoundTrip:
    """One position of one symbol, from its first fill until it was flat again. Quote asset."""

    symbol: str
    side: str
    """`long` or `short`."""
    opened_ms: int
    closed_ms: int
    quantity: Decimal
    """All that was entered, in the base asset."""
    entry: Decimal
    """Average price."""
    exit: Decimal
    """Average price."""
    fees: Decimal
    pnl: Decimal
    """Net of fees."""


@attrs.define(eq=False)
class _Open:
    side: Side
    opened_ms: int
    entered: Decimal = ZERO
    paid: Decimal = ZERO
    left: Decimal = ZERO
    received: Decimal = ZERO
    fees: Decimal = ZERO


def round_trips(fills: Iterable[Fill]) -> list[RoundTrip]:
    """The closed ones, in the order they closed; what is still open is in no list.

    Fees must be in the quote asset, as the paper broker's are. A fill through zero is one way
    out and the next way in; its fee counts to the first.
    """
    going: dict[str, _Open] = {}
    closed: list[RoundTrip] = []
    for fill in fills:
        quantity = fill.quantity
        trip = going.get(fill.symbol)
        if trip is None:
            trip = going[fill.symbol] = _Open(fill.side, fill.time_ms)
        trip.fees += fill.fee
        if fill.side is trip.side:
            trip.entered += quantity
            trip.paid += quantity * fill.price
            continue
        leaving = min(quantity, trip.entered - trip.left)
        trip.left += leaving
        trip.received += leaving * fill.price
        if trip.left < trip.entered:
            continue
        closed.append(_closed(fill, trip))
        del going[fill.symbol]
        if quantity > leaving:
            beyond = quantity - leaving
            going[fill.symbol] = _Open(
                fill.side, fill.time_ms, entered=beyond, paid=beyond * fill.price
            )
    return closed


def _closed(fill: Fill, trip: _Open) -> RoundTrip:
    return RoundTrip(
        symbol=fill.symbol,
        side="long" if trip.side is Side.BUY else "short",
        opened_ms=trip.opened_ms,
        closed_ms=fill.time_ms,
        quantity=trip.entered,
        entry=trip.paid / trip.entered,
        exit=trip.received / trip.entered,
        fees=trip.fees,
        pnl=(trip.received - trip.paid) * trip.side.sign - trip.fees,
    )
