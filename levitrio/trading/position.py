"""The book of one symbol: position, average cost and profit, folded from fills.

Average-cost accounting: what adds to a position moves the average entry, what reduces it
realizes against the average entry, and a fill through zero does both. Fees are realized at
once. A book is never loaded, only rebuilt: the same fills in the same order give the same book.
"""

from decimal import Decimal

import attrs

from levitrio.trading.market import Quote
from levitrio.trading.orders import Fill

ZERO = Decimal(0)


@attrs.define(eq=False, kw_only=True)
class Position:
    """Money in one symbol. Every amount without a unit is in the quote asset."""

    symbol: str
    quote_asset: str
    quantity: Decimal = ZERO
    """In the base asset; negative is short."""
    average_entry: Decimal = ZERO
    """0 while flat."""
    realized_pnl: Decimal = ZERO
    """Net of every fee paid in the base or quote asset."""
    foreign_fees: dict[str, Decimal] = attrs.field(factory=dict)
    """Fees paid in a third asset, by asset; not in any PnL, because they have no price here."""
    trade_count: int = 0
    """Orders with at least one fill."""
    last_price: Decimal = ZERO
    """Of the newest fill: the mark until the first quote."""
    day: str = ""
    """The market clock's UTC day that `daily_pnl` counts from."""
    day_start_pnl: Decimal = ZERO
    _last_client_id: str = ""

    @property
    def base_asset(self) -> str:
        return self.symbol.removesuffix(self.quote_asset)

    @property
    def is_flat(self) -> bool:
        return self.quantity == ZERO

    def apply(self, fill: Fill) -> Fill:
        """Add one fill; returns it with the position and average entry after it."""
        self._move(fill.quantity * fill.side.sign, fill.price)
        self._pay(fill)
        if fill.client_id != self._last_client_id:
            self._last_client_id = fill.client_id
            self.trade_count += 1
        self.last_price = fill.price
        return fill.booked(self.quantity, self.average_entry)

    def _move(self, signed: Decimal, price: Decimal) -> None:
        before = self.quantity
        self.quantity = after = before + signed
        if before * signed >= ZERO:
            cost = abs(before) * self.average_entry + abs(signed) * price
            self.average_entry = cost / abs(after)
            return
        closed = min(abs(signed), abs(before))
        gain = (price - self.average_entry) * closed
        self.realized_pnl += gain if before > ZERO else -gain
        if after == ZERO:
            self.average_entry = ZERO
        elif abs(signed) > closed:
            self.average_entry = price

    def _pay(self, fill: Fill) -> None:
        if fill.fee == ZERO:
            return
        if fill.fee_asset == self.quote_asset:
            self.realized_pnl -= fill.fee
        elif fill.fee_asset == self.base_asset:
            # As if so much was sold at the price of the fill, and the fee paid with it.
            self._move(-fill.fee, fill.price)
            self.realized_pnl -= fill.fee * fill.price
        else:
            paid = self.foreign_fees.get(fill.fee_asset, ZERO)
            self.foreign_fees[fill.fee_asset] = paid + fill.fee

    def mark(self, quote: Quote | None) -> Decimal:
        """The price the position could be closed at: longs at the bid, shorts at the ask."""
        if quote is None:
            return self.last_price
        return quote.bid if self.quantity >= ZERO else quote.ask

    def unrealized_pnl(self, quote: Quote | None) -> Decimal:
        """What closing at the touch would realize, before fees."""
        if self.quantity == ZERO:
            return ZERO
        return (self.mark(quote) - self.average_entry) * self.quantity

    def valued(self, quote: Quote | None) -> tuple[Decimal, Decimal]:
        """`notional` and `total_pnl` of the same mark, which is read once."""
        if not self.quantity:
            return ZERO, self.realized_pnl
        mark = self.mark(quote)
        gain = (mark - self.average_entry) * self.quantity
        return abs(self.quantity) * mark, self.realized_pnl + gain

    def total_pnl(self, quote: Quote | None) -> Decimal:
        """Realized and unrealized since the first fill."""
        return self.realized_pnl + self.unrealized_pnl(quote)

    def daily_pnl(self, quote: Quote | None) -> Decimal:
        """Total PnL since the market clock's last 00:00 UTC."""
        return self.total_pnl(quote) - self.day_start_pnl

    def quote_moved(self) -> Decimal:
        """What its fills brought of the quote asset, and took, fees in it included.

        Follows from average cost: profit was realized, and the position was paid at its average.
        """
        return self.realized_pnl - self.average_entry * self.quantity

    def notional(self, quote: Quote | None) -> Decimal:
        """Absolute value of the position at its mark."""
        return abs(self.quantity) * self.mark(quote) if self.quantity else ZERO

    def roll_day(self, day: str, quote: Quote | None) -> None:
        """Begin a new UTC day: from now on `daily_pnl` counts from here."""
        self.day = day
        self.day_start_pnl = self.total_pnl(quote)
