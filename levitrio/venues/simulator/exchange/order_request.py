"""Parses a new order: which parameters each order type requires and allows. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

import attrs

from levitrio.trading.orders import OrderType, Side
from levitrio.trading.venue_orders import TimeInForce
from levitrio.venues.simulator.exchange import errors
from levitrio.venues.simulator.exchange.errors import ApiError
from levitrio.venues.simulator.exchange.parameters import Parameters


class OrderKind(StrEnum):
    """Values of `type`. The gateway sends the first three; other clients may send any."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    LIMIT_MAKER = "LIMIT_MAKER"
    STOP_LOSS = "STOP_LOSS"
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"

    @property
    def awake(self) -> OrderType:
        """The order type once its stop price, if it has one, is reached."""
        if self is OrderKind.LIMIT_MAKER:
            return OrderType.LIMIT_MAKER
        return OrderType.LIMIT if "LIMIT" in self else OrderType.MARKET

    @property
    def is_conditional(self) -> bool:
        """Whether it waits until the market reaches its stop price."""
        return self.startswith(("STOP_LOSS", "TAKE_PROFIT"))

    def wakes_rising(self, side: Side) -> bool:
        """Whether its stop price must lie above the market."""
        return self.startswith("STOP_LOSS") == (side is Side.BUY)


class ResponseKind(StrEnum):
    """Values of `newOrderRespType`."""

    ACK = "ACK"
    RESULT = "RESULT"
    FULL = "FULL"


@attrs.frozen(kw_only=True)
class OrderRequest:
    """A new order, complete and consistent in itself."""

    symbol: str
    side: Side
    kind: OrderKind
    client_id: str | None
    """None: the venue chooses one."""
    quantity: Decimal | None
    """In the base asset; None of a MARKET order by amount."""
    quote_quantity: Decimal | None
    """In the quote asset."""
    price: Decimal | None
    stop_price: Decimal | None
    iceberg_quantity: Decimal | None
    time_in_force: TimeInForce
    response: ResponseKind
    strategy_id: int | None
    strategy_type: int | None


ORDER_PARAMETERS = frozenset(
    {
        "symbol",
        "side",
        "type",
        "timeInForce",
        "quantity",
        "quoteOrderQty",
        "price",
        "newClientOrderId",
        "strategyId",
        "strategyType",
        "stopPrice",
        "trailingDelta",
        "icebergQty",
        "newOrderRespType",
        "selfTradePreventionMode",
        "computeCommissionRates",
    }
)

_CHOSEN = frozenset(
    {"timeInForce", "quantity", "quoteOrderQty", "price", "stopPrice", "icebergQty"}
)
"""The parameters whose presence depends on the type."""

_LIMIT = frozenset({"timeInForce", "quantity", "price"})

_REQUIRED: Mapping[OrderKind, frozenset[str]] = {
    OrderKind.LIMIT: _LIMIT,
    OrderKind.MARKET: frozenset(),
    OrderKind.LIMIT_MAKER: _LIMIT - {"timeInForce"},
    OrderKind.STOP_LOSS: frozenset({"quantity", "stopPrice"}),
    OrderKind.STOP_LOSS_LIMIT: _LIMIT | {"stopPrice"},
    OrderKind.TAKE_PROFIT: frozenset({"quantity", "stopPrice"}),
    OrderKind.TAKE_PROFIT_LIMIT: _LIMIT | {"stopPrice"},
}

_OPTIONAL: Mapping[OrderKind, frozenset[str]] = {
    OrderKind.LIMIT: frozenset({"icebergQty"}),
    OrderKind.MARKET: frozenset({"quantity", "quoteOrderQty"}),
    OrderKind.LIMIT_MAKER: frozenset({"icebergQty"}),
    OrderKind.STOP_LOSS: frozenset(),
    OrderKind.STOP_LOSS_LIMIT: frozenset({"icebergQty"}),
    OrderKind.TAKE_PROFIT: frozenset(),
    OrderKind.TAKE_PROFIT_LIMIT: frozenset({"icebergQty"}),
}

_LEAST_STRATEGY_TYPE = 1_000_000
"""The venue reserves the numbers below."""


def read_order(parameters: Parameters) -> OrderRequest:
    """The order that a request asks for.

    Raises:
        ApiError: a parameter is missing, malformed, or not for this type of order.
    """
    symbol = parameters.symbol_text()
    parameters.required("side")
    side = parameters.choice("side", Side, errors.invalid_side())
    parameters.required("type")
    kind = parameters.choice("type", OrderKind, errors.invalid_type())
    assert side is not None
    assert kind is not None
    _check_presence(parameters, kind)
    sent = {name: parameters.positive(name) for name in sorted(_NUMBERS & parameters.values.keys())}
    time_in_force = parameters.choice("timeInForce", TimeInForce, errors.invalid_time_in_force())
    strategy_type = parameters.integer("strategyType")
    if strategy_type is not None and strategy_type < _LEAST_STRATEGY_TYPE:
        raise errors.invalid_data("strategyType")
    if parameters.text("selfTradePreventionMode") not in {None, "NONE"}:
        raise ApiError(
            -1013, "This symbol does not allow the specified self-trade prevention mode."
        )
    if "icebergQty" in sent and time_in_force not in {None, TimeInForce.GTC}:
        raise ApiError(-1013, "Iceberg orders must be GTC.")
    is_usual = kind in {OrderKind.MARKET, OrderKind.LIMIT}
    response = parameters.choice(
        "newOrderRespType", ResponseKind, errors.invalid_data("newOrderRespType")
    )
    return OrderRequest(
        symbol=symbol,
        side=side,
        kind=kind,
        client_id=parameters.client_id("newClientOrderId"),
        quantity=sent.get("quantity"),
        quote_quantity=sent.get("quoteOrderQty"),
        price=sent.get("price"),
        stop_price=sent.get("stopPrice"),
        iceberg_quantity=sent.get("icebergQty"),
        time_in_force=time_in_force or TimeInForce.GTC,
        response=response or (ResponseKind.FULL if is_usual else ResponseKind.ACK),
        strategy_id=parameters.integer("strategyId"),
        strategy_type=strategy_type,
    )


_NUMBERS = _CHOSEN - {"timeInForce"}


def _check_presence(parameters: Parameters, kind: OrderKind) -> None:
    if parameters.values.get("trailingDelta"):
        raise ApiError(-2010, "Trailing stop orders are not supported for this symbol.")
    for name in sorted(_REQUIRED[kind]):
        parameters.required(name)
    sent = _CHOSEN & parameters.values.keys()
    for name in sorted(sent - _REQUIRED[kind] - _OPTIONAL[kind]):
        raise errors.not_required(name)
    if kind is OrderKind.MARKET:
        if not sent & {"quantity", "quoteOrderQty"}:
            raise errors.missing_both("quantity", "quoteOrderQty")
        if {"quantity", "quoteOrderQty"} <= sent:
            raise errors.invalid_combination()
