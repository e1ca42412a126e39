"""The venue's API methods for market data; they need no signature. Pure."""

import json
from collections.abc import Callable, Iterator

from levitrio.trading.candles import INTERVALS
from levitrio.venues.simulator.api import responses
from levitrio.venues.simulator.api.api import ApiMethod, ApiRequest, ExchangeApi
from levitrio.venues.simulator.api.responses import Json
from levitrio.venues.simulator.exchange import errors
from levitrio.venues.simulator.exchange.exchange_info import AVERAGE_MINUTES, exchange_json
from levitrio.venues.simulator.exchange.parameters import Parameters
from levitrio.venues.simulator.exchange.rate_limits import MINUTE_MS
from levitrio.venues.simulator.market.stream_payloads import fixed

_KLINES = 1_000
_TRADES = 1_000
_LEVELS = 5_000

_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1_000, 50), (_LEVELS, 250))
"""(most levels, request weight) pairs."""

_LOOKBACK = 500
"""Rows when no limit is sent."""

_FOREVER_MS = 2**62


def _flat(weight: int) -> Callable[[Parameters], int]:
    return lambda _: weight


def _depth_weight(parameters: Parameters) -> int:
    limit = parameters.limit(100, _LEVELS)
    return next(weight for most, weight in _DEPTH_WEIGHTS if limit <= most)


def listed(venue: ExchangeApi, parameters: Parameters) -> str:
    """The symbol of a request. Raises ApiError unless the venue lists it."""
    symbol = parameters.symbol_text()
    if venue.market.rules(symbol) is None:
        raise errors.invalid_symbol()
    return symbol


def _ping(venue: ExchangeApi, request: ApiRequest) -> Json:  # noqa: ARG001  every method has both
    return {}


def _time(venue: ExchangeApi, request: ApiRequest) -> Json:  # noqa: ARG001
    return {"serverTime": venue.wall_ms()}


def asked_symbols(venue: ExchangeApi, parameters: Parameters) -> tuple[str, ...] | None:
    """The symbols in `symbol` or `symbols`; None when neither was sent.

    Raises:
        ApiError: a symbol is not listed, or the parameters are malformed.
    """
    if "symbol" in parameters.values:
        if "symbols" in parameters.values:
            raise errors.invalid_combination()
        return (listed(venue, parameters),)
    text = parameters.text("symbols")
    if text is None:
        return None
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise errors.invalid_data("symbols")
    return tuple(listed(venue, Parameters({"symbol": name})) for name in names)


def _exchange_info(venue: ExchangeApi, request: ApiRequest) -> Json:
    asked = asked_symbols(venue, request.parameters)
    symbols = []
    for symbol in venue.market.symbols() if asked is None else asked:
        market = venue.market.rules(symbol)
        assert market is not None, "only listed symbols are asked for"
        symbols.append((symbol, venue.faults.rules(market)))
    status = venue.faults.now.market_status or "TRADING"
    return exchange_json(symbols, server_ms=venue.wall_ms(), status=status)


def _depth(venue: ExchangeApi, request: ApiRequest) -> Json:
    symbol = listed(venue, request.parameters)
    depth = venue.market.depth(symbol, request.parameters.limit(100, _LEVELS))
    if depth is None:
        return {"lastUpdateId": 0, "bids": [], "asks": []}
    return {
        "lastUpdateId": depth.update_id,
        "bids": responses.levels(depth.bids),
        "asks": responses.levels(depth.asks),
    }


def _trades(venue: ExchangeApi, request: ApiRequest) -> Json:
    parameters = request.parameters
    found = venue.market.trades(
        listed(venue, parameters),
        from_id=parameters.integer("fromId"),
        start_ms=None,
        end_ms=_FOREVER_MS,
        limit=parameters.limit(_LOOKBACK, _TRADES),
    )
    return [responses.trade(each) for each in found]


def _agg_trades(venue: ExchangeApi, request: ApiRequest) -> Json:
    parameters = request.parameters
    start_ms, end_ms = parameters.time_ms("startTime"), parameters.time_ms("endTime")
    from_id = parameters.integer("fromId")
    if from_id is not None and (start_ms is not None or end_ms is not None):
        raise errors.invalid_combination()
    found = venue.market.trades(
        listed(venue, parameters),
        from_id=from_id,
        start_ms=start_ms,
        end_ms=_FOREVER_MS if end_ms is None else end_ms,
        limit=parameters.limit(_LOOKBACK, _TRADES),
    )
    return [responses.agg_trade(each) for each in found]


def _klines(venue: ExchangeApi, request: ApiRequest) -> Json:
    parameters = request.parameters
    symbol = listed(venue, parameters)
    interval = parameters.required("interval")
    if interval not in INTERVALS:
        raise errors.invalid_interval()
    end_ms = parameters.time_ms("endTime")
    candles = venue.market.candles(
        symbol,
        interval,
        start_ms=parameters.time_ms("startTime"),
        end_ms=_FOREVER_MS if end_ms is None else end_ms,
        limit=parameters.limit(_LOOKBACK, _KLINES),
    )
    return [responses.kline(candle) for candle in candles]


def _average(venue: ExchangeApi, request: ApiRequest) -> Json:
    symbol = listed(venue, request.parameters)
    total = venue.market.total(symbol, venue.market.now_ms() - AVERAGE_MINUTES * MINUTE_MS)
    if total is None:
        return {"mins": AVERAGE_MINUTES, "price": "0.00000000", "closeTime": 0}
    price = fixed(total.quote_volume / total.volume)
    return {"mins": AVERAGE_MINUTES, "price": price, "closeTime": total.close_time_ms}


def _prepare_klines(venue: ExchangeApi, parameters: Parameters) -> Iterator[None]:
    symbol = parameters.values.get("symbol", "")
    if parameters.values.get("interval") == "1s" or venue.market.rules(symbol) is None:
        return
    # A thousand minutes back at least; longer candles need the whole history.
    minutes = _KLINES if parameters.values.get("interval") == "1m" else 10**6
    yield from venue.market.prepare(symbol, venue.market.now_ms() - minutes * MINUTE_MS)


SYMBOLS = frozenset({"symbol", "symbols", "symbolStatus"})
"""Parameters that name symbols."""
_KLINE_PARAMETERS = frozenset({"symbol", "interval", "startTime", "endTime", "timeZone", "limit"})


_KLINES_METHOD = ApiMethod(
    handle=_klines, weight=_flat(2), known=_KLINE_PARAMETERS, prepare=_prepare_klines
)

MARKET_METHODS: dict[str, ApiMethod] = {
    "ping": ApiMethod(handle=_ping, weight=_flat(1)),
    "time": ApiMethod(handle=_time, weight=_flat(1)),
    "exchangeInfo": ApiMethod(
        handle=_exchange_info,
        weight=_flat(20),
        known=SYMBOLS | {"permissions", "showPermissionSets"},
    ),
    "depth": ApiMethod(
        handle=_depth, weight=_depth_weight, known=frozenset({"symbol", "limit", "symbolStatus"})
    ),
    "trades.recent": ApiMethod(
        handle=_trades, weight=_flat(25), known=frozenset({"symbol", "limit"})
    ),
    "trades.historical": ApiMethod(
        handle=_trades, weight=_flat(25), known=frozenset({"symbol", "limit", "fromId"})
    ),
    "trades.aggregate": ApiMethod(
        handle=_agg_trades,
        weight=_flat(4),
        known=frozenset({"symbol", "fromId", "startTime", "endTime", "limit"}),
    ),
    "klines": _KLINES_METHOD,
    "uiKlines": _KLINES_METHOD,
    "avgPrice": ApiMethod(handle=_average, weight=_flat(2), known=frozenset({"symbol"})),
}
"""Name in the WS API -> method; REST has a path for each."""
