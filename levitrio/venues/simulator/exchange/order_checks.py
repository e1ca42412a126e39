"""Checks a new order before it reaches the order book. Pure."""

from decimal import Decimal

from levitrio.trading.filters import FilterFacts, ProposedOrder, SymbolFilters, failed_filters
from levitrio.trading.orders import OrderType
from levitrio.venues.simulator.exchange import errors
from levitrio.venues.simulator.exchange.accounts import VenueAccount
from levitrio.venues.simulator.exchange.exchange_info import AVERAGE_MINUTES
from levitrio.venues.simulator.exchange.order_request import OrderRequest
from levitrio.venues.simulator.exchange.rate_limits import MINUTE_MS
from levitrio.venues.simulator.market.market import VenueMarket


def admit(
    market: VenueMarket, filters: SymbolFilters, account: VenueAccount, request: OrderRequest
) -> None:
    """Check a new order against duplicates, filters and its stop price.

    Args:
        market: gives the last trade and the average price.
        filters: of the symbol.
        account: whose order it is.
        request: the new order.

    Raises:
        ApiError: the order must not reach the order book; with the venue's code.
    """
    now_ms = market.now_ms()
    newest = market.trades(request.symbol, from_id=None, start_ms=None, end_ms=now_ms, limit=1)
    if not newest:
        raise errors.market_closed()
    if request.client_id and account.is_taken(request.symbol, request.client_id):
        raise errors.duplicate_order()
    last = newest[-1].price
    failures = failed_filters(filters, _proposed(request), _facts(market, account, request, last))
    if failures:
        raise errors.filter_failure(failures[0])
    if request.stop_price is not None:
        rises = request.kind.wakes_rising(request.side)
        if request.stop_price <= last if rises else request.stop_price >= last:
            raise errors.would_trigger()


def _facts(
    market: VenueMarket, account: VenueAccount, request: OrderRequest, last: Decimal
) -> FilterFacts:
    total = market.total(request.symbol, market.now_ms() - AVERAGE_MINUTES * MINUTE_MS)
    average = total.quote_volume / total.volume if total is not None else last
    mine = account.open_orders(request.symbol)
    return FilterFacts(
        reference_price=average,
        open_orders=len(mine),
        open_algo_orders=sum(each.request.kind.is_conditional for each in mine),
        open_iceberg_orders=sum(each.request.iceberg_quantity is not None for each in mine),
    )


def _proposed(request: OrderRequest) -> ProposedOrder:
    return ProposedOrder(
        side=request.side,
        is_market=request.kind.awake is OrderType.MARKET,
        quantity=request.quantity,
        quote_quantity=request.quote_quantity,
        price=request.price,
        stop_price=request.stop_price,
        iceberg_quantity=request.iceberg_quantity,
        is_algo=request.kind.is_conditional,
    )
