"""What paper learns of the venue without a key, and what it does without an answer."""

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest
import trio
from trio.testing import MockClock

from levitrio.errors import VenueError
from levitrio.trading.filters import SymbolFilters
from levitrio.venues.binance.orders.exchange_info import CHUNK, REREAD_AFTER, WEIGHT
from levitrio.venues.binance.public_exchange_info import PATIENCE, RETRY, PublicExchangeInfo
from levitrio.venues.binance.rest import RestClient
from tests.venues.binance.test_rest import Peer, response

LOT = {"filterType": "LOT_SIZE", "minQty": "0.1", "maxQty": "900", "stepSize": "0.1"}


@attrs.define(eq=False)
class Venue:
    """A REST interface of exchangeInfo, and what a listing made of it."""

    status: str = "TRADING"
    trouble: str | None = None
    delay: float = 0.0
    unknown: set[str] = attrs.field(factory=set)
    asked: list[list[str]] = attrs.field(factory=list)
    known: dict[str, tuple[SymbolFilters, str]] = attrs.field(factory=dict)
    events: list[tuple[str, str]] = attrs.field(factory=list)
    is_there: bool = True

    def exchange_info(self) -> PublicExchangeInfo:
        venue = self

        class Client(RestClient):
            async def get(self, path: str, params: Any, *, weight: int) -> bytes:
                assert (path, weight) == ("/api/v3/exchangeInfo", WEIGHT)
                return await venue.answer(json.loads(params["symbols"]))

        client = Client("http://venue")
        return PublicExchangeInfo(
            lambda: client if self.is_there else None,
            lambda symbol, filters, status: self.known.update({symbol: (filters, status)}),
            lambda kind, text, _symbol: self.events.append((kind, text)),
        )

    async def answer(self, symbols: list[str]) -> bytes:
        self.asked.append(symbols)
        await trio.sleep(self.delay)
        if self.trouble is not None:
            raise VenueError(self.trouble)
        rows = [{"symbol": each, "status": self.status, "filters": [LOT]} for each in symbols]
        return json.dumps({"symbols": rows}).encode()

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]


SYMBOLS = [f"S{number:03}USDT" for number in range(300)]


async def learn_all(exchange_info: PublicExchangeInfo) -> None:
    async with trio.open_nursery() as nursery:
        for symbol in SYMBOLS:
            nursery.start_soon(exchange_info.learn, symbol)


async def test_a_fleet_is_learnt_in_a_few_questions(autojump_clock: MockClock) -> None:
    """Three hundred symbols that start together, and again every five minutes."""
    venue = Venue()
    exchange_info = venue.exchange_info()
    await learn_all(exchange_info)
    assert venue.known.keys() == set(SYMBOLS)
    assert venue.known["S000USDT"][0].rules().step == Decimal("0.1")
    assert len(venue.asked) <= 2 + len(SYMBOLS) // CHUNK
    assert venue.events == []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(exchange_info.keep_fresh)
        venue.asked.clear()
        venue.status = "HALT"
        await trio.sleep(1.5 * REREAD_AFTER)
        nursery.cancel_scope.cancel()
    assert len(venue.asked) == -(-len(SYMBOLS) // CHUNK)
    assert venue.known["S299USDT"][1] == "HALT"
    assert venue.kinds == ["market_closed"] * len(SYMBOLS)


@pytest.mark.parametrize("trouble", ["no route", None])
async def test_a_venue_that_does_not_answer_holds_nothing_up(
    trouble: str | None, autojump_clock: MockClock
) -> None:
    """Refused or silent: said once, few questions, and all is known once the venue is there."""
    venue = Venue(trouble=trouble, delay=0.0 if trouble else 60.0)
    exchange_info = venue.exchange_info()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(exchange_info.keep_fresh)
        began = trio.current_time()
        await learn_all(exchange_info)
        assert trio.current_time() - began <= PATIENCE
        assert venue.known == {}
        ((kind, text),) = venue.events
        assert kind == "filters_unknown"
        assert "steps of 0.00001" in text
        assert (trouble or "no answer in 2 s") in text
        assert len(venue.asked) <= 2
        venue.trouble, venue.delay = None, 0.1
        await trio.sleep(60 + 3 * RETRY)
        assert venue.known.keys() == set(SYMBOLS)
        assert venue.kinds == ["filters_unknown", "filters_known"]
        nursery.cancel_scope.cancel()


async def test_without_a_venue_to_ask(autojump_clock: MockClock) -> None:
    """A replay has no venue: nothing is asked, said, or waited for."""
    venue = Venue(is_there=False)
    exchange_info = venue.exchange_info()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(exchange_info.keep_fresh)
        began = trio.current_time()
        await learn_all(exchange_info)
        assert trio.current_time() == began
        await trio.sleep(2 * REREAD_AFTER)
        nursery.cancel_scope.cancel()
    assert (venue.asked, venue.events) == ([], [])


BAD = [
    response(b"<html>busy</html>", "200 OK", "Content-Type: text/html"),
    response(b""),
    response(b"null"),
    response(b'{"symbols":'),
    response(b'{"symbols":[]}'),
    response(b'{"code":-1007,"msg":"Timeout"}'),
    response(
        b'{"symbols":[{"symbol":"A","status":"TRADING","filters":[{"filterType":"LOT_SIZE"}]}]}'
    ),
    response(b'{"symbols":[{"symbol":"A","status":"TRADING","filters":[{}]}]}'),
    response(b"", "201 Created"),
    response(b"", "307 Moved", "Location: http://evil/"),
    response(b"slow down", "429 Slow", "Retry-After: 30"),
]


@pytest.mark.parametrize("answer", BAD)
async def test_what_is_no_listing(
    answer: bytes, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """An event says what came, and nothing is learnt, followed or raised."""
    peer = Peer(nursery, answer)
    known: list[str] = []
    events: list[str] = []
    client = RestClient("http://venue", open_stream=peer.open_stream)
    exchange_info = PublicExchangeInfo(
        lambda: client,
        lambda symbol, *_: known.append(symbol),
        lambda kind, text, symbol: events.append(kind),
    )
    await exchange_info.learn("A")
    assert known == []
    assert events == ["filters_unknown"]
    assert len(peer.requests) == 1


async def test_a_symbol_the_venue_does_not_have(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """It alone keeps to usual rules, which is said once; asked for as the venue documents."""
    peer = Peer(
        nursery,
        response(b'{"code":-1121,"msg":"Invalid symbol."}', "400 Bad"),
        response(b'{"code":-1121,"msg":"Invalid symbol."}', "400 Bad"),
    )
    events: list[tuple[str, str | None]] = []
    client = RestClient("http://venue", open_stream=peer.open_stream)
    exchange_info = PublicExchangeInfo(
        lambda: client,
        lambda *_: None,
        lambda kind, text, symbol: events.append((kind, symbol)),
    )
    for _ in range(2):
        await exchange_info.learn("NONEUSDT")
    assert events == [("listing_unread", "NONEUSDT")]
    query = parse_qs(urlsplit(peer.requests[0].split()[1]).query)
    assert query == {"symbols": ['["NONEUSDT"]']}
