"""The matching engine: what an order fills against a market, at once and while it rests. Pure.

One core for the paper broker, replay and the simulator, so that they cannot disagree. The
market's levels and trades come from a tape and do not react to our orders, but a quantity we
took of a level is gone until the tape updates the level. The rules:

* An order takes the best price first; at one price the market's level comes before our own
  resting orders, and those fill in the order of their arrival.
* A fill happens at the price of the order that rested first.
* A resting order fills when a trade goes through its price, or when a trade happens at its price
  after the quantity ahead of it has traded, by at most the trade's quantity; and when the
  market's other side reaches its price, by at most the level's quantity.
* The quantity ahead is known for the levels on the tape, and never grows. It shrinks with the
  trades at that price and with the level: a cancelled order is taken to have been ahead of ours.
* An order with a stop price sleeps until a trade at or beyond that price triggers it.
"""

from bisect import insort
from collections.abc import Iterator
from decimal import Decimal

import attrs

from levitrio.trading.filters import round_down
from levitrio.trading.market import Quote
from levitrio.trading.orders import OrderType, Side
from levitrio.trading.venue_orders import (
    Depth,
    Ending,
    Execution,
    Match,
    Plan,
    RestingOrder,
    TimeInForce,
)

ZERO = Decimal(0)
ONE = Decimal(1)


def touch_price(side: Side, quote: Quote, slippage: Decimal) -> Decimal:
    """Price of a market order: ask x (1 + slippage) for buys, bid x (1 - slippage) for sells."""
    if side is Side.BUY:
        return quote.ask * (ONE + slippage)
    return quote.bid * (ONE - slippage)


@attrs.define(eq=False)
class MatchingEngine:
    """Matches orders of one symbol and keeps those that rest or sleep, by price and time."""

    step: Decimal = ZERO
    """Quantity step to which a MARKET order by quote amount is rounded down."""
    _resting: dict[Side, list[RestingOrder]] = attrs.field(
        factory=lambda: {Side.BUY: [], Side.SELL: []}, init=False
    )
    """Best first, then by order id, which grows with time."""
    _sleeping: list[RestingOrder] = attrs.field(factory=list, init=False)
    _taken: dict[tuple[Side, Decimal], Decimal] = attrs.field(factory=dict, init=False)
    """Quantity we took of the levels of update `_taken_from`, by our side and price."""
    _taken_from: int = attrs.field(default=-1, init=False)
    """Update id of the depth that `_taken` belongs to."""

    def __len__(self) -> int:
        return len(self._resting[Side.BUY]) + len(self._resting[Side.SELL]) + len(self._sleeping)

    def plan(self, order: RestingOrder, depth: Depth) -> Plan:
        """Work out what an order would fill if it arrived now; changes no order."""
        self._see(depth)
        if order.type is OrderType.LIMIT_MAKER:
            if any(order.crosses(match.price) for match in self._offers(order.side, depth)):
                return Plan(matches=(), ending=Ending.WOULD_TAKE)
            return Plan(matches=(), ending=Ending.RESTS, ahead=_resting_at(order, depth))
        matches = tuple(self._matches(order, depth))
        if order.quote_quantity is not None:
            # Less than one step of money is left over: the order counts as filled.
            left = order.quote_quantity - sum(
                (each.price * each.quantity for each in matches), ZERO
            )
            is_done = bool(matches) and left < matches[-1].price * max(self.step, Decimal("1E-8"))
        else:
            is_done = sum((each.quantity for each in matches), ZERO) == order.remaining
        if is_done:
            return Plan(matches=matches, ending=Ending.NOTHING_LEFT)
        if order.type is OrderType.MARKET:
            return Plan(matches=matches, ending=Ending.NO_LIQUIDITY)
        if order.time_in_force is TimeInForce.FOK:
            return Plan(matches=(), ending=Ending.FOK_EXPIRES)
        if order.time_in_force is TimeInForce.IOC:
            return Plan(matches=matches, ending=Ending.IOC_EXPIRES)
        return Plan(matches=matches, ending=Ending.RESTS, ahead=_resting_at(order, depth))

    def carry_out(self, order: RestingOrder, plan: Plan) -> list[Execution]:
        """Execute a plan; must be called before another order or depth changes the market."""
        if order.quote_quantity is not None:
            order.quantity = plan.quantity
        executions = []
        for match in plan.matches:
            if match.resting is None:
                self._take(order.side, match.price, match.quantity)
            else:
                executions.append(self._fill(match.resting, match.price, match.quantity, True))
            executions.append(self._fill(order, match.price, match.quantity, False))
        if plan.ending is Ending.RESTS:
            order.ahead = plan.ahead
            insort(self._resting[order.side], order, key=_priority)
        return executions

    def sleep(self, order: RestingOrder) -> None:
        """Keep an order with a stop price until a trade triggers it."""
        self._sleeping.append(order)

    def remove(self, order: RestingOrder) -> None:
        """Remove an order that rests or sleeps; unknown ones are ignored."""
        for orders in (*self._resting.values(), self._sleeping):
            if order in orders:
                orders.remove(order)

    def woken(self, price: Decimal) -> list[RestingOrder]:
        """Remove and return the sleeping orders that a trade at this price triggers."""
        awake = [order for order in self._sleeping if order.wakes_at(price)]
        for order in awake:
            self._sleeping.remove(order)
        return awake

    def traded(self, price: Decimal, quantity: Decimal, taker: Side) -> list[Execution]:
        """Fill our resting orders at a market trade's price or better."""
        executions = []
        # `left` is the trade's quantity that reaches this price, `ours` what we filled of it.
        left, ours = quantity, ZERO
        for order in list(self._resting[_other(taker)]):
            if order.price is None or not order.crosses(price):
                break
            if order.price == price:
                passed = min(order.ahead, left)
                order.ahead -= passed
                size = min(left - passed - ours, order.remaining)
                ours += size
            else:  # the trade went through the order's price: all that rested there has traded
                order.ahead = ZERO
                size = min(left, order.remaining)
                left -= size
            if size:
                executions.append(self._fill(order, order.price, size, True))
        return executions

    def moved(self, depth: Depth) -> list[Execution]:
        """Take new market levels: resting orders that they cross fill as makers."""
        self._see(depth)
        executions = []
        for side, orders in self._resting.items():
            for order in orders:
                order.ahead = min(order.ahead, _resting_at(order, depth, unknown=order.ahead))
            for order in list(orders):
                if order.price is None or not self._crossing(order, depth):
                    break
                for level in self._levels(side, depth):
                    if not order.remaining or not order.crosses(level.price):
                        break
                    size = min(level.quantity, order.remaining)
                    self._take(side, level.price, size)
                    executions.append(self._fill(order, order.price, size, True))
        return executions

    def _crossing(self, order: RestingOrder, depth: Depth) -> bool:
        levels = depth.asks if order.side is Side.BUY else depth.bids
        return bool(levels) and order.crosses(levels[0][0])

    def _matches(self, order: RestingOrder, depth: Depth) -> Iterator[Match]:
        left = order.remaining
        money = order.quote_quantity
        for offer in self._offers(order.side, depth):
            if not order.crosses(offer.price):
                return
            size = offer.quantity
            if money is not None:
                size = min(size, round_down(money / offer.price, self.step))
                money -= size * offer.price
            else:
                size = min(size, left)
                left -= size
            if not size:
                return
            yield attrs.evolve(offer, quantity=size)

    def _offers(self, side: Side, depth: Depth) -> Iterator[Match]:
        """Offers against an order of `side`, best first: market levels and our own orders."""
        ours = list(self._resting[_other(side)])
        sign = side.sign
        for level in self._levels(side, depth):
            while ours and ours[0].price is not None and ours[0].price * sign < level.price * sign:
                yield _own(ours.pop(0))
            yield level
        for order in ours:
            yield _own(order)

    def _levels(self, side: Side, depth: Depth) -> Iterator[Match]:
        """Market levels against an order of `side`, less what we took of them already."""
        for price, quantity in depth.asks if side is Side.BUY else depth.bids:
            left = quantity - self._taken.get((side, price), ZERO)
            if left > 0:
                yield Match(price=price, quantity=left)

    def _see(self, depth: Depth) -> None:
        if depth.update_id != self._taken_from:
            self._taken_from = depth.update_id
            self._taken.clear()

    def _take(self, side: Side, price: Decimal, quantity: Decimal) -> None:
        self._taken[side, price] = self._taken.get((side, price), ZERO) + quantity

    def _fill(
        self, order: RestingOrder, price: Decimal, quantity: Decimal, is_maker: bool
    ) -> Execution:
        order.filled += quantity
        order.quote_filled += price * quantity
        if is_maker and not order.remaining:
            self._resting[order.side].remove(order)
        return Execution(order=order, price=price, quantity=quantity, is_maker=is_maker)


def _other(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY


def _resting_at(order: RestingOrder, depth: Depth, *, unknown: Decimal = ZERO) -> Decimal:
    """Market's quantity at the order's price on its own side; `unknown` beyond the known levels."""
    levels = depth.bids if order.side is Side.BUY else depth.asks
    for price, quantity in levels:
        if price == order.price:
            return quantity
        if order.crosses(price):  # this level is worse: nothing rests at the order's price
            return ZERO
    return unknown


def _own(order: RestingOrder) -> Match:
    assert order.price is not None
    return Match(price=order.price, quantity=order.remaining, resting=order)


def _priority(order: RestingOrder) -> tuple[Decimal, int]:
    assert order.price is not None
    return (-order.price * order.side.sign, order.order_id)
