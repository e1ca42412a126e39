"""The venue's ticker methods: last price, best bid and ask, rolling windows. Pure."""

import re
from collections.abc import Callable, Iterator

import attrs

from levitrio.trading.candles import Candle
from levitrio.venues.simulator.api import responses
from levitrio.venues.simulator.api.api import ApiMethod, ApiRequest, ExchangeApi
from levitrio.venues.simulator.api.market_methods import SYMBOLS, asked_symbols
from levitrio.venues.simulator.api.responses import Json
from levitrio.venues.simulator.exchange import errors
from levitrio.venues.simulator.exchange.parameters import Parameters
from levitrio.venues.simulator.exchange.rate_limits import MINUTE_MS
from levitrio.venues.simulator.market.market import DAY_MS

_FOREVER_MS = 2**62

_WINDOW = re.compile(r"([1-9][0-9]?)([mhd])")
_UNITS = {"m": (MINUTE_MS, 59), "h": (60 * MINUTE_MS, 23), "d": (DAY_MS, 7)}
"""Unit of `windowSize` -> its length in ms, and the largest number of them."""

_WINDOW_WEIGHT, _MOST_WINDOW_WEIGHT = 4, 200
"""Request weight of the rolling window: per symbol, and at most."""

Row = Callable[[ExchangeApi, str, Parameters], Json | None]
"""Makes one symbol's row; None while it has no trades or quotes."""


def _price(venue: ExchangeApi, symbol: str, _parameters: Parameters) -> Json | None:
    found = venue.market.trades(symbol, from_id=None, start_ms=None, end_ms=_FOREVER_MS, limit=1)
    return {"symbol": symbol, "price": found[-1].raw_price} if found else None


def _touch(venue: ExchangeApi, symbol: str, _parameters: Parameters) -> Json | None:
    quote = venue.market.quote(symbol)
    return None if quote is None else responses.book_ticker(quote)


def _window(venue: ExchangeApi, symbol: str, parameters: Parameters) -> Json | None:
    is_mini, total = _is_mini(parameters), _total(venue, symbol, parameters)
    if total is None:
        return None
    row = responses.window_ticker(total)
    return responses.mini(row) if is_mini else row


def _day(venue: ExchangeApi, symbol: str, parameters: Parameters) -> Json | None:
    is_mini, total = _is_mini(parameters), _total(venue, symbol, parameters)
    quote = venue.market.quote(symbol)
    last = venue.market.trades(symbol, from_id=None, start_ms=None, end_ms=_FOREVER_MS, limit=1)
    if total is None or quote is None or not last:
        return None
    row = responses.day_ticker(total, quote, last[-1])
    return responses.mini(row) if is_mini else row


def _total(venue: ExchangeApi, symbol: str, parameters: Parameters) -> Candle | None:
    start_ms = _start_ms(venue, parameters)
    total = venue.market.total(symbol, start_ms)
    if total is None:
        return None
    return attrs.evolve(total, open_time_ms=start_ms, close_time_ms=venue.market.now_ms())


def _is_mini(parameters: Parameters) -> bool:
    size = parameters.text("type") or "FULL"
    if size not in {"FULL", "MINI"}:
        raise errors.invalid_data("type")
    return size == "MINI"


def _start_ms(venue: ExchangeApi, parameters: Parameters) -> int:
    """The window's start, at a whole minute as on the real venue; by default a day ago."""
    text = parameters.text("windowSize") or "1d"
    match = _WINDOW.fullmatch(text)
    length_ms, most = _UNITS[match[2]] if match else (0, 0)
    if match is None or int(match[1]) > most:
        raise errors.invalid_data("windowSize")
    return (venue.market.now_ms() - int(match[1]) * length_ms) // MINUTE_MS * MINUTE_MS


def _of_each(row: Row, *, all_at_once: bool = True) -> Callable[[ExchangeApi, ApiRequest], Json]:
    """A handler: one object for `symbol`, a list for `symbols` or, if allowed, for neither."""

    def handle(venue: ExchangeApi, request: ApiRequest) -> Json:
        parameters = request.parameters
        asked = asked_symbols(venue, parameters)
        if asked is None and not all_at_once:
            raise errors.missing_both("symbol", "symbols")
        symbols = venue.market.symbols() if asked is None else asked
        found = (row(venue, symbol, parameters) for symbol in symbols)
        rows = [each for each in found if each is not None]
        if "symbol" in parameters.values:
            return rows[0] if rows else {}
        return rows

    return handle


def _prepare(venue: ExchangeApi, parameters: Parameters) -> Iterator[None]:
    try:
        symbols = asked_symbols(venue, parameters) or venue.market.symbols()
        start_ms = _start_ms(venue, parameters)
    except errors.ApiError:
        return  # `handle` raises it again
    for symbol in symbols:
        yield from venue.market.prepare(symbol, start_ms)


def _by_symbol(one: int, all_of_them: int) -> Callable[[Parameters], int]:
    return lambda parameters: one if "symbol" in parameters.values else all_of_them


def _window_weight(parameters: Parameters) -> int:
    count = parameters.values.get("symbols", "").count(",") + 1
    return min(_WINDOW_WEIGHT * count, _MOST_WINDOW_WEIGHT)


TICKER_METHODS: dict[str, ApiMethod] = {
    "ticker": ApiMethod(
        handle=_of_each(_window, all_at_once=False),
        weight=_window_weight,
        known=SYMBOLS | {"windowSize", "type"},
        prepare=_prepare,
    ),
    "ticker.price": ApiMethod(handle=_of_each(_price), weight=_by_symbol(2, 4), known=SYMBOLS),
    "ticker.book": ApiMethod(handle=_of_each(_touch), weight=_by_symbol(2, 4), known=SYMBOLS),
    "ticker.24hr": ApiMethod(
        handle=_of_each(_day), weight=_by_symbol(2, 80), known=SYMBOLS | {"type"}, prepare=_prepare
    ),
}
"""Name in the WS API -> method; REST has a path for each."""
