"""Section D of the catalogue of bad input, where the other files do not have it already."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from levitrio.errors import VenueError
from levitrio.trading.orders import OrderStatus, OrderType
from levitrio.venues.base import BrokerUnavailable
from levitrio.venues.binance.orders.broker import BinanceBroker
from levitrio.venues.binance.orders.credentials import Credentials
from levitrio.venues.binance.rest import RestClient
from levitrio.venues.binance.websocket.interface import MAX_MESSAGE
from tests.venues.binance.broker_harness import API_KEY, API_SECRET, SYMBOL, broker_harness
from tests.venues.binance.orders.test_broker_answers import ANSWER, EVENT, ORDER, ROW, changed
from tests.venues.binance.scripted_venue import scripted_venue
from tests.venues.binance.test_rest import Peer, response

RESULTS: list[dict[str, Any]] = [
    {"status": 200},
    {"status": 200, "result": None},
    {"status": 200, "result": "<html>"},
    {"status": 200, "result": []},
    {"status": 200, "result": {}},
    {"status": 200, "result": {"code": -1007, "msg": "Timeout waiting for response"}},
    {"status": 200, "result": {**ANSWER, "orderId": "77"}},
    {"status": 500, "result": ANSWER, "error": {"code": -1000, "msg": "?"}},
    {"result": {k: v for k, v in ANSWER.items() if k != "status"}},
]


@pytest.mark.parametrize("said", RESULTS)
async def test_a_result_that_is_none(said: dict[str, Any], autojump_clock: MockClock) -> None:
    """Nothing, a page, an error dressed as a result: UNKNOWN, and found when asked."""
    async with scripted_venue() as venue:
        venue.scripts["order.place"] = lambda _: said
        report = await venue.broker.place(ORDER)
        assert report.status is OrderStatus.UNKNOWN
        assert report.fills == ()
        assert len(venue.asked("order.place")) == 1
        venue.says("order.status", changed(ANSWER))
        found = await venue.broker.query(ORDER)
        assert found is not None
        assert found.status is OrderStatus.FILLED


async def test_an_answer_of_many_megabytes(autojump_clock: MockClock) -> None:
    """Above the bound the session ends; a waiting request is unknown at once."""
    async with scripted_venue() as venue:
        huge = json.dumps({**ANSWER, "padding": "x" * (MAX_MESSAGE + 1)})
        venue.scripts["order.place"] = lambda _: f'{{"id":99,"status":200,"result":{huge}}}'
        began = trio.current_time()
        assert (await venue.broker.place(ORDER)).status is OrderStatus.UNKNOWN
        assert trio.current_time() - began < 1
        await trio.sleep(5)
        assert venue.kinds.count("broker_connected") == 2


@attrs.define(eq=False)
class ScriptedVenues:
    """What became of a broker whose handshakes are answered with any bytes."""

    opened: list[tuple[float, str, int]] = attrs.field(factory=list)
    events: list[tuple[str, str]] = attrs.field(factory=list)


@asynccontextmanager
async def answered_with(answer: bytes | None) -> AsyncIterator[ScriptedVenues]:
    """A broker that tries to connect to a venue which says that, or nothing at all."""
    scripted_venues = ScriptedVenues()
    async with trio.open_nursery() as nursery:

        async def serve(stream: trio.abc.Stream) -> None:
            async with stream:
                await stream.receive_some()
                if answer is None:
                    await trio.sleep_forever()
                try:
                    await stream.send_all(answer)
                except trio.BrokenResourceError:
                    return

        async def open_stream(host: str, port: int, tls: bool) -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            scripted_venues.opened.append((trio.current_time(), host, port))
            ours, theirs = memory_stream_pair()
            nursery.start_soon(serve, theirs)
            return ours

        broker = BinanceBroker(
            address=lambda: "ws://venue:81/ws-api/v3",
            venue="scripted",
            credentials=Credentials.of(API_KEY, API_SECRET),
            on_event=lambda kind, text, *, engine=None: scripted_venues.events.append((kind, text)),
            backoff=lambda attempt, chance: 1.0,
            chance=lambda: 0.5,
            open_stream=open_stream,
        )
        await nursery.start(broker.run)
        yield scripted_venues
        nursery.cancel_scope.cancel()


HANDSHAKES = {
    "html": (response(b"<html>busy</html>"), "expected HTTP 101, got 200"),
    "created": (response(b"", "201 Created"), "got 201"),
    "moved": (response(b"", "301 Moved", "Location: ws://evil/"), "got 301"),
    "moved for now": (response(b"", "307 Moved", "Location: wss://evil/"), "got 307"),
    "a thousand headers": (response(b"", "101 X", *(f"A{n}: b" for n in range(1000))), ""),
    "a header of a megabyte": (response(b"", "101 X", "A: " + "b" * (1 << 20)), ""),
    "an injected header": (response(b"", "101 X", "Upgrade: websocket\rSet-Cookie: a"), ""),
    "another key": (response(b"", "101 X", "Upgrade: websocket", "Sec-WebSocket-Accept: a"), ""),
    "garbage": (b"\x16\x03\x01\x02\x00\x01\x00", ""),
}


@pytest.mark.parametrize(("answer", "words"), HANDSHAKES.values(), ids=HANDSHAKES)
async def test_handshakes_that_are_none(
    answer: bytes, words: str, autojump_clock: MockClock
) -> None:
    """Not followed, not believed, told in a line, tried again."""
    async with answered_with(answer) as scripted_venues:
        await trio.sleep(30)
    assert {(host, port) for _, host, port in scripted_venues.opened} == {("venue", 81)}
    assert len(scripted_venues.opened) > 2
    assert {kind for kind, _ in scripted_venues.events} == {"broker_disconnected"}
    for _, text in scripted_venues.events:
        assert words in text
        assert text.isprintable()
        assert len(text) < 600


async def test_a_handshake_without_an_end(autojump_clock: MockClock) -> None:
    """A venue that lets us in and says nothing is left after ten seconds."""
    async with answered_with(None) as scripted_venues:
        await trio.sleep(60)
    assert 3 <= len(scripted_venues.opened) <= 6


@pytest.mark.parametrize("status", [429, 418])
@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        ("30", 30),
        ("0", 1),
        ("-1", None),
        ("1000000000", 900),
        ("9" * 400, 900),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("soon", None),
        ("", None),
        ("\u00b2", None),
    ],
)
async def test_how_long_to_stay_away(
    status: int, after: str, seconds: int | None, autojump_clock: MockClock
) -> None:
    """As long as the venue says, from 1 to 900 s; what cannot be read is the usual."""
    expected = seconds or (60 if status == 429 else 900)
    async with answered_with(
        response(b"", f"{status} No", f"Retry-After: {after}")
    ) as scripted_venues:
        await trio.sleep(950)
    first, second = (at for at, _, _ in scripted_venues.opened[:2])
    assert expected <= second - first <= expected + 3


@pytest.mark.parametrize("retry", [0, -1, 10**18, 1.5, "soon", None])
async def test_when_to_come_back(retry: object, autojump_clock: MockClock) -> None:
    """The time in an error of the WS API is clamped as well, and is never for ever."""
    async with scripted_venue() as venue:
        data = {"serverTime": 1_790_000_000_000, "retryAfter": retry}
        error = {"code": -1003, "msg": "Too much request weight used", "data": data}
        venue.scripts["order.place"] = lambda _: {"status": 429, "error": error}
        assert (await venue.broker.place(ORDER)).status is OrderStatus.REJECTED
        venue.says("order.place", changed(ANSWER))
        assert "may not be asked" in (await venue.broker.place(ORDER)).reason
        await trio.sleep(901)
        assert (await venue.broker.place(ORDER)).status is OrderStatus.FILLED


async def test_a_ban_of_prices_is_one_of_orders(autojump_clock: MockClock) -> None:
    """One address, one governor: history's 418 by REST stops orders until it is over."""
    async with broker_harness() as harness, trio.open_nursery() as nursery:
        peer = Peer(nursery, response(b"", "418 Teapot", "Retry-After: 100"))
        weight_limiter = harness.broker._limits.address
        client = RestClient(
            "http://venue", weight_limiter=weight_limiter, open_stream=peer.open_stream
        )
        with pytest.raises(VenueError, match="got 418"):
            await client.get("/api/v3/klines", {}, weight=2)
        refused = await harness.broker.place(harness.order(is_exit=True))
        assert refused.status is OrderStatus.UNKNOWN
        assert "may not be asked" in refused.reason
        assert harness.account.orders == {}
        await trio.sleep(101)
        assert (await harness.broker.place(harness.order())).status is OrderStatus.FILLED
        nursery.cancel_scope.cancel()


async def test_a_trade_that_a_question_tells_otherwise(autojump_clock: MockClock) -> None:
    """One trade id with two quantities: the first counts, the second proves nothing."""
    async with scripted_venue() as venue:
        await venue.tell(EVENT)
        ((_, told),) = venue.listener.reports
        venue.says("order.status", changed(ANSWER, fills=[]))
        venue.says("myTrades", lambda _: [{**ROW, "qty": "0.01"}])
        found = await venue.broker.query(ORDER)
        assert found is not None
        assert (found.status, found.fills) == (OrderStatus.FILLED, told.fills)
        venue.says("openOrders.status", lambda _: [])
        with pytest.raises(BrokerUnavailable, match="reported otherwise"):
            await venue.broker.mass_status(SYMBOL, 1)
        assert "quarantine" in venue.kinds


OPEN = {**ANSWER, "status": "NEW", "executedQty": "0.00000000", "fills": []}

OPEN_ORDERS: dict[str, list[dict[str, Any]]] = {
    "twice": [OPEN, OPEN],
    "with one of another symbol": [OPEN, {**OPEN, "symbol": "ETHUSDT", "orderId": 5}],
}


@pytest.mark.parametrize("rows", OPEN_ORDERS.values(), ids=OPEN_ORDERS)
async def test_open_orders_that_repeat(
    rows: list[dict[str, Any]], autojump_clock: MockClock
) -> None:
    """Only the symbol's own, and the same order again is the same order."""
    async with scripted_venue() as venue:
        venue.says("openOrders.status", lambda _: rows)
        venue.says("myTrades", lambda _: [])
        mass_status = await venue.broker.mass_status(SYMBOL, 1)
        assert {each.client_id for each in mass_status.open_orders} == {ORDER.client_id}


@pytest.mark.parametrize(
    "result",
    [None, {}, "x", [{**OPEN, "status": "MAYBE"}], [{**OPEN, "executedQty": "5"}], [None]],
)
async def test_open_orders_that_are_none(result: object, autojump_clock: MockClock) -> None:
    """What cannot be read, or cannot be true, is not "nothing is open"."""
    async with scripted_venue() as venue:
        venue.says("openOrders.status", lambda _: result)
        with pytest.raises(BrokerUnavailable):
            await venue.broker.mass_status(SYMBOL, None)


@pytest.mark.parametrize("amount", ["-1", "NaN", "Infinity", "much", None, []])
@pytest.mark.parametrize("field", ["free", "locked"])
async def test_balances_that_cannot_be(
    field: str, amount: object, autojump_clock: MockClock
) -> None:
    """A negative balance, or none that is a number, makes the whole report worthless."""
    async with scripted_venue() as venue:
        row = {"asset": "USDT", "free": "1", "locked": "1", field: amount}
        venue.says("account.status", lambda _: {"canTrade": True, "balances": [row]})
        with pytest.raises(BrokerUnavailable):
            await venue.broker.balances()


async def test_an_unknown_asset(autojump_clock: MockClock) -> None:
    """It is held like any other; who does not trade it does not look at it."""
    async with scripted_venue() as venue:
        row = {"asset": "\u6bd4\u7279", "free": "1", "locked": "2"}
        venue.says("account.status", lambda _: {"canTrade": True, "balances": [row]})
        balances = await venue.broker.balances()
        assert balances.balances == {"\u6bd4\u7279": 3}


async def test_a_cancel_of_what_has_filled(autojump_clock: MockClock) -> None:
    """An "unknown order" in answer to a cancel is asked about: FILLED, with its fills."""
    async with scripted_venue() as venue:
        venue.refuses("order.cancel", 400, -2011, "Unknown order sent.")
        venue.says("order.status", changed(ANSWER))
        report = await venue.broker.cancel(ORDER)
        assert report.status is OrderStatus.FILLED
        assert sum(fill.quantity for fill in report.fills) == ORDER.quantity
        venue.refuses("order.status", 400, -2013, "Order does not exist.")
        report = await venue.broker.cancel(ORDER)
        assert report.status is OrderStatus.UNKNOWN


LIMIT = attrs.evolve(ORDER, type=OrderType.LIMIT, price=Decimal(50_000))


def cancelled(executed: str) -> Callable[[Any], dict[str, Any]]:
    """The answer to a cancel: its own id, and the order's beside it."""
    return changed(
        ANSWER,
        type="LIMIT",
        price="50000",
        status="CANCELED",
        executedQty=executed,
        clientOrderId="a-cancel",
        origClientOrderId=ORDER.client_id,
        fills=[],
    )


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_cancel_that_meets_a_fill(is_told: bool, autojump_clock: MockClock) -> None:
    """Half is filled when the cancel arrives, told by an event or not: half, and CANCELED."""
    async with scripted_venue() as venue:
        half = {**EVENT, "o": "LIMIT", "X": "PARTIALLY_FILLED", "l": "0.01", "z": "0.01"}
        if is_told:
            await venue.tell(half)
        venue.says("order.cancel", cancelled("0.01"))
        venue.says("myTrades", lambda _: [{**ROW, "qty": "0.01"}])
        report = await venue.broker.cancel(LIMIT)
        assert report.status is OrderStatus.CANCELED
        assert [fill.quantity for fill in report.fills] == [Decimal("0.01")]
        assert bool(venue.asked("myTrades")) is not is_told


async def test_a_cancel_whose_fill_is_not_in_the_history_yet(autojump_clock: MockClock) -> None:
    """CANCELED with half executed and no trade to show for it ends nothing."""
    async with scripted_venue() as venue:
        venue.says("order.cancel", cancelled("0.01"))
        venue.says("myTrades", lambda _: [])
        assert (await venue.broker.cancel(LIMIT)).status is OrderStatus.UNKNOWN


async def test_a_silent_user_stream(autojump_clock: MockClock) -> None:
    """Fills that no event tells are found by the question about the order."""
    async with scripted_venue() as venue:
        resting = {"type": "LIMIT", "price": "50000", "fills": []}
        venue.says(
            "order.place", changed(ANSWER, **resting, status="NEW", executedQty="0.00000000")
        )
        assert (await venue.broker.place(LIMIT)).status is OrderStatus.NEW
        venue.says("order.status", changed(ANSWER, **resting))
        venue.says("myTrades", lambda _: [ROW])
        found = await venue.broker.query(LIMIT)
        assert found is not None
        assert found.status is OrderStatus.FILLED
        assert sum(fill.quantity for fill in found.fills) == LIMIT.quantity
        assert venue.listener.reports == []


async def test_words_with_escapes(autojump_clock: MockClock) -> None:
    """The venue's words are one line of at most so much; who prints them escapes them."""
    async with scripted_venue() as venue:
        venue.refuses("order.place", 400, -2010, "\x1b[2J" + "x" * 5_000)
        report = await venue.broker.place(ORDER)
        assert report.status is OrderStatus.REJECTED
        assert len(report.reason) <= 500
