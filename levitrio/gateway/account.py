"""The money of the whole fleet: equity, exposure, and what the fleet may do."""

from collections import deque
from collections.abc import Mapping
from decimal import Decimal

import attrs

from levitrio.gateway.symbol_state import SymbolState
from levitrio.trading.matching import touch_price
from levitrio.trading.orders import Order, Side
from levitrio.trading.risk import DataState, Exposure, TradingState

ZERO = Decimal(0)


@attrs.define(eq=False, kw_only=True)
class Account:
    """Facts, not decisions. Amounts in the quote asset; positions marked at the touch."""

    symbol_states: Mapping[str, SymbolState]
    name: str
    """Whose it is: `paper`, or `VENUE:NUMBER` once the venue has told."""
    capital: Decimal
    """What was put in, less what was taken out: equity without profit."""
    is_capital_known: bool = True
    """False until the venue has told: then nothing can be sized by it."""
    day: str = ""
    """The market clock's UTC day that `day_capital` belongs to."""
    day_capital: Decimal = attrs.field(
        default=attrs.Factory(lambda self: self.capital, takes_self=True)
    )
    """Of the equity at 00:00 UTC what was capital, scaled by what came and went since."""
    slippage: Decimal = ZERO
    """What a market order is expected to lose against the touch."""
    trading_state: TradingState = TradingState.ACTIVE
    trading_reason: str = ""
    peak_equity: Decimal = ZERO
    """The highest, scaled by the capital that came and went since."""
    _order_times: deque[float] = attrs.field(factory=deque)

    def equity(self) -> Decimal:
        """Capital and every book's total PnL."""
        total = self.capital
        for state in self.symbol_states.values():
            total += state.position.valued(state.market.quote)[1]
        return total

    def day_start_equity(self) -> Decimal:
        """Equity at the market clock's last 00:00 UTC."""
        began = (state.position.day_start_pnl for state in self.symbol_states.values())
        return self.day_capital + sum(began, ZERO)

    def quote_moved(self) -> Decimal:
        """What every fill of ours brought of the quote asset, and took."""
        return sum((state.position.quote_moved() for state in self.symbol_states.values()), ZERO)

    def begin_day(self, day: str) -> None:
        """From now on the day's loss is measured against what is here now; once for each day."""
        if self.day != day:
            self.day, self.day_capital = day, self.capital

    def move_capital(self, capital: Decimal) -> None:
        """Capital came or went: neither a gain nor a loss.

        What losses are measured against moves in proportion, as in a time-weighted return: who
        is 2 % down stays 2 % down, however much was put in or taken out.
        """
        before, day_start = self.equity(), self.day_start_equity()
        change = capital - self.capital
        after = before + change
        self.capital = capital
        if before > 0 and after > 0:
            self.day_capital += day_start * after / before - day_start
            self.peak_equity = self.peak_equity * after / before
        else:  # nothing to be a fraction of
            self.day_capital += change
            self.peak_equity = max(after, ZERO)

    def is_marked(self) -> bool:
        """Every position has a quote to be marked at: equity can be trusted."""
        return all(
            state.position.is_flat or state.market.quote is not None
            for state in self.symbol_states.values()
        )

    def open_positions(self) -> int:
        """Symbols that hold a position, or have an order under way that may give them one."""
        return sum(state.holds for state in self.symbol_states.values())

    def gross_notional(self) -> Decimal:
        """All positions, and all entries under way, without their signs."""
        return sum((self._notional(state) for state in self.symbol_states.values()), ZERO)

    def expected_price(self, state: SymbolState, side: Side) -> Decimal:
        """What a market order would get now; before the first quote, the last fill's price."""
        quote = state.market.quote
        return (
            state.position.last_price if quote is None else touch_price(side, quote, self.slippage)
        )

    def price_of(self, state: SymbolState, order: Order) -> Decimal:
        """What an order would be filled at: its limit, or what the market gives now."""
        return self.expected_price(state, order.side) if order.price is None else order.price

    def count_order(self, state: SymbolState, now: float) -> None:
        """An order is about to leave, at `now` on trio's clock."""
        state.last_order_at = now
        self._order_times.append(now)

    def orders_last_minute(self, now: float) -> int:
        """Orders of the whole fleet that left in the last 60 s."""
        while self._order_times and self._order_times[0] <= now - 60.0:
            self._order_times.popleft()
        return len(self._order_times)

    def exposure(
        self, state: SymbolState, order: Order, *, now: float, data: DataState, is_flatten: bool
    ) -> Exposure:
        """Everything risk wants to know about `order` at this moment."""
        equity, held, gross, others_open = self.capital, ZERO, ZERO, 0
        # One look at each book, and none for an exit, which no limit of money refuses.
        for other in () if order.is_exit else self.symbol_states.values():
            worth, pnl = other.position.valued(other.market.quote)
            equity += pnl
            if other is state:
                held = worth
            elif other.position.quantity or other.in_flight is not None:
                others_open += other.holds  # dust is none, and still worth something
                worth += self._entering(other)
            gross += worth
        return Exposure(
            trading_state=self.trading_state,
            permission=state.permission,
            equity=equity,
            symbol_notional=held,
            gross_notional=gross,
            open_positions=others_open,
            orders_last_minute=self.orders_last_minute(now),
            since_last_order=None if state.last_order_at is None else now - state.last_order_at,
            data=data,
            price=self.price_of(state, order),
            last_trade=state.market.last_trade,
            is_flatten=is_flatten,
        )

    def _notional(self, state: SymbolState) -> Decimal:
        return state.position.notional(state.market.quote) + self._entering(state)

    def _entering(self, state: SymbolState) -> Decimal:
        """What an entry that is under way may still add."""
        order = state.in_flight
        if order is None or order.is_exit:
            return ZERO
        return state.entering * self.price_of(state, order)
