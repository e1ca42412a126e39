"""The position in one symbol: quantity, average entry and PnL, folded from fills.

Average-cost accounting: a fill that adds to a position moves the average entry, one that reduces
it realizes profit against the average entry, and one through zero does both. Fees are realized at
once. A position is never loaded, only rebuilt: the same fills in the same order give the same one.
"""

from decimal import Decimal

import attrs

from levitrio.trading.market import Quote
from levitrio.trading.orders import Fill

ZERO = Decimal(0)


@attrs.define(eq=False, kw_only=True)
class Position:
    """One symbol's position. Amounts are in the quote asset unless said otherwise."""

    symbol: str
    quote_asset: str
    quantity: Decimal = ZERO
    """In the base asset; negative is short."""
    average_entry: Decimal = ZERO
    """Average entry price; 0 while flat."""
    realized_pnl: Decimal = ZERO
    """Realized profit, net of fees paid in the base or quote asset."""
    foreign_fees: dict[str, Decimal] = attrs.field(factory=dict)
    """Fees paid in a third asset, by asset; in no PnL, because that asset has no price here."""
    trade_count: int = 0
    """Number of orders with at least one fill."""
    last_price: Decimal = ZERO
    """Price of the newest fill: the mark until the first quote."""
    day: str = ""
    """UTC day of the market clock that `day_start_pnl` belongs to."""
    day_start_pnl: Decimal = ZERO
    """Total PnL at the start of `day`."""
    _last_client_id: str = ""

    @property
    def base_asset(self) -> str:
        """The symbol without its quote asset."""
        return self.symbol.removesuffix(self.quote_asset)

    @property
    def is_flat(self) -> bool:
        """Whether the quantity is exactly 0; dust is not flat."""
        return self.quantity == ZERO

    def apply(self, fill: Fill) -> Fill:
        """Apply one fill; returns it with the position and average entry after it."""
        self._move(fill.quantity * fill.side.sign, fill.price)
        self._pay(fill)
        if fill.client_id != self._last_client_id:
            self._last_client_id = fill.client_id
            self.trade_count += 1
        self.last_price = fill.price
        return fill.applied(self.quantity, self.average_entry)

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
            # As if the fee's quantity was sold at the fill's price to pay the fee.
            self._move(-fill.fee, fill.price)
            self.realized_pnl -= fill.fee * fill.price
        else:
            paid = self.foreign_fees.get(fill.fee_asset, ZERO)
            self.foreign_fees[fill.fee_asset] = paid + fill.fee

    def mark(self, quote: Quote | None) -> Decimal:
        """Price the position can be closed at: longs at the bid, shorts at the ask."""
        if quote is None:
            return self.last_price
        return quote.bid if self.quantity >= ZERO else quote.ask

    def unrealized_pnl(self, quote: Quote | None) -> Decimal:
        """Profit that closing at the touch would realize, before fees."""
        if self.quantity == ZERO:
            return ZERO
        return (self.mark(quote) - self.average_entry) * self.quantity

    def valued(self, quote: Quote | None) -> tuple[Decimal, Decimal]:
        """`notional` and `total_pnl` at the same mark."""
        if not self.quantity:
            return ZERO, self.realized_pnl
        mark = self.mark(quote)
        gain = (mark - self.average_entry) * self.quantity
        return abs(self.quantity) * mark, self.realized_pnl + gain

    def total_pnl(self, quote: Quote | None) -> Decimal:
        """Realized and unrealized since the first fill."""
        return self.realized_pnl + self.unrealized_pnl(quote)

    def quote_moved(self) -> Decimal:
        """Net change of the quote asset by all fills, fees in it included.

        Follows from average cost: profit was realized, the position was paid at its average.
        """
        return self.realized_pnl - self.average_entry * self.quantity

    def notional(self, quote: Quote | None) -> Decimal:
        """Absolute value of the position at its mark."""
        return abs(self.quantity) * self.mark(quote) if self.quantity else ZERO

    def roll_day(self, day: str, quote: Quote | None) -> None:
        """Begin a new UTC day: its PnL counts from here."""
        self.day = day
        self.day_start_pnl = self.total_pnl(quote)
