"""The money of the whole fleet: equity, exposure, and what the fleet may do."""

from collections import deque
from collections.abc import Mapping
from decimal import Decimal

import attrs

from levitrio.gateway.desk import Desk
from levitrio.trading.matching import touch_price
from levitrio.trading.orders import Order, Side
from levitrio.trading.risk import DataState, Exposure, TradingState

ZERO = Decimal(0)


@attrs.define(eq=False, kw_only=True)
class Account:
    """Facts, not decisions. Amounts in the quote asset; positions marked at the touch."""

    desks: Mapping[str, Desk]
    cash: Decimal
    """Equity before the first fill."""
    slippage: Decimal = ZERO
    """What a market order is expected to lose against the touch."""
    trading_state: TradingState = TradingState.ACTIVE
    trading_reason: str = ""
    peak_equity: Decimal = ZERO
    _order_times: deque[float] = attrs.field(factory=deque)

    def equity(self) -> Decimal:
        """Cash and every book's total PnL."""
        total = self.cash
        for desk in self.desks.values():
            total += desk.book.valued(desk.market.quote)[1]
        return total

    def day_start_equity(self) -> Decimal:
        """Equity at the market clock's last 00:00 UTC."""
        return self.cash + sum((desk.book.day_start_pnl for desk in self.desks.values()), ZERO)

    def is_marked(self) -> bool:
        """Every position has a quote to be marked at: equity can be trusted."""
        return all(
            desk.book.is_flat or desk.market.quote is not None for desk in self.desks.values()
        )

    def open_positions(self) -> int:
        """Symbols that hold a position, or have an order under way that may give them one."""
        return sum(desk.holds for desk in self.desks.values())

    def gross_notional(self) -> Decimal:
        """All positions, and all entries under way, without their signs."""
        return sum((self._notional(desk) for desk in self.desks.values()), ZERO)

    def expected_price(self, desk: Desk, side: Side) -> Decimal:
        """What a market order would get now; before the first quote, the last fill's price."""
        quote = desk.market.quote
        return desk.book.last_price if quote is None else touch_price(side, quote, self.slippage)

    def count_order(self, desk: Desk, now: float) -> None:
        """An order is about to leave, at `now` on trio's clock."""
        desk.last_order_at = now
        self._order_times.append(now)

    def orders_last_minute(self, now: float) -> int:
        """Orders of the whole fleet that left in the last 60 s."""
        while self._order_times and self._order_times[0] <= now - 60.0:
            self._order_times.popleft()
        return len(self._order_times)

    def exposure(
        self, desk: Desk, order: Order, *, now: float, data: DataState, is_flatten: bool
    ) -> Exposure:
        """Everything risk wants to know about `order` at this moment."""
        equity, held, gross, others_open = self.cash, ZERO, ZERO, 0
        # One look at each book, and none for an exit, which no limit of money refuses.
        for other in () if order.is_exit else self.desks.values():
            worth, pnl = other.book.valued(other.market.quote)
            equity += pnl
            if other is desk:
                held = worth
            elif other.book.position or other.under_way is not None:
                others_open += other.holds  # dust is none, and still worth something
                worth += self._entering(other)
            gross += worth
        return Exposure(
            trading_state=self.trading_state,
            permission=desk.permission,
            equity=equity,
            symbol_notional=held,
            gross_notional=gross,
            open_positions=others_open,
            orders_last_minute=self.orders_last_minute(now),
            since_last_order=None if desk.last_order_at is None else now - desk.last_order_at,
            data=data,
            price=self.expected_price(desk, order.side),
            last_trade=desk.market.last_trade,
            is_flatten=is_flatten,
        )

    def _notional(self, desk: Desk) -> Decimal:
        return desk.book.notional(desk.market.quote) + self._entering(desk)

    def _entering(self, desk: Desk) -> Decimal:
        """What an entry that is under way will add."""
        order = desk.under_way
        if order is None or order.is_exit:
            return ZERO
        return order.quantity * self.expected_price(desk, order.side)
