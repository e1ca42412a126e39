"""The paper broker: matches orders in this process against real prices.

It has the filters, statuses and texts of the venue, so that an order accepted here is not refused
there. Orders do not move the market; a level that an order has taken is gone until the market
updates it.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import count
from typing import Protocol

import attrs
import trio

from levitrio.trading.filters import FilterFacts, ProposedOrder, SymbolFilters, failed_filters
from levitrio.trading.market import MarketEvent, Quote, Trade
from levitrio.trading.market_view import MarketView
from levitrio.trading.matching import MatchingEngine, touch_price
from levitrio.trading.orders import Fill, Order, OrderStatus, OrderType, Side
from levitrio.trading.venue_orders import Depth, Ending, Execution, RestingOrder
from levitrio.venues.base import BrokerListener, MassStatus, OrderReport

VENUE = "paper"

ONE = Decimal(1)

LEVELS = 1_000
"""Levels of the local order book that a market order may take."""

REMEMBERED = 1_000
"""Ended orders that can still be queried."""

_ENDED = {
    Ending.NOTHING_LEFT: OrderStatus.FILLED,
    Ending.WOULD_TAKE: OrderStatus.REJECTED,
    Ending.NO_LIQUIDITY: OrderStatus.EXPIRED,
    Ending.IOC_EXPIRES: OrderStatus.EXPIRED,
    Ending.FOK_EXPIRES: OrderStatus.EXPIRED,
}


class Rulebook(Protocol):
    """Fetches the venue's filters for the paper broker."""

    async def learn(self, symbol: str) -> None:
        """Return once the symbol's filters are known, or cannot be fetched for now."""

    async def keep_fresh(self) -> None:
        """Fetch filters again from time to time until cancelled."""


@attrs.define(eq=False)
class _Resting:
    order: Order
    entry: RestingOrder


@attrs.define(eq=False, kw_only=True)
class PaperBroker:
    """Implements `Broker`: fills market orders at once, limit orders when the market reaches them.

    A market order takes the local order book where there is one, level by level, and else all of
    it at the best bid or ask. The fee is paid in the quote asset, so that a bought quantity can be
    sold again whole. Nothing outlives the process: a restart finds no resting order.
    """

    markets: Mapping[str, MarketView]
    quote_asset: str
    market_ms: Callable[[], int]
    fee: Decimal = Decimal("0.001")
    """Fraction of the notional."""
    slippage: Decimal = Decimal("0.0005")
    """Fraction by which the price of a market order is worse."""
    latency: float = 0.0
    """Seconds from sending to matching. An order cancelled meanwhile never arrives."""
    filters: dict[str, SymbolFilters] = attrs.field(factory=dict)
    """The venue's filters by symbol, where they are known."""
    closed: set[str] = attrs.field(factory=set)
    """Symbols that are not traded now."""
    rulebook: Rulebook | None = None
    """Fetches a symbol's filters before its first order; None: only `filters` count."""
    venue: str = VENUE
    proof_after: float = 0.0
    _matching: dict[str, MatchingEngine] = attrs.field(factory=dict)
    _resting: dict[str, _Resting] = attrs.field(factory=dict)
    """By client id."""
    _ended: OrderedDict[str, OrderStatus] = attrs.field(factory=OrderedDict)
    _ids: "count[int]" = attrs.field(factory=lambda: count(1))
    _listener: BrokerListener | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the venue's filters up to date until cancelled; there is no connection."""
        task_status.started()
        if self.rulebook is not None:
            await self.rulebook.keep_fresh()
        await trio.sleep_forever()

    def listen(self, listener: BrokerListener) -> None:
        """See `Broker.listen`: it gets the fills of resting orders, and the venue's filters."""
        self._listener = listener

    def learn(self, symbol: str, filters: SymbolFilters, closed: str) -> None:
        """Set the venue's filters of a symbol, and why it is not traded now; else empty."""
        self.filters[symbol] = filters
        (self.closed.add if closed else self.closed.discard)(symbol)
        if self._listener is not None:
            self._listener.learn_market(symbol, filters, closed)

    async def place(self, order: Order) -> OrderReport:
        """Match against the market at arrival; the rest of a limit order stays resting."""
        if self.latency:
            await trio.sleep(self.latency)
        market = self.markets[order.symbol]
        quote = market.quote
        if quote is None:
            return _refused(order, "no quote yet")
        if order.symbol in self.closed:
            return _refused(order, "Market is closed.")
        if failed := self._failed_filters(order, market, quote):
            return _refused(order, f"Filter failure: {failed[0]}")
        if order.type is OrderType.MARKET and (market.depth is None or not market.depth.is_live):
            price = touch_price(order.side, quote, self.slippage)
            fill = self._fill(order, price, order.quantity)
            return OrderReport(client_id=order.client_id, status=OrderStatus.FILLED, fills=(fill,))
        return self._match(order, _depth_of(market, quote))

    async def cancel(self, order: Order) -> OrderReport:
        """Cancel a resting order; a finished order reports its final status."""
        await trio.lowlevel.checkpoint()
        if (resting := self._resting.pop(order.client_id, None)) is not None:
            self._matching[order.symbol].remove(resting.entry)
            self._remember(order.client_id, OrderStatus.CANCELED)
        status = self._ended.get(order.client_id, OrderStatus.CANCELED)
        return OrderReport(client_id=order.client_id, status=status)

    async def query(self, order: Order) -> OrderReport | None:
        """The order's status, without fills: those were reported when they happened."""
        await trio.lowlevel.checkpoint()
        if (resting := self._resting.get(order.client_id)) is not None:
            return _status_of(resting)
        status = self._ended.get(order.client_id)
        return None if status is None else OrderReport(client_id=order.client_id, status=status)

    async def balances(self) -> None:
        """None: there is no account, only the fleet's own cash."""

    async def mass_status(self, symbol: str, since: int | None) -> MassStatus:
        """The resting orders. No trades: broker and journal share a process and miss no fill."""
        await trio.lowlevel.checkpoint()
        if self.rulebook is not None:
            await self.rulebook.learn(symbol)
        ours = [resting for resting in self._resting.values() if resting.order.symbol == symbol]
        return MassStatus(open_orders=tuple(map(_status_of, ours)))

    def see(self, event: MarketEvent) -> None:
        """Fill resting orders that a trade or quote reaches. Called on the feed's task."""
        matching = self._matching.get(event.symbol)
        if matching is None or not len(matching):
            return
        executions: list[Execution] = []
        if type(event) is Trade:
            taker = Side.SELL if event.buyer_is_maker else Side.BUY
            executions = matching.traded(event.price, event.quantity, taker)
        elif type(event) is Quote:
            executions = matching.moved(Depth.of(event))
        for execution in executions:
            self._report_fill(event.symbol, execution)

    def _failed_filters(self, order: Order, market: MarketView, quote: Quote) -> tuple[str, ...]:
        filters = self.filters.get(order.symbol)
        if filters is None:
            return ()
        proposed = ProposedOrder(
            side=order.side,
            is_market=order.type is OrderType.MARKET,
            quantity=order.quantity,
            price=order.price,
        )
        open_orders = sum(r.order.symbol == order.symbol for r in self._resting.values())
        reference = market.last_trade or quote.bid
        facts = FilterFacts(reference_price=reference, open_orders=open_orders)
        return failed_filters(filters, proposed, facts)

    def _match(self, order: Order, depth: Depth) -> OrderReport:
        matching = self._matching.setdefault(order.symbol, MatchingEngine())
        entry = RestingOrder(
            order_id=next(self._ids),
            side=order.side,
            type=order.type,
            quantity=order.quantity,
            price=order.price,
        )
        plan = matching.plan(entry, depth)
        if plan.ending is Ending.WOULD_TAKE:
            return _refused(order, "Order would immediately match and take.")
        is_market = order.type is OrderType.MARKET
        worse = ONE + self.slippage * order.side.sign if is_market else ONE
        executions = matching.carry_out(entry, plan)
        fills = [
            self._fill(order, execution.price * worse, execution.quantity)
            for execution in executions
            if execution.order is entry
        ]
        for execution in executions:
            if execution.order is not entry:
                self._report_fill(order.symbol, execution)
        if plan.ending is Ending.RESTS:
            self._resting[order.client_id] = _Resting(order, entry)
            status = OrderStatus.PARTIALLY_FILLED if fills else OrderStatus.NEW
        else:
            status = _ENDED[plan.ending]
        return OrderReport(client_id=order.client_id, status=status, fills=fills)

    def _report_fill(self, symbol: str, execution: Execution) -> None:
        for client_id, resting in list(self._resting.items()):
            if resting.entry is not execution.order:
                continue
            fill = self._fill(resting.order, execution.price, execution.quantity)
            report = attrs.evolve(_status_of(resting), fills=(fill,))
            if not resting.entry.remaining:
                del self._resting[client_id]
                self._remember(client_id, OrderStatus.FILLED)
            if self._listener is not None:
                self._listener.take_report(symbol, report)

    def _remember(self, client_id: str, status: OrderStatus) -> None:
        self._ended[client_id] = status
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)

    def _fill(self, order: Order, price: Decimal, quantity: Decimal) -> Fill:
        return Fill(
            client_id=order.client_id,
            symbol=order.symbol,
            side=order.side,
            price=price,
            quantity=quantity,
            fee=price * quantity * self.fee,
            fee_asset=self.quote_asset,
            time_ms=self.market_ms(),
            venue=VENUE,
        )


def _depth_of(market: MarketView, quote: Quote) -> Depth:
    depth = market.depth
    if depth is None or not depth.is_live:
        return Depth.of(quote)
    bids, asks = depth.bids(LEVELS), depth.asks(LEVELS)
    return Depth(bids=bids, asks=asks, update_id=quote.update_id)


def _status_of(resting: _Resting) -> OrderReport:
    entry = resting.entry
    status = OrderStatus.NEW
    if entry.filled:
        status = OrderStatus.PARTIALLY_FILLED if entry.remaining else OrderStatus.FILLED
    return OrderReport(client_id=resting.order.client_id, status=status)


def _refused(order: Order, reason: str) -> OrderReport:
    return OrderReport(client_id=order.client_id, status=OrderStatus.REJECTED, reason=reason)
