"""Answers and events that must not be believed, and what the broker makes of them."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from levitrio.trading.orders import OrderStatus, Side
from levitrio.venues.base import BrokerUnavailable
from levitrio.venues.binance.orders.signing import HmacKey, ws_payload
from tests.factories import make_fill, make_order
from tests.venues.binance.broker_harness import API_KEY, API_SECRET, EPOCH
from tests.venues.binance.scripted_venue import scripted_venue

ORDER = make_order(client_id="levi-0-2a-0", quantity="0.02")

ANSWER = {
    "symbol": "BTCUSDT",
    "orderId": 77,
    "orderListId": -1,
    "clientOrderId": "levi-0-2a-0",
    "transactTime": 1_790_000_000_123,
    "price": "0.00000000",
    "origQty": "0.02000000",
    "executedQty": "0.02000000",
    "cummulativeQuoteQty": "1000.00000000",
    "status": "FILLED",
    "type": "MARKET",
    "side": "BUY",
    "fills": [
        {
            "price": "50000.00",
            "qty": "0.02000000",
            "commission": "0.00002",
            "commissionAsset": "BTC",
            "tradeId": 9,
        },
    ],
}

ROW = {
    "symbol": "BTCUSDT", "id": 9, "orderId": 77, "price": "50000.00", "qty": "0.02",
    "quoteQty": "1000", "commission": "0.01", "commissionAsset": "BNB",
    "time": 1_790_000_000_123, "isBuyer": True, "isMaker": False, "isBestMatch": True,
}  # fmt: skip

EVENT = {
    "e": "executionReport", "E": 1_790_000_000_124, "s": "BTCUSDT", "c": "levi-0-2a-0", "S": "BUY",
    "o": "MARKET", "f": "GTC", "q": "0.02", "p": "0", "C": "", "x": "TRADE", "X": "FILLED",
    "r": "NONE", "i": 77, "l": "0.02", "z": "0.02", "L": "50000.00", "n": "0.01", "N": "BNB",
    "T": 1_790_000_000_123, "t": 9, "w": False, "m": False, "O": 1_790_000_000_100, "Z": "1000",
    "Y": "1000",
}  # fmt: skip

FILL = make_fill(
    client_id="levi-0-2a-0",
    price="50000.00",
    quantity="0.02",
    fee="0.01",
    fee_asset="BNB",
    time_ms=1_790_000_000_123,
    venue="scripted",
    trade_id=9,
)


def changed(base: dict[str, Any], **changes: Any) -> Callable[[Any], dict[str, Any]]:
    return lambda _: {**base, **changes}


async def test_a_request_is_what_the_venue_documents(autojump_clock: MockClock) -> None:
    """Parameters, timestamp and signature of a new order, as the venue checks them."""
    async with scripted_venue() as venue:
        venue.says("order.place", changed(ANSWER))
        report = await venue.broker.place(ORDER)
        assert report.status is OrderStatus.FILLED
        (sent,) = venue.asked("order.place")
        signature = sent.pop("signature")
        assert signature == HmacKey(API_SECRET).sign(ws_payload(sent))
        assert 0 <= (EPOCH + trio.current_time()) * 1000 - sent.pop("timestamp") < 100
        assert sent == {
            "apiKey": API_KEY,
            "newClientOrderId": "levi-0-2a-0",
            "newOrderRespType": "FULL",
            "quantity": "0.02",
            "recvWindow": 5000,
            "side": "BUY",
            "symbol": "BTCUSDT",
            "type": "MARKET",
        }


async def test_a_limit_order_has_its_price_and_stays(autojump_clock: MockClock) -> None:
    """LIMIT is good till cancelled; numbers are written without exponents."""
    async with scripted_venue() as venue:
        order = make_order(
            symbol="PEPEUSDT",
            side=Side.SELL,
            quantity="1E+6",
            price="1E-8",
        )
        venue.refuses("order.place", 400, -2010, "Account has insufficient balance")
        report = await venue.broker.place(order)
        assert report.status is OrderStatus.REJECTED
        (sent,) = venue.asked("order.place")
        assert (sent["quantity"], sent["price"]) == ("1000000", "0.00000001")
        assert sent["timeInForce"] == "GTC"


WRONG: dict[str, dict[str, Any]] = {
    "another id": {"clientOrderId": "levi-0-2b-0"},
    "another symbol": {"symbol": "ETHUSDT"},
    "another side": {"side": "SELL"},
    "another quantity": {"origQty": "0.03"},
    "another type": {"type": "LIMIT"},
    "more than all": {"executedQty": "0.04"},
    "less than all": {"executedQty": "0.01"},
    "negative": {"executedQty": "-0.02"},
    "no number": {"executedQty": "NaN"},
    "text": {"executedQty": "much"},
    "unknown status": {"status": "MAYBE"},
    "filled, and new": {"status": "NEW"},
    "fill at nothing": {"fills": [{**ANSWER["fills"][0], "price": "0"}]},  # type: ignore[index]
    "fill of nothing": {"fills": [{**ANSWER["fills"][0], "qty": "0"}]},  # type: ignore[index]
    "fills of more": {"fills": [{**ANSWER["fills"][0], "qty": "2"}]},  # type: ignore[index]
    "a list": {"status": []},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
async def test_an_answer_that_cannot_be_true_proves_nothing(
    change: dict[str, Any], autojump_clock: MockClock
) -> None:
    """UNKNOWN, with an event that says what was expected; the session goes on."""
    async with scripted_venue() as venue:
        venue.says("order.place", changed(ANSWER, **change))
        report = await venue.broker.place(ORDER)
        assert report.status is OrderStatus.UNKNOWN
        assert report.fills == ()
        assert "quarantine" in venue.kinds
        # What was not believed is not remembered either: the truth is, when it comes.
        venue.says("order.status", changed(ANSWER))
        found = await venue.broker.query(ORDER)
        assert found is not None
        assert found.status is OrderStatus.FILLED


NO_ANSWERS = ["", "null", "[]", "<html>502</html>", '{"id":1,"status":', '{"id":true}', "\x00"]


@pytest.mark.parametrize("text", NO_ANSWERS)
async def test_what_is_no_answer_ends_the_session(text: str, autojump_clock: MockClock) -> None:
    """A waiting request is unknown at once, and a new session is opened."""
    async with scripted_venue() as venue:
        venue.scripts["order.place"] = lambda _: text
        began = trio.current_time()
        assert (await venue.broker.place(ORDER)).status is OrderStatus.UNKNOWN
        assert trio.current_time() - began < 1
        await trio.sleep(5)
        assert venue.kinds.count("broker_connected") == 2


async def test_no_answer_at_all(autojump_clock: MockClock) -> None:
    """Silence is UNKNOWN after a deadline."""
    async with scripted_venue() as venue:
        began = trio.current_time()
        assert (await venue.broker.place(ORDER)).status is OrderStatus.UNKNOWN
        assert 10 < trio.current_time() - began < 15


@pytest.mark.parametrize(
    ("status", "code", "msg", "expected"),
    [
        (400, -1013, "Filter failure: LOT_SIZE", OrderStatus.REJECTED),
        (
            400,
            -2010,
            "Account has insufficient balance for requested action.",
            OrderStatus.REJECTED,
        ),
        (400, -2010, "Duplicate order sent.", OrderStatus.UNKNOWN),
        (400, -1121, "Invalid symbol.", OrderStatus.REJECTED),
        (400, -9999, "Something new.", OrderStatus.REJECTED),
        (200, -9999, "Something new.", OrderStatus.UNKNOWN),
        (200, -1007, "Timeout", OrderStatus.UNKNOWN),
        (400, -1006, "Unexpected response", OrderStatus.UNKNOWN),
        (403, 0, "Forbidden", OrderStatus.UNKNOWN),
        (500, -1000, "Internal", OrderStatus.UNKNOWN),
        (503, -2010, "Overloaded", OrderStatus.UNKNOWN),
        (409, -2021, "Partly carried out", OrderStatus.UNKNOWN),
        (504, 0, "<html>", OrderStatus.UNKNOWN),
        (429, -1015, "Too many new orders", OrderStatus.REJECTED),
        (401, -2015, "Invalid API-key", OrderStatus.REJECTED),
    ],
)
async def test_errors_mean_what_the_table_says(
    status: int, code: int, msg: str, expected: OrderStatus, autojump_clock: MockClock
) -> None:
    """Rejected only where that is certain."""
    async with scripted_venue() as venue:
        venue.refuses("order.place", status, code, msg)
        report = await venue.broker.place(ORDER)
        assert report.status is expected
        assert msg in report.reason
        assert bool(venue.listener.halts) is (code == -2015)


async def test_the_account_may_not_trade(autojump_clock: MockClock) -> None:
    """A key that is good for looking only stops trading at once."""
    async with scripted_venue() as venue:
        venue.says("account.status", lambda _: {"canTrade": False, "balances": []})
        await venue.send('{"id":null,"status":401,"error":{"code":-2015,"msg":"revoked"}}')
        assert venue.listener.halts
        await trio.sleep(70)
        assert "may not trade" in venue.listener.halts[-1]


async def test_a_timestamp_refused_is_sent_again_once(autojump_clock: MockClock) -> None:
    """A venue that never likes the time gets the order two times, and the answer is certain."""
    async with scripted_venue() as venue:
        venue.refuses("order.place", 400, -1021, "Timestamp for this request was 1000ms ahead")
        assert (await venue.broker.place(ORDER)).status is OrderStatus.REJECTED
        sent = venue.asked("order.place")
        assert len(sent) == 2
        assert {each["newClientOrderId"] for each in sent} == {ORDER.client_id}


async def test_fills_that_the_history_has_not_yet(autojump_clock: MockClock) -> None:
    """FILLED without its trades is UNKNOWN until they are told, by a question or by an event."""
    async with scripted_venue() as venue:
        venue.says("order.status", changed(ANSWER, fills=[]))
        venue.says("myTrades", lambda _: [])
        found = await venue.broker.query(ORDER)
        assert found is not None
        assert found.status is OrderStatus.UNKNOWN
        venue.says("myTrades", lambda _: [ROW])
        found = await venue.broker.query(ORDER)
        assert found is not None
        assert found.status is OrderStatus.FILLED
        assert found.fills == (FILL,)
        # Known now: no query is sent again.
        asked = len(venue.asked("myTrades"))
        await venue.broker.query(ORDER)
        assert len(venue.asked("myTrades")) == asked


async def test_an_event_is_handed_on_once(autojump_clock: MockClock) -> None:
    """The same trade again is dropped; with other numbers it is told, the first counts."""
    async with scripted_venue() as venue:
        await venue.tell(EVENT)
        await venue.tell(EVENT)
        await venue.tell({**EVENT, "l": "0.01"})
        ((symbol, report),) = venue.listener.reports
        assert symbol == "BTCUSDT"
        assert report.status is OrderStatus.FILLED
        assert report.fills == (FILL,)
        assert venue.kinds.count("quarantine") == 1


async def test_a_cancel_event_names_the_order(autojump_clock: MockClock) -> None:
    """`c` is the id of the cancel then, and the order's own is in `C`."""
    async with scripted_venue() as venue:
        cancelled = {"x": "CANCELED", "X": "CANCELED", "c": "web_1", "C": "levi-0-2a-0", "t": -1}
        await venue.tell({**EVENT, **cancelled})
        assert venue.listener.reports[0][1].client_id == "levi-0-2a-0"
        assert venue.listener.reports[0][1].fills == ()


@pytest.mark.parametrize(
    "change",
    [{"L": "0"}, {"l": "-1"}, {"L": "NaN"}, {"X": "?"}, {"t": -1}, {"S": "UP"}, {"i": "x"}],
)
async def test_an_event_that_cannot_be_true(
    change: dict[str, Any], autojump_clock: MockClock
) -> None:
    """It goes no further, and is told."""
    async with scripted_venue() as venue:
        await venue.tell({**EVENT, **change})
        assert venue.listener.reports == []
        assert venue.kinds.count("quarantine") == 1


async def test_other_events_are_skipped(autojump_clock: MockClock) -> None:
    """Balances are asked for, not followed; an end of the stream is an end of the session."""
    async with scripted_venue() as venue:
        await venue.tell({"e": "outboundAccountPosition", "B": []})
        await venue.tell({"e": "somethingNew"})
        assert venue.listener.reports == []
        await venue.tell({"e": "eventStreamTerminated"})
        await trio.sleep(5)
        assert venue.kinds.count("broker_connected") == 2


def pages(count: int) -> Callable[[dict[str, Any]], list[dict[str, Any]]]:
    def page(params: dict[str, Any]) -> list[dict[str, Any]]:
        first = params["fromId"]
        ids = [each for each in range(1, count + 1) if each >= first][: params["limit"]]
        return [{**ROW, "id": each} for each in ids]

    return page


async def test_a_long_history_is_read_page_by_page(autojump_clock: MockClock) -> None:
    """All of it, in order, and the order they belong to is asked for once."""
    async with scripted_venue() as venue:
        venue.says("openOrders.status", lambda _: [])
        venue.says("myTrades", pages(2_500))
        venue.says("order.status", changed(ANSWER, clientOrderId="web_1"))
        mass_status = await venue.broker.mass_status("BTCUSDT", 100)
        assert [fill.trade_id for fill in mass_status.trades] == list(range(101, 2_501))
        assert {fill.client_id for fill in mass_status.trades} == {"web_1"}
        assert len(venue.asked("order.status")) == 1


LISTS: dict[str, Callable[[Any], Any]] = {
    "repeats": lambda _: [{**ROW, "id": 101 + i % 500} for i in range(1_000)],
    "goes back": lambda _: [{**ROW, "id": 105}, {**ROW, "id": 104}],
    "below": lambda _: [{**ROW, "id": 5}],
    "another symbol": lambda _: [{**ROW, "id": 105, "symbol": "ETHUSDT"}],
    "no list": lambda _: {},
    "null": lambda _: None,
}


@pytest.mark.parametrize("trades", LISTS.values(), ids=LISTS)
async def test_a_history_that_cannot_be_true(
    trades: Callable[[Any], Any], autojump_clock: MockClock
) -> None:
    """A list that repeats itself or goes back is no answer, and never means flat."""
    async with scripted_venue() as venue:
        venue.says("openOrders.status", lambda _: [])
        venue.says("order.status", changed(ANSWER))
        venue.says("myTrades", trades)
        with pytest.raises(BrokerUnavailable):
            await venue.broker.mass_status("BTCUSDT", 100)


async def test_an_archived_order_is_nobodys(autojump_clock: MockClock) -> None:
    """A trade whose order the venue tells no more has no client id, and is not taken for ours."""
    async with scripted_venue() as venue:
        venue.says("openOrders.status", lambda _: [])
        venue.says("myTrades", lambda _: [ROW])
        venue.refuses("order.status", 400, -2026, "Order was archived.")
        mass_status = await venue.broker.mass_status("BTCUSDT", 1)
        assert mass_status.trades[0].client_id == ""


@pytest.mark.parametrize("wrong", [0, "1790000000000", None, 1_790_000_000])
async def test_the_time_must_be_one(wrong: object, autojump_clock: MockClock) -> None:
    """A server time of nothing, or as text, leaves the session unprepared."""
    async with scripted_venue() as venue:
        venue.says("time", lambda _: {"serverTime": wrong})
        await venue.send("no json")
        await trio.sleep(10)
        assert venue.kinds.count("broker_connected") == 1


async def test_the_venue_echoes_our_key(autojump_clock: MockClock) -> None:
    """What it says about a refusal goes through the redaction before anybody sees it."""

    def redact(text: str) -> str:
        return text.replace(API_KEY, "***")

    async with scripted_venue(redact) as venue:
        venue.refuses("order.place", 401, -2014, f"API-key {API_KEY} format invalid.\x1b[2J")
        report = await venue.broker.place(ORDER)
        assert API_KEY not in report.reason
        assert "***" in report.reason
        assert API_KEY not in repr(venue.events) + repr(venue.listener.halts)
