"""The venue's tickers: the last price, the touch, and what happened since a time. Pure."""

import re
from collections.abc import Callable, Iterator

import attrs

from levitrio.trading.candles import Candle
from levitrio.venues.simulator import answers, refusals
from levitrio.venues.simulator.answers import Json
from levitrio.venues.simulator.market import DAY_MS
from levitrio.venues.simulator.market_methods import SYMBOLS, asked_symbols
from levitrio.venues.simulator.parameters import Parameters
from levitrio.venues.simulator.quotas import MINUTE_MS
from levitrio.venues.simulator.venue import Method, Request, Venue

_FOREVER_MS = 2**62

_WINDOW = re.compile(r"([1-9][0-9]?)([mhd])")
_UNITS = {"m": (MINUTE_MS, 59), "h": (60 * MINUTE_MS, 23), "d": (DAY_MS, 7)}
"""Unit of `windowSize` -> its length in ms, and the most there may be of it."""

_WINDOW_WEIGHT, _MOST_WINDOW_WEIGHT = 4, 200
"""Of the rolling window: for each symbol, and at most."""

Row = Callable[[Venue, str, Parameters], Json | None]
"""What one symbol's row says; None while it has none."""


def _price(venue: Venue, symbol: str, _parameters: Parameters) -> Json | None:
    found = venue.market.trades(symbol, from_id=None, start_ms=None, end_ms=_FOREVER_MS, limit=1)
    return {"symbol": symbol, "price": found[-1].raw_price} if found else None


def _touch(venue: Venue, symbol: str, _parameters: Parameters) -> Json | None:
    quote = venue.market.quote(symbol)
    return None if quote is None else answers.book_ticker(quote)


def _window(venue: Venue, symbol: str, parameters: Parameters) -> Json | None:
    is_mini, total = _is_mini(parameters), _total(venue, symbol, parameters)
    if total is None:
        return None
    row = answers.window_ticker(total)
    return answers.mini(row) if is_mini else row


def _day(venue: Venue, symbol: str, parameters: Parameters) -> Json | None:
    is_mini, total = _is_mini(parameters), _total(venue, symbol, parameters)
    quote = venue.market.quote(symbol)
    last = venue.market.trades(symbol, from_id=None, start_ms=None, end_ms=_FOREVER_MS, limit=1)
    if total is None or quote is None or not last:
        return None
    row = answers.day_ticker(total, quote, last[-1])
    return answers.mini(row) if is_mini else row


def _total(venue: Venue, symbol: str, parameters: Parameters) -> Candle | None:
    start_ms = _start_ms(venue, parameters)
    total = venue.market.total(symbol, start_ms)
    if total is None:
        return None
    return attrs.evolve(total, open_time_ms=start_ms, close_time_ms=venue.market.now_ms())


def _is_mini(parameters: Parameters) -> bool:
    size = parameters.text("type") or "FULL"
    if size not in {"FULL", "MINI"}:
        raise refusals.invalid_data("type")
    return size == "MINI"


def _start_ms(venue: Venue, parameters: Parameters) -> int:
    """Where the window begins, a day ago if nothing was sent: at a whole minute, as the venue's."""
    text = parameters.text("windowSize") or "1d"
    match = _WINDOW.fullmatch(text)
    length_ms, most = _UNITS[match[2]] if match else (0, 0)
    if match is None or int(match[1]) > most:
        raise refusals.invalid_data("windowSize")
    return (venue.market.now_ms() - int(match[1]) * length_ms) // MINUTE_MS * MINUTE_MS


def _of_each(row: Row, *, all_at_once: bool = True) -> Callable[[Venue, Request], Json]:
    """One object for `symbol`, a list for `symbols`, and for neither if that is allowed."""

    def handle(venue: Venue, request: Request) -> Json:
        parameters = request.parameters
        asked = asked_symbols(venue, parameters)
        if asked is None and not all_at_once:
            raise refusals.missing_both("symbol", "symbols")
        symbols = venue.market.symbols() if asked is None else asked
        found = (row(venue, symbol, parameters) for symbol in symbols)
        rows = [each for each in found if each is not None]
        if "symbol" in parameters.values:
            return rows[0] if rows else {}
        return rows

    return handle


def _prepare(venue: Venue, parameters: Parameters) -> Iterator[None]:
    try:
        symbols = asked_symbols(venue, parameters) or venue.market.symbols()
        start_ms = _start_ms(venue, parameters)
    except refusals.Refused:
        return  # `handle` will say so
    for symbol in symbols:
        yield from venue.market.prepare(symbol, start_ms)


def _by_symbol(one: int, all_of_them: int) -> Callable[[Parameters], int]:
    return lambda parameters: one if "symbol" in parameters.values else all_of_them


def _window_weight(parameters: Parameters) -> int:
    count = parameters.values.get("symbols", "").count(",") + 1
    return min(_WINDOW_WEIGHT * count, _MOST_WINDOW_WEIGHT)


TICKER_METHODS: dict[str, Method] = {
    "ticker": Method(
        handle=_of_each(_window, all_at_once=False),
        weight=_window_weight,
        known=SYMBOLS | {"windowSize", "type"},
        prepare=_prepare,
    ),
    "ticker.price": Method(handle=_of_each(_price), weight=_by_symbol(2, 4), known=SYMBOLS),
    "ticker.book": Method(handle=_of_each(_touch), weight=_by_symbol(2, 4), known=SYMBOLS),
    "ticker.24hr": Method(
        handle=_of_each(_day), weight=_by_symbol(2, 80), known=SYMBOLS | {"type"}, prepare=_prepare
    ),
}
"""By the WS API's name; REST has a path for each."""
