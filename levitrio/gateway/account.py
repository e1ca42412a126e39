"""The account of the whole fleet: capital, equity, exposure and trading state."""

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
    """Computes equity and exposure; decides nothing.

    Amounts are in the quote asset, positions are marked at the touch.
    """

    symbol_states: Mapping[str, SymbolState]
    name: str
    """`paper`, or `VENUE:NUMBER` once the venue has sent the account's number."""
    capital: Decimal
    """Deposits less withdrawals: equity without profit."""
    is_capital_known: bool = True
    """False until the venue has sent its balances: no entry can be sized before."""
    day: str = ""
    """UTC day of the market clock that `day_capital` belongs to."""
    day_capital: Decimal = attrs.field(
        default=attrs.Factory(lambda self: self.capital, takes_self=True)
    )
    """Capital at 00:00 UTC, scaled by deposits and withdrawals since."""
    slippage: Decimal = ZERO
    """Fraction of the price that a market order is expected to lose against the touch."""
    trading_state: TradingState = TradingState.ACTIVE
    trading_reason: str = ""
    peak_equity: Decimal = ZERO
    """Highest equity so far, scaled by deposits and withdrawals since."""
    _order_times: deque[float] = attrs.field(factory=deque)

    def equity(self) -> Decimal:
        """Capital and the total PnL of every position."""
        total = self.capital
        for state in self.symbol_states.values():
            total += state.position.valued(state.market.quote)[1]
        return total

    def day_start_equity(self) -> Decimal:
        """Equity at the last 00:00 UTC of the market clock."""
        began = (state.position.day_start_pnl for state in self.symbol_states.values())
        return self.day_capital + sum(began, ZERO)

    def quote_moved(self) -> Decimal:
        """Net change of the quote asset by all fills of the fleet."""
        return sum((state.position.quote_moved() for state in self.symbol_states.values()), ZERO)

    def begin_day(self, day: str) -> None:
        """Measure the day's loss from now on; only the first call of a day counts."""
        if self.day != day:
            self.day, self.day_capital = day, self.capital

    def move_capital(self, capital: Decimal) -> None:
        """Set the capital after a deposit or withdrawal, which is neither gain nor loss.

        Day start and peak move in proportion, as in a time-weighted return: an account that is
        2 % down stays 2 % down, however much was put in or taken out.
        """
        before, day_start = self.equity(), self.day_start_equity()
        change = capital - self.capital
        after = before + change
        self.capital = capital
        if before > 0 and after > 0:
            self.day_capital += day_start * after / before - day_start
            self.peak_equity = self.peak_equity * after / before
        else:  # a ratio to zero or negative equity means nothing
            self.day_capital += change
            self.peak_equity = max(after, ZERO)

    def is_marked(self) -> bool:
        """Whether every position has a quote to be marked at, so that equity can be trusted."""
        return all(
            state.position.is_flat or state.market.quote is not None
            for state in self.symbol_states.values()
        )

    def open_positions(self) -> int:
        """Number of symbols with a position, or with an order in flight that may open one."""
        return sum(state.holds for state in self.symbol_states.values())

    def gross_notional(self) -> Decimal:
        """Absolute worth of all positions and all entries in flight."""
        return sum((self._notional(state) for state in self.symbol_states.values()), ZERO)

    def expected_price(self, state: SymbolState, side: Side) -> Decimal:
        """Price a market order would get now; before the first quote, the last fill's price."""
        quote = state.market.quote
        return (
            state.position.last_price if quote is None else touch_price(side, quote, self.slippage)
        )

    def price_of(self, state: SymbolState, order: Order) -> Decimal:
        """Price an order would be filled at: its limit, or the market's price now."""
        return self.expected_price(state, order.side) if order.price is None else order.price

    def count_order(self, state: SymbolState, now: float) -> None:
        """Count an order that is about to be sent, at `now` on trio's clock."""
        state.last_order_at = now
        self._order_times.append(now)

    def orders_last_minute(self, now: float) -> int:
        """Number of orders the whole fleet sent in the last 60 s."""
        while self._order_times and self._order_times[0] <= now - 60.0:
            self._order_times.popleft()
        return len(self._order_times)

    def exposure(
        self, state: SymbolState, order: Order, *, now: float, data: DataState, is_flatten: bool
    ) -> Exposure:
        """Collect the facts by which risk judges `order`.

        Args:
            state: The order's symbol.
            order: The order to be judged.
            now: Seconds on trio's clock.
            data: How far the symbol's data can be trusted.
            is_flatten: Whether the operator asked for it.
        """
        equity, held, gross, others_open = self.capital, ZERO, ZERO, 0
        # Each position is valued once per decision, and none for an exit: no exposure limit
        # refuses one.
        for other in () if order.is_exit else self.symbol_states.values():
            worth, pnl = other.position.valued(other.market.quote)
            equity += pnl
            if other is state:
                held = worth
            elif other.position.quantity or other.in_flight is not None:
                others_open += other.holds  # dust is no position, but has a worth
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
        """Notional that an entry in flight may still add."""
        order = state.in_flight
        if order is None or order.is_exit:
            return ZERO
        return state.entering * self.price_of(state, order)
