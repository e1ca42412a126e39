"""What the venue lists, asked for again and again."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
import trio
from trio.testing import MockClock

from levitrio.errors import VenueError
from levitrio.trading.filters import SymbolFilters
from levitrio.venues.binance.orders.exchange_info import (
    GONE,
    REREAD_AFTER,
    REREAD_REST,
    ExchangeInfo,
)
from levitrio.venues.binance.orders.session import OrderSession
from levitrio.venues.binance.orders.ws_api import Answer, ErrorBody


class Venue:
    """Answers exchangeInfo as a session does."""

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.is_silent = False
        self.asked: list[tuple[float, Sequence[str]]] = []

    async def ask_public(self, method: str, params: Mapping[str, Any], *, weight: int) -> Answer:
        await trio.lowlevel.checkpoint()
        assert (method, weight) == ("exchangeInfo", 20)
        symbols = params["symbols"]
        self.asked.append((trio.current_time(), symbols))
        if self.is_silent:
            raise VenueError("expected an answer, got none")
        if self.gone.intersection(symbols):
            return Answer(status=400, error=ErrorBody(code=-1121, msg="Invalid symbol."))
        rows = [{"symbol": each, "status": "TRADING", "filters": []} for each in symbols]
        return Answer(status=200, result=msgspec.Raw(msgspec.json.encode({"symbols": rows})))

    async def wait(self) -> OrderSession:
        await trio.lowlevel.checkpoint()
        return cast(OrderSession, self)


SYMBOLS = [f"S{number}USDT" for number in range(8)]


async def test_one_that_is_gone_hides_no_other(autojump_clock: MockClock) -> None:
    """A question refused for one name is halved until that name is alone; it is said once."""
    venue, statuses, told = Venue(), dict[str, str](), list[tuple[str, str]]()

    def note(symbol: str, _filters: SymbolFilters, status: str) -> None:
        statuses[symbol] = status

    exchange_info = ExchangeInfo(note, lambda kind, _text, symbol: told.append((kind, symbol)))
    for symbol in SYMBOLS:
        await exchange_info.learn(await venue.wait(), symbol)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(exchange_info.keep_fresh, venue.wait)
        venue.gone.add("S5USDT")
        await trio.sleep(3 * REREAD_AFTER)
        nursery.cancel_scope.cancel()
    assert statuses == dict.fromkeys(SYMBOLS, "TRADING") | {"S5USDT": GONE}
    assert told == [("market_closed", "S5USDT")]


async def test_a_doubt_outlives_a_silent_venue(autojump_clock: MockClock) -> None:
    """Asked at once, then again after each rest until there is an answer, for that symbol alone."""
    venue, told = Venue(), list[str]()
    exchange_info = ExchangeInfo(lambda *_: None, lambda kind, _text, _symbol: told.append(kind))
    for symbol in SYMBOLS:
        await exchange_info.learn(await venue.wait(), symbol)
    venue.asked.clear()
    venue.is_silent = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(exchange_info.keep_fresh, venue.wait)
        began = trio.current_time()
        exchange_info.doubt("S3USDT")
        await trio.sleep(2.5 * REREAD_REST)
        venue.is_silent = False
        await trio.sleep(3 * REREAD_REST)
        nursery.cancel_scope.cancel()
    assert [(time - began, symbols) for time, symbols in venue.asked] == [
        (rests * REREAD_REST, ["S3USDT"]) for rests in range(4)
    ]
    assert told == ["listing_unread"] * 3
