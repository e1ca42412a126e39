"""The venue's API methods for orders and accounts, all of them signed. Pure."""

from collections.abc import Callable
from typing import TypeVar

from levitrio.venues.simulator.api import responses
from levitrio.venues.simulator.api.api import ApiMethod, ApiRequest, ExchangeApi
from levitrio.venues.simulator.api.market_methods import listed
from levitrio.venues.simulator.api.responses import Json
from levitrio.venues.simulator.exchange import errors
from levitrio.venues.simulator.exchange.accounts import VenueAccount, VenueOrder
from levitrio.venues.simulator.exchange.errors import ApiError
from levitrio.venues.simulator.exchange.faults import LostReply
from levitrio.venues.simulator.exchange.order_request import (
    ORDER_PARAMETERS,
    OrderRequest,
    read_order,
)
from levitrio.venues.simulator.exchange.parameters import Parameters
from levitrio.venues.simulator.market.market import DAY_MS

_LOOKBACK = 500
_MOST_ROWS = 1_000

RowT = TypeVar("RowT")


def _place(venue: ExchangeApi, request: ApiRequest) -> Json:
    account = request.caller
    wanted = read_order(request.parameters)
    venue.orders(account).check(venue.wall_ms())
    fault = venue.faults.on_order()
    if fault == "late":
        _place_later(venue, account, wanted, request.expires_ms)
        raise errors.unknown_outcome()
    order = _accept(venue, account, wanted)
    if fault == "timeout":
        raise errors.unknown_outcome()
    if fault == "lost_reply":
        raise LostReply
    return responses.placed(order)


def _accept(venue: ExchangeApi, account: VenueAccount, wanted: OrderRequest) -> VenueOrder:
    # Counted before the fill: an order that fills at once gives its count back at once.
    quota = venue.orders(account)
    quota.add(1, venue.wall_ms())
    try:
        return venue.exchange.place(account, wanted)
    except ApiError:
        quota.add(-1, venue.wall_ms())
        raise


def _place_later(
    venue: ExchangeApi, account: VenueAccount, wanted: OrderRequest, expires_ms: int
) -> None:
    """Let the order reach the matching engine late, unless its recvWindow is over by then."""

    def arrive() -> None:
        if venue.wall_ms() > expires_ms:
            return
        try:
            _accept(venue, account, wanted)
        except ApiError:
            # The client already has the answer "unknown", and will find no such order.
            return

    venue.later(venue.faults.now.late_by, arrive)


def _test(venue: ExchangeApi, request: ApiRequest) -> Json:
    wants_rates = request.parameters.flag("computeCommissionRates", False)
    venue.exchange.check(request.caller, read_order(request.parameters))
    return responses.test_commission(request.caller) if wants_rates else {}


def _test_weight(parameters: Parameters) -> int:
    return 20 if parameters.values.get("computeCommissionRates") == "true" else 1


def _named(request: ApiRequest, venue: ExchangeApi) -> VenueOrder | None:
    """The order that `orderId` or `origClientOrderId` names; None when there is none."""
    parameters = request.parameters
    symbol = listed(venue, parameters)
    order_id = parameters.integer("orderId")
    client_id = parameters.text("origClientOrderId")
    if order_id is None and client_id is None:
        raise errors.missing_both("origClientOrderId", "orderId")
    return request.caller.find(symbol, order_id, client_id)


def _query(venue: ExchangeApi, request: ApiRequest) -> Json:
    order = _named(request, venue)
    if order is None:
        raise errors.no_such_order()
    return responses.queried(order)


def _cancel(venue: ExchangeApi, request: ApiRequest) -> Json:
    cancel_id = request.parameters.client_id("newClientOrderId")
    restriction = request.parameters.text("cancelRestrictions")
    if restriction not in {None, "ONLY_NEW", "ONLY_PARTIALLY_FILLED"}:
        raise errors.invalid_data("cancelRestrictions")
    order = _named(request, venue)
    if order is None or not order.is_open:
        raise errors.unknown_order()
    if restriction is not None and restriction != f"ONLY_{order.status.value}":
        raise errors.cancel_restricted()
    return responses.cancelled(order, venue.exchange.cancel(order, cancel_id))


def _cancel_all(venue: ExchangeApi, request: ApiRequest) -> Json:
    found = request.caller.open_orders(listed(venue, request.parameters))
    if not found:
        raise errors.unknown_order()
    return [responses.cancelled(order, venue.exchange.cancel(order)) for order in found]


def _open_orders(venue: ExchangeApi, request: ApiRequest) -> Json:
    parameters = request.parameters
    symbol = listed(venue, parameters) if "symbol" in parameters.values else None
    return [responses.queried(order) for order in request.caller.open_orders(symbol)]


def _all_orders(venue: ExchangeApi, request: ApiRequest) -> Json:
    parameters = request.parameters
    symbol = listed(venue, parameters)
    limit = parameters.limit(_LOOKBACK, _MOST_ROWS)
    first_id = parameters.integer("orderId")
    is_within = _within(parameters)
    found = [
        order
        for order in request.caller.orders.values()
        if order.request.symbol == symbol and is_within(order.time_ms)
    ]
    if first_id is not None:
        found = [order for order in found if order.order_id >= first_id][:limit]
    is_from_start = "startTime" in parameters.values
    return [responses.queried(order) for order in _cut(found, limit, is_from_start)]


def _my_trades(venue: ExchangeApi, request: ApiRequest) -> Json:
    parameters = request.parameters
    symbol = listed(venue, parameters)
    limit = parameters.limit(_LOOKBACK, _MOST_ROWS)
    first_id, order_id = parameters.integer("fromId"), parameters.integer("orderId")
    is_within = _within(parameters)
    found = [
        made
        for made in request.caller.trades.get(symbol, ())
        if is_within(made.time_ms)
        and (first_id is None or made.trade_id >= first_id)
        and (order_id is None or made.order_id == order_id)
    ]
    is_from_start = first_id is not None or "startTime" in parameters.values
    return [responses.my_trade(made) for made in _cut(found, limit, is_from_start)]


def _within(parameters: Parameters) -> Callable[[int], bool]:
    """Whether a time is within `startTime` and `endTime`, which lie at most a day apart."""
    start_ms, end_ms = parameters.time_ms("startTime"), parameters.time_ms("endTime")
    if start_ms is not None and end_ms is not None and end_ms - start_ms > DAY_MS:
        raise errors.too_long(24)

    def is_within(time_ms: int) -> bool:
        return (start_ms is None or time_ms >= start_ms) and (end_ms is None or time_ms <= end_ms)

    return is_within


def _cut(rows: list[RowT], limit: int, is_from_start: bool) -> list[RowT]:
    return rows[:limit] if is_from_start else rows[-limit:]


def _account(venue: ExchangeApi, request: ApiRequest) -> Json:  # noqa: ARG001  every method has both
    omit_zero = request.parameters.flag("omitZeroBalances", False)
    return responses.account(request.caller, omit_zero=omit_zero)


def _commission(venue: ExchangeApi, request: ApiRequest) -> Json:
    return responses.commission(request.caller, listed(venue, request.parameters))


def _order_counts(venue: ExchangeApi, request: ApiRequest) -> Json:
    windows = venue.orders(request.caller).windows
    return [window.report(venue.wall_ms()) for window in windows]


def _signed(
    handle: Callable[[ExchangeApi, ApiRequest], Json],
    weight: int | Callable[[Parameters], int],
    *known: str,
) -> ApiMethod:
    cost = weight if callable(weight) else lambda _, fixed=weight: fixed
    return ApiMethod(handle=handle, weight=cost, known=frozenset(known), is_signed=True)


_BY_NAME = ("symbol", "orderId", "origClientOrderId")
_TIMES = ("symbol", "startTime", "endTime", "limit")

ACCOUNT_METHODS: dict[str, ApiMethod] = {
    "order.place": _signed(_place, 1, *(ORDER_PARAMETERS - {"computeCommissionRates"})),
    "order.test": _signed(_test, _test_weight, *ORDER_PARAMETERS),
    "order.status": _signed(_query, 4, *_BY_NAME),
    "order.cancel": _signed(_cancel, 1, *_BY_NAME, "newClientOrderId", "cancelRestrictions"),
    "openOrders.status": _signed(
        _open_orders, lambda parameters: 6 if "symbol" in parameters.values else 80, "symbol"
    ),
    "openOrders.cancelAll": _signed(_cancel_all, 1, "symbol"),
    "allOrders": _signed(_all_orders, 20, *_TIMES, "orderId"),
    "myTrades": _signed(
        _my_trades,
        lambda parameters: 5 if "orderId" in parameters.values else 20,
        *_TIMES,
        "orderId",
        "fromId",
    ),
    "account.status": _signed(_account, 20, "omitZeroBalances"),
    "account.commission": _signed(_commission, 20, "symbol"),
    "account.rateLimits.orders": _signed(_order_counts, 40),
}
"""By the WS API's name; REST has a verb and a path for each."""
