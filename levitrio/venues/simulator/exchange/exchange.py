"""The exchange: matches the orders of accounts against the market of the tape. Pure.

Orders do not move the market: their fills appear in no trade stream. Order, trade and execution
ids grow with market time, so that a later start never repeats one.

Each change of an account makes a user-data event, kept until `take_events`: the server decides
whether events go out before the answer or after it.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs

from levitrio.trading.filters import SymbolFilters
from levitrio.trading.market import Quote, Trade
from levitrio.trading.matching import MatchingEngine
from levitrio.trading.orders import OrderStatus, OrderType, Side
from levitrio.trading.venue_orders import Depth, Ending, Execution, Plan, RestingOrder
from levitrio.venues.simulator.exchange import errors, user_data
from levitrio.venues.simulator.exchange.accounts import VenueAccount, VenueOrder
from levitrio.venues.simulator.exchange.exchange_info import filters_of
from levitrio.venues.simulator.exchange.faults import FaultPlan
from levitrio.venues.simulator.exchange.order_checks import admit
from levitrio.venues.simulator.exchange.order_request import OrderRequest
from levitrio.venues.simulator.market.market import VenueMarket, assets_of
from levitrio.venues.simulator.market.price_generator import SLOT_MS

ZERO = Decimal(0)

_IDS_PER_SLOT = 1_000
"""Trade ids in each half second: more than all accounts fill."""

_MATCHED_LEVELS = 100

OnFill = Callable[[VenueAccount, bool, bool], None]
"""Called with the account, whether it was the maker, and whether the fill was the order's first."""


@attrs.define(eq=False)
class _Listing:
    """Matching and open orders of one symbol."""

    matching: MatchingEngine
    filters: SymbolFilters
    orders: dict[int, VenueOrder] = attrs.field(factory=dict)
    """The open orders of all accounts, by order id."""
    is_watched: bool = False


@attrs.define(eq=False, kw_only=True)
class Exchange:
    """Places, cancels and fills orders. Synchronous: no two calls interleave."""

    market: VenueMarket
    on_fill: OnFill
    watch: Callable[[str, bool], None]
    """Called with a symbol when its quotes and trades begin to matter, or no longer do."""
    faults: FaultPlan = attrs.field(factory=FaultPlan)
    _listings: dict[str, _Listing] = attrs.field(factory=dict, init=False)
    _events: list[tuple[VenueAccount, dict[str, Any]]] = attrs.field(factory=list, init=False)
    _last_order_id: int = attrs.field(default=0, init=False)
    _last_trade_id: int = attrs.field(default=0, init=False)
    _last_execution_id: int = attrs.field(default=0, init=False)

    def take_events(self) -> list[tuple[VenueAccount, dict[str, Any]]]:
        """The user-data events since the last call, oldest first."""
        events, self._events = self._events, []
        return events

    def check(self, account: VenueAccount, request: OrderRequest) -> None:
        """Check an order against everything but the account's balance.

        Raises:
            ApiError: the venue would refuse it, with its code.
        """
        filters = self._listing(request.symbol).filters
        if self.faults.now.market_status:
            raise errors.market_closed()
        if self.faults.now.coarser:
            market = self.market.rules(request.symbol)
            assert market is not None, "a listed symbol has rules"
            filters = filters_of(self.faults.rules(market))
        admit(self.market, filters, account, request)

    def place(self, account: VenueAccount, request: OrderRequest) -> VenueOrder:
        """Accept an order and match it, or raise ApiError and change nothing."""
        self.check(account, request)
        listing = self._listing(request.symbol)
        now_ms = self.market.now_ms()
        order = self._new_order(account, request, now_ms)
        plan = None if request.kind.is_conditional else self._plan(listing, order)
        if plan is not None and plan.ending is Ending.WOULD_TAKE:
            raise errors.would_take()
        if self._cost(order, plan) > account.balance(order.pays).free:
            raise errors.insufficient_balance()
        self._last_order_id = order.order_id
        if plan is not None and request.quote_quantity is not None:
            order.resting.quantity = plan.quantity
        account.add(order)
        listing.orders[order.order_id] = order
        self._report(order, "NEW")
        if plan is None:
            listing.matching.sleep(order.resting)
        else:
            self._enter(listing, order, plan)
        self._report_balances(account, order)
        self._update_watch(request.symbol, listing)
        return order

    def cancel(self, order: VenueOrder, cancel_id: str | None = None) -> str:
        """Cancel an open order; returns the client id of the cancel."""
        listing = self._listings[order.request.symbol]
        listing.matching.remove(order.resting)
        execution_id = self._execution_id()
        cancel_id = cancel_id or f"cancel-{execution_id}"
        self._end(listing, order, OrderStatus.CANCELED)
        self._events.append(
            (
                order.account,
                user_data.execution_report(
                    order, "CANCELED", execution_id=execution_id, cancel_id=cancel_id
                ),
            )
        )
        self._report_balances(order.account, order)
        self._update_watch(order.request.symbol, listing)
        return cancel_id

    def see_quote(self, quote: Quote) -> None:
        """Match resting orders against a new best bid and ask."""
        listing = self._listings.get(quote.symbol)
        if listing is not None and listing.orders:
            self._apply(listing, listing.matching.moved(Depth.of(quote)))
            self._update_watch(quote.symbol, listing)

    def see_trade(self, trade: Trade) -> None:
        """Fill orders that rest at the trade's price and trigger those that waited for it."""
        listing = self._listings.get(trade.symbol)
        if listing is None or not listing.orders:
            return
        taker = Side.SELL if trade.buyer_is_maker else Side.BUY
        self._apply(listing, listing.matching.traded(trade.price, trade.quantity, taker))
        for awake in listing.matching.woken(trade.price):
            order = listing.orders[awake.order_id]
            plan = self._plan(listing, order)
            money = order.account.balance(order.pays)
            if order.resting.side is Side.BUY and plan.notional > money.free + order.locked:
                self._expire(listing, order, Ending.NO_LIQUIDITY)
            else:
                self._enter(listing, order, plan)
            self._report_balances(order.account, order)
        self._update_watch(trade.symbol, listing)

    def _listing(self, symbol: str) -> _Listing:
        found = self._listings.get(symbol)
        if found is None:
            market = self.market.rules(symbol)
            if market is None:
                raise errors.invalid_symbol()
            found = _Listing(MatchingEngine(market.step), filters_of(market))
            self._listings[symbol] = found
        return found

    def _new_order(self, account: VenueAccount, request: OrderRequest, now_ms: int) -> VenueOrder:
        assets = assets_of(request.symbol)
        assert assets is not None, "a listed symbol has assets"
        order_id = max(self._last_order_id + 1, now_ms)
        resting = RestingOrder(
            order_id=order_id,
            side=request.side,
            type=request.kind.awake,
            quantity=request.quantity or ZERO,
            price=request.price,
            quote_quantity=request.quote_quantity,
            time_in_force=request.time_in_force,
            stop_price=request.stop_price,
            wakes_rising=request.kind.wakes_rising(request.side),
        )
        return VenueOrder(
            account=account,
            request=request,
            client_id=request.client_id or f"order-{order_id}",
            resting=resting,
            base=assets[0],
            quote=assets[1],
            time_ms=now_ms,
            update_ms=now_ms,
        )

    def _plan(self, listing: _Listing, order: VenueOrder) -> Plan:
        depth = self.market.depth(order.request.symbol, _MATCHED_LEVELS)
        return listing.matching.plan(order.resting, depth or Depth(bids=(), asks=(), update_id=-1))

    @staticmethod
    def _cost(order: VenueOrder, plan: Plan | None) -> Decimal:
        """The most the order may cost, in the asset it pays with."""
        if order.resting.type is OrderType.MARKET and plan is not None:
            return (
                max(order.resting.quantity, plan.quantity)
                if order.pays == order.base
                else plan.notional
            )
        return order.worst_cost

    def _enter(self, listing: _Listing, order: VenueOrder, plan: Plan) -> None:
        """Match an order that has no stop price or has reached it."""
        order.working_ms = self.market.now_ms()
        self._apply(listing, listing.matching.carry_out(order.resting, plan))
        if not order.is_open or plan.ending is Ending.RESTS:
            return
        self._expire(listing, order, plan.ending)

    def _expire(self, listing: _Listing, order: VenueOrder, ending: Ending) -> None:
        order.expiry_reason = ending.value
        self._end(listing, order, OrderStatus.EXPIRED)
        self._report(order, "EXPIRED")

    def _end(self, listing: _Listing, order: VenueOrder, status: OrderStatus) -> None:
        order.status = status
        order.account.settle(order, self.market.now_ms())
        listing.orders.pop(order.order_id, None)

    def _apply(self, listing: _Listing, executions: list[Execution]) -> None:
        now_ms = self.market.now_ms()
        for execution in executions:
            order = listing.orders[execution.order.order_id]
            is_first = not order.trades
            filled = sum((trade.quantity for trade in order.trades), execution.quantity)
            is_filled = filled == order.resting.quantity
            order.status = OrderStatus.FILLED if is_filled else OrderStatus.PARTIALLY_FILLED
            order.account.apply(order, execution, self._trade_id(now_ms), now_ms)
            self.on_fill(order.account, execution.is_maker, is_first)
            self._report(order, "TRADE")
            if is_filled:
                listing.orders.pop(order.order_id)
            if execution.is_maker:
                self._report_balances(order.account, order)

    def _report(self, order: VenueOrder, kind: str) -> None:
        report = user_data.execution_report(order, kind, execution_id=self._execution_id())
        self._events.append((order.account, report))

    def _report_balances(self, account: VenueAccount, order: VenueOrder) -> None:
        self._events.append((account, user_data.position(account, (order.base, order.quote))))

    def _update_watch(self, symbol: str, listing: _Listing) -> None:
        is_wanted = bool(listing.orders)
        if is_wanted is not listing.is_watched:
            listing.is_watched = is_wanted
            self.watch(symbol, is_wanted)

    def _trade_id(self, now_ms: int) -> int:
        first = now_ms // SLOT_MS * _IDS_PER_SLOT
        self._last_trade_id = max(self._last_trade_id + 1, first)
        return self._last_trade_id

    def _execution_id(self) -> int:
        self._last_execution_id = max(self._last_execution_id + 1, self.market.now_ms() * 10)
        return self._last_execution_id
