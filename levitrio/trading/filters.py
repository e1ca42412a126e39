"""The venue's filters: tick and step sizes, minimum notional, price bands. Pure.

`SymbolFilters` holds what exchangeInfo says of a symbol (`filter_parsing` reads it),
`failed_filters` checks an order as the venue does, `SymbolRules` is the part that sizing needs.
A bound of 0 is disabled. The arithmetic has room for every digit the venue accepts: `%` on floats
refuses good orders, and so does the default Decimal context on large ones.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_DOWN, Context, Decimal
from fractions import Fraction
from math import gcd, lcm

import attrs

from levitrio.trading.orders import Side

ZERO = Decimal(0)

_EXACT = Context(prec=60, rounding=ROUND_DOWN)
"""Exact for products of two numbers with 20 digits before the point and 10 after it."""


@attrs.frozen(kw_only=True)
class SymbolRules:
    """The venue's rules for orders of one kind in one symbol; 0 disables a rule."""

    tick: Decimal = Decimal("0.00000001")
    """Smallest price step, in the quote asset."""
    step: Decimal = Decimal("0.00001")
    """Smallest quantity step, in the base asset."""
    min_quantity: Decimal = ZERO
    max_quantity: Decimal = ZERO
    """In the base asset."""
    min_notional: Decimal = Decimal(5)
    max_notional: Decimal = ZERO
    """Price x quantity, in the quote asset."""

    def fitting(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Largest quantity up to `quantity` that the venue takes; 0 when it takes none."""
        fits = round_down(min(quantity, self._most(quantity, price)), self.step)
        notional = _EXACT.multiply(fits, price)
        return fits if fits >= self.min_quantity and notional >= self.min_notional else ZERO

    def portion(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Quantity of the next order when `quantity` is closed in several; 0 when it is dust.

        There are as few orders as the venue's maximum allows, all of about one size: a small
        last one might be below the minimum.
        """
        whole = round_down(quantity, self.step)
        most = round_down(self._most(whole, price), self.step)
        if whole <= most or not most:
            return self.fitting(quantity, price)
        orders = (whole / most).to_integral_value(rounding=ROUND_CEILING)
        return self.fitting(whole / orders, price) or self.fitting(whole, price)

    def _most(self, otherwise: Decimal, price: Decimal) -> Decimal:
        bounds = [self.max_quantity] if self.max_quantity else []
        if self.max_notional and price:
            bounds.append(_EXACT.divide(self.max_notional, price))
        return min(bounds, default=otherwise)


def round_down(value: Decimal, step: Decimal) -> Decimal:
    """Largest multiple of `step` that is not above `value`, for `value` >= 0."""
    if not step:
        return value
    return (value / step).to_integral_value(rounding=ROUND_DOWN) * step


def _common_step(steps: Iterable[Decimal]) -> Decimal:
    """Smallest step that is a multiple of each of `steps`; steps of 0 are ignored."""
    common = Fraction(0)
    for step in map(Fraction, steps):
        if not step or not common:
            common = common or step
            continue
        # lcm of two fractions in lowest terms: lcm of numerators over gcd of denominators.
        common = Fraction(
            lcm(common.numerator, step.numerator), gcd(common.denominator, step.denominator)
        )
    return _EXACT.divide(Decimal(common.numerator), Decimal(common.denominator))


def passive_price(side: Side, price: Decimal, tick: Decimal) -> Decimal:
    """Round a price to `tick` so that it rests: buys round down, sells up."""
    if not tick:
        return price
    rounding = ROUND_DOWN if side is Side.BUY else ROUND_CEILING
    return (price / tick).to_integral_value(rounding=rounding) * tick


@attrs.frozen(kw_only=True)
class Range:
    """PRICE_FILTER, LOT_SIZE or MARKET_LOT_SIZE: bounds and a step, each 0 when disabled."""

    least: Decimal = ZERO
    most: Decimal = ZERO
    step: Decimal = ZERO

    def admits(self, value: Decimal) -> bool:
        """Whether the value is within the bounds and a multiple of the step."""
        if self.least and value < self.least:
            return False
        if self.most and value > self.most:
            return False
        return not self.step or not _EXACT.remainder(value, self.step)


@attrs.frozen(kw_only=True)
class NotionalBounds:
    """MIN_NOTIONAL or NOTIONAL: bounds of price x quantity, in the quote asset."""

    least: Decimal = ZERO
    most: Decimal = ZERO
    least_applies_to_market: bool = False
    most_applies_to_market: bool = False
    average_minutes: int = 0
    """Minutes of the average price that values a MARKET order; 0 means the last price."""

    def admits(self, notional: Decimal, *, is_market: bool) -> bool:
        """Whether an order of this worth is neither too small nor too large."""
        if (self.least_applies_to_market or not is_market) and notional < self.least:
            return False
        checks_most = bool(self.most) and (self.most_applies_to_market or not is_market)
        return not checks_most or notional <= self.most


@attrs.frozen(kw_only=True)
class PriceBand:
    """PERCENT_PRICE or PERCENT_PRICE_BY_SIDE: how far from the average a price may lie."""

    buy_up: Decimal
    buy_down: Decimal
    sell_up: Decimal
    sell_down: Decimal
    average_minutes: int = 0
    """Minutes of the average price; 0 means the last price."""

    def admits(self, side: Side, price: Decimal, average: Decimal) -> bool:
        """Whether the price lies within the side's multiples of the average."""
        is_buy = side is Side.BUY
        down, up = (self.buy_down, self.buy_up) if is_buy else (self.sell_down, self.sell_up)
        low, high = _EXACT.multiply(average, down), _EXACT.multiply(average, up)
        return low <= price <= high


@attrs.frozen(kw_only=True)
class TrailingBounds:
    """TRAILING_DELTA: bounds in basis points, above and below the market."""

    above: Range
    below: Range


@attrs.frozen(kw_only=True)
class SymbolFilters:
    """Every filter of one symbol; None where the venue has none of that kind."""

    price: Range | None = None
    lot: Range | None = None
    market_lot: Range | None = None
    min_notional: NotionalBounds | None = None
    notional: NotionalBounds | None = None
    percent_price: PriceBand | None = None
    percent_price_by_side: PriceBand | None = None
    trailing: TrailingBounds | None = None
    counts: Mapping[str, int] = attrs.field(factory=dict)
    """Limits by filter name: ICEBERG_PARTS, MAX_NUM_ORDERS and the like."""
    max_position: Decimal | None = None
    """In the base asset."""

    @property
    def average_minutes(self) -> int:
        """Longest average that a filter asks for, in minutes; 0 when the last price is enough."""
        bounds = (self.min_notional, self.notional, self.percent_price, self.percent_price_by_side)
        return max((each.average_minutes for each in bounds if each is not None), default=0)

    def rules(self, *, is_market: bool = True) -> SymbolRules:
        """Rules an order must keep to pass every filter: the stricter of each pair."""
        lots = [self.lot, self.market_lot if is_market else None]
        ranges = [each for each in lots if each is not None]
        bounds = [each for each in (self.min_notional, self.notional) if each is not None]
        return SymbolRules(
            tick=self.price.step if self.price is not None else ZERO,
            step=_common_step(each.step for each in ranges),
            min_quantity=max((each.least for each in ranges), default=ZERO),
            max_quantity=min((each.most for each in ranges if each.most), default=ZERO),
            min_notional=max(
                (each.least for each in bounds if each.least_applies_to_market or not is_market),
                default=ZERO,
            ),
            max_notional=min(
                (
                    each.most
                    for each in bounds
                    if each.most and (each.most_applies_to_market or not is_market)
                ),
                default=ZERO,
            ),
        )


@attrs.frozen(kw_only=True)
class ProposedOrder:
    """The numbers of an order that filters check."""

    side: Side
    is_market: bool
    """Whether it trades at the market's price: MARKET, STOP_LOSS, TAKE_PROFIT."""
    quantity: Decimal | None
    """In the base asset; None for a MARKET order by quote amount."""
    quote_quantity: Decimal | None = None
    """In the quote asset."""
    price: Decimal | None = None
    stop_price: Decimal | None = None
    iceberg_quantity: Decimal | None = None
    trailing_delta: int | None = None
    """Basis points."""
    trails_above: bool = False
    """Whether it triggers above the market: a STOP_LOSS that buys, a TAKE_PROFIT that sells."""
    is_algo: bool = False
    """Whether it waits for a trigger."""


@attrs.frozen(kw_only=True)
class FilterFacts:
    """What the filters check an order against."""

    reference_price: Decimal
    """Average price over the filters' minutes, or the last price for 0 minutes."""
    open_orders: int = 0
    """Open orders of this account and symbol, without the new one."""
    open_algo_orders: int = 0
    open_iceberg_orders: int = 0
    position: Decimal = ZERO
    """Free and locked balance plus the quantity of open buys, in the base asset."""


def failed_filters(
    filters: SymbolFilters, order: ProposedOrder, facts: FilterFacts
) -> tuple[str, ...]:
    """Names of the filters an order fails, in the venue's order; empty when it passes."""
    return tuple(_failures(filters, order, facts))


def _failures(filters: SymbolFilters, order: ProposedOrder, facts: FilterFacts) -> Iterator[str]:
    prices = [each for each in (order.price, order.stop_price) if each is not None]
    if filters.price is not None and not all(filters.price.admits(each) for each in prices):
        yield "PRICE_FILTER"
    if order.price is not None:
        for name, band in (
            ("PERCENT_PRICE", filters.percent_price),
            ("PERCENT_PRICE_BY_SIDE", filters.percent_price_by_side),
        ):
            if band and not band.admits(order.side, order.price, facts.reference_price):
                yield name
    yield from _quantity_failures(filters, order)
    notional = _notional(order, facts)
    for name, bounds in (("MIN_NOTIONAL", filters.min_notional), ("NOTIONAL", filters.notional)):
        if bounds and not bounds.admits(notional, is_market=order.is_market):
            yield name
    if order.trailing_delta is not None and filters.trailing is not None:
        trailing = filters.trailing
        bounds_of_side = trailing.above if order.trails_above else trailing.below
        if not bounds_of_side.admits(Decimal(order.trailing_delta)):
            yield "TRAILING_DELTA"
    yield from _count_failures(filters.counts, order, facts)
    most = filters.max_position
    bought = order.quantity if order.side is Side.BUY else None
    if most is not None and bought is not None and _EXACT.add(facts.position, bought) > most:
        yield "MAX_POSITION"


def _quantity_failures(filters: SymbolFilters, order: ProposedOrder) -> Iterator[str]:
    quantities = [each for each in (order.quantity, order.iceberg_quantity) if each is not None]
    if filters.lot is not None and not all(filters.lot.admits(each) for each in quantities):
        yield "LOT_SIZE"
    if order.quantity is None:
        return
    parts = filters.counts.get("ICEBERG_PARTS")
    shown = order.iceberg_quantity
    if parts is not None and shown and order.quantity > _EXACT.multiply(shown, Decimal(parts)):
        yield "ICEBERG_PARTS"
    market_lot = filters.market_lot if order.is_market else None
    if market_lot is not None and not market_lot.admits(order.quantity):
        yield "MARKET_LOT_SIZE"


def _notional(order: ProposedOrder, facts: FilterFacts) -> Decimal:
    if order.quantity is None:
        return order.quote_quantity or ZERO
    price = facts.reference_price if order.price is None else order.price
    return _EXACT.multiply(price, order.quantity)


def _count_failures(
    counts: Mapping[str, int], order: ProposedOrder, facts: FilterFacts
) -> Iterator[str]:
    rests = not order.is_market or order.is_algo
    for name, is_counted, already in (
        ("MAX_NUM_ORDERS", rests, facts.open_orders),
        ("MAX_NUM_ALGO_ORDERS", order.is_algo, facts.open_algo_orders),
        ("MAX_NUM_ICEBERG_ORDERS", bool(order.iceberg_quantity), facts.open_iceberg_orders),
    ):
        limit = counts.get(name)
        if limit is not None and is_counted and already >= limit:
            yield name
