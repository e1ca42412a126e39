"""The REST API: routing, signatures, times, weights, refusals, and the faults' own path."""

import json
from typing import Any

import pytest

from levitrio.venues.binance.orders.signing import HmacKey
from levitrio.venues.simulator.api.rest import FAULTS_PATH, HttpRequest, HttpResponse, handle
from levitrio.venues.simulator.exchange.faults import Faults, LostReply
from tests.venues.simulator.venues import NOW_MS, SYMBOL, Signed, signed


def status_and_code(response: HttpResponse) -> tuple[int, int]:
    """Status and code of a refusal."""
    return response.status, json.loads(response.body)["code"]


def test_public_methods_answer() -> None:
    """Each public path answers with JSON and the used weight."""
    client = signed()
    for path in (
        "ping",
        "time",
        "exchangeInfo",
        f"depth?symbol={SYMBOL}&limit=5",
        f"trades?symbol={SYMBOL}",
        f"historicalTrades?symbol={SYMBOL}&fromId=1",
        f"aggTrades?symbol={SYMBOL}",
        f"klines?symbol={SYMBOL}&interval=1m",
        f"ticker/price?symbol={SYMBOL}",
        "ticker/bookTicker",
        'ticker/price?symbols=["BTCUSDT"]',
        f"avgPrice?symbol={SYMBOL}",
        f"ticker?symbol={SYMBOL}&windowSize=7d",
    ):
        response = client.get(path)
        assert response.status == 200, path
        json.loads(response.body)
        assert dict(response.headers)["X-MBX-USED-WEIGHT-1M"].isdigit()


def test_the_shape_of_market_answers() -> None:
    """One object for `symbol`, a list otherwise; prices are strings of eight decimals."""
    client = signed()
    assert json.loads(client.get(f"ticker/price?symbol={SYMBOL}").body) == {
        "symbol": SYMBOL,
        "price": "100",
    }
    assert isinstance(json.loads(client.get("ticker/price").body), list)
    depth = json.loads(client.get(f"depth?symbol={SYMBOL}").body)
    assert depth == {
        "lastUpdateId": 1,
        "bids": [["99.00000000", "10.00000000"]],
        "asks": [["101.00000000", "10.00000000"]],
    }
    symbol = json.loads(client.get(f"exchangeInfo?symbol={SYMBOL}").body)["symbols"][0]
    assert (symbol["baseAsset"], symbol["quoteAsset"]) == ("BTC", "USDT")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("klines?symbol=BTCUSDT", (400, -1102)),
        ("klines?symbol=BTCUSDT&interval=7m", (400, -1120)),
        ("klines?interval=1m", (400, -1102)),
        ("klines?symbol=NOPE&interval=1m", (400, -1121)),
        ("klines?symbol=btc%2Fusdt&interval=1m", (400, -1100)),
        ("klines?symbol=BTCUSDT&interval=1m&limit=x", (400, -1100)),
        ("klines?symbol=BTCUSDT&interval=1m&limit=0", (400, -1130)),
        ("klines?symbol=BTCUSDT&interval=1m&limit=", (400, -1105)),
        ("klines?symbol=BTCUSDT&interval=1m&more=1", (400, -1104)),
        ("klines?symbol=BTCUSDT&symbol=ETHUSDT&interval=1m", (400, -1101)),
        ("ticker/price?symbol=BTCUSDT&symbols=[]", (400, -1128)),
        ("ticker/price?symbols=BTCUSDT", (400, -1130)),
        ("ticker/24hr?symbol=BTCUSDT&type=HUGE", (400, -1130)),
        ("ticker/price?symbol=BTCUSDT&type=MINI", (400, -1104)),
        ("ticker", (400, -1102)),
        *(
            (f"ticker?symbol=BTCUSDT&windowSize={size}", (400, -1130))
            for size in ("60m", "24h", "8d", "0d", "1w", "1", "x")
        ),
        ("aggTrades?symbol=BTCUSDT&fromId=1&startTime=1", (400, -1128)),
        ("depth?symbol=%FF", (400, -1100)),
        ("account", (401, -2014)),
    ],
)
def test_bad_requests(path: str, expected: tuple[int, int]) -> None:
    """The venue's status and code for each kind of mistake."""
    assert status_and_code(signed().get(path)) == expected


def test_paths_that_are_not_there() -> None:
    """Unknown ones are 404 without JSON, known ones with the wrong verb 405."""
    venue = signed().venue
    for verb, target, status in (
        ("GET", "/sapi/v1/capital/config/getall", 404),
        ("GET", "/", 404),
        ("GET", "/api/v3/nothing", 404),
        ("PUT", "/api/v3/order", 405),
        ("POST", "/api/v3/userDataStream", 404),
    ):
        response = handle(venue, HttpRequest(verb=verb, target=target, headers={}))
        assert response.status == status, target


@pytest.mark.parametrize("in_body", [False, True])
def test_a_signed_order_in_query_or_body(in_body: bool) -> None:
    """Both ways are the same; the answer carries the order counts."""
    response = signed().send(
        "POST",
        "order",
        in_body=in_body,
        symbol=SYMBOL,
        side="BUY",
        type="LIMIT_MAKER",
        quantity="1",
        price="90",
    )
    assert response.status == 200
    headers = dict(response.headers)
    assert headers["X-MBX-ORDER-COUNT-10S"] == headers["X-MBX-ORDER-COUNT-1D"] == "1"
    assert set(json.loads(response.body)) == {
        "symbol",
        "orderId",
        "orderListId",
        "clientOrderId",
        "transactTime",
    }


def test_query_and_body_are_signed_together() -> None:
    """What is signed is both, with nothing between; the query wins where both have a key."""
    client = signed()
    query = f"symbol={SYMBOL}&side=BUY&type=MARKET"
    body = f"side=SELL&quantity=1&timestamp={NOW_MS}"
    signature = HmacKey("S").sign(query + body)
    response = handle(
        client.venue,
        HttpRequest(
            verb="POST",
            target=f"/api/v3/order?{query}",
            headers={"x-mbx-apikey": "K"},
            body=f"{body}&signature={signature.upper()}".encode(),
        ),
    )
    assert json.loads(response.body)["side"] == "BUY"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"key": "other"}, (401, -2015)),
        ({"key": ""}, (401, -2014)),
        ({"secret": "other"}, (400, -1022)),
        ({"timestamp": NOW_MS - 5_000}, None),
        ({"timestamp": NOW_MS - 5_001}, (400, -1021)),
        ({"timestamp": NOW_MS + 999}, None),
        ({"timestamp": NOW_MS + 1_000}, (400, -1021)),
        ({"timestamp": NOW_MS * 1000}, None),
        ({"timestamp": NOW_MS - 60_000, "recvWindow": 60_000}, None),
        ({"recvWindow": 60_001}, (400, -1131)),
        ({"timestamp": "x"}, (400, -1100)),
        ({"timestamp": ""}, (400, -1102)),
    ],
)
def test_keys_signatures_and_times(
    changes: dict[str, Any], expected: tuple[int, int] | None
) -> None:
    """Who may ask, and when: both bounds of the window to the millisecond."""
    response = signed().send("GET", "account", **changes)
    assert (response.status == 200) if expected is None else (status_and_code(response) == expected)


def test_a_missing_signature() -> None:
    """A key alone is not enough."""
    response = handle(
        signed().venue,
        HttpRequest(
            verb="GET",
            target=f"/api/v3/account?timestamp={NOW_MS}",
            headers={"x-mbx-apikey": "K"},
        ),
    )
    assert status_and_code(response) == (400, -1102)


def test_account_and_history() -> None:
    """Balances, trades, orders, commission: what happened is reported."""
    client = signed()
    for side in ("BUY", "SELL"):
        client.send("POST", "order", symbol=SYMBOL, side=side, type="MARKET", quantity=1)
        client.market.time_ms += 1_000
    account = json.loads(client.send("GET", "account").body)
    assert account["balances"][0] == {"asset": "BTC", "free": "9.99900000", "locked": "0.00000000"}
    assert account["uid"] == 1
    trades = json.loads(client.send("GET", "myTrades", symbol=SYMBOL).body)
    assert [each["isBuyer"] for each in trades] == [True, False]
    later = client.send("GET", "myTrades", symbol=SYMBOL, fromId=trades[1]["id"])
    assert json.loads(later.body) == trades[1:]
    of_order = client.send("GET", "myTrades", symbol=SYMBOL, orderId=trades[0]["orderId"])
    assert json.loads(of_order.body) == trades[:1]
    orders = json.loads(client.send("GET", "allOrders", symbol=SYMBOL, limit=1).body)
    assert [each["orderId"] for each in orders] == [trades[1]["orderId"]]
    first = client.send("GET", "allOrders", symbol=SYMBOL, startTime=NOW_MS, limit=1)
    assert json.loads(first.body)[0]["orderId"] == trades[0]["orderId"]
    commission = json.loads(client.send("GET", "account/commission", symbol=SYMBOL).body)
    assert commission["standardCommission"]["taker"] == "0.00100000"
    too_long = client.send("GET", "myTrades", symbol=SYMBOL, startTime=1, endTime=86_400_002)
    assert status_and_code(too_long) == (400, -1127)


def test_a_test_order_places_nothing() -> None:
    """It is checked like any other, and that is all."""
    client = signed()
    params: dict[str, Any] = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": 1}
    assert json.loads(client.send("POST", "order/test", **params).body) == {}
    with_rates = client.send("POST", "order/test", computeCommissionRates="true", **params)
    assert "standardCommissionForOrder" in json.loads(with_rates.body)
    assert client.account.orders == {}
    bad = client.send("POST", "order/test", **{**params, "quantity": "0.0001"})
    assert status_and_code(bad) == (400, -1013)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"side": "HOLD"}, -1117),
        ({"type": "MAGIC"}, -1116),
        ({"type": "LIMIT", "price": 90}, -1102),
        ({"type": "LIMIT", "price": 90, "timeInForce": "GTX"}, -1115),
        ({"price": 90}, -1106),
        ({"quantity": "1.123456789"}, -1111),
        ({"quantity": "-1"}, -1100),
        ({"quantity": "1e3"}, -1100),
        ({"quantity": "0"}, -1013),
        ({"quantity": ""}, -1102),
        ({"newClientOrderId": "x" * 37}, -1100),
        ({"strategyType": 5}, -1130),
        ({"quoteOrderQty": 5}, -1128),
        ({"trailingDelta": 5}, -2010),
        ({"unheard": 5}, -1104),
    ],
)
def test_malformed_orders(params: dict[str, Any], code: int) -> None:
    """Each mistake has the venue's code."""
    base: dict[str, Any] = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": 1}
    sent = {**base, **params}
    assert status_and_code(signed().send("POST", "order", **sent))[1] == code


def test_cancelling_by_restriction_and_all_at_once() -> None:
    """ONLY_PARTIALLY_FILLED spares a new order; openOrders takes them all, then says so."""
    client = signed()
    for price in (90, 91):
        client.send(
            "POST",
            "order",
            symbol=SYMBOL,
            side="BUY",
            type="LIMIT_MAKER",
            quantity=1,
            price=price,
            newClientOrderId=f"at-{price}",
        )
    spared = client.send(
        "DELETE",
        "order",
        symbol=SYMBOL,
        origClientOrderId="at-90",
        cancelRestrictions="ONLY_PARTIALLY_FILLED",
    )
    assert status_and_code(spared) == (400, -2011)
    ended = json.loads(client.send("DELETE", "openOrders", symbol=SYMBOL).body)
    assert [each["origClientOrderId"] for each in ended] == ["at-90", "at-91"]
    assert status_and_code(client.send("DELETE", "openOrders", symbol=SYMBOL)) == (400, -2011)
    assert json.loads(client.send("GET", "openOrders").body) == []
    assert status_and_code(client.send("GET", "order", symbol=SYMBOL)) == (400, -1102)
    assert status_and_code(client.send("GET", "order", symbol=SYMBOL, orderId=7)) == (400, -2013)


def test_too_much_weight_is_429_then_418() -> None:
    """Retry-After in seconds; who goes on asking is banned for two minutes."""
    client = signed()
    while (response := client.get("exchangeInfo")).status == 200:
        pass
    assert status_and_code(response) == (429, -1003)
    left = 60 - NOW_MS // 1000 % 60
    assert dict(response.headers)["Retry-After"] == str(left)
    while (response := client.get("ping")).status == 429:
        pass
    assert status_and_code(response) == (418, -1003)
    assert dict(response.headers)["Retry-After"] == "120"
    client.market.time_ms += 119_000
    assert client.get("ping").status == 418
    client.market.time_ms += 1_000
    assert client.get("ping").status == 200


def test_too_many_orders() -> None:
    """Fifty unfilled in ten seconds; a fill gives back, the next window is empty again."""
    client = signed()

    def order(kind: str = "LIMIT_MAKER", **params: Any) -> HttpResponse:
        return client.send("POST", "order", symbol=SYMBOL, side="BUY", type=kind, **params)

    for _ in range(60):
        assert order("MARKET", quantity="0.1").status == 200
    for number in range(50):
        assert order(quantity="0.1", price=90 - number / 100).status == 200
    refused = order(quantity="0.1", price=80)
    assert status_and_code(refused) == (429, -1015)
    client.market.time_ms += 10_000
    assert order(quantity="0.1", price=80).status == 200


def test_faults_through_their_own_path() -> None:
    """GET tells, POST changes what it names, DELETE ends all; a wrong name is said."""
    client = signed()

    def faults(verb: str, body: str = "") -> tuple[int, Any]:
        request = HttpRequest(verb=verb, target=FAULTS_PATH, headers={}, body=body.encode())
        response = handle(client.venue, request)
        return response.status, json.loads(response.body or b"null")

    assert faults("GET")[1]["gap_every"] == 0
    assert faults("POST", '{"gap_every": 3}')[1]["gap_every"] == 3
    assert faults("POST", '{"late_by": 1}')[1]["gap_every"] == 3
    status, answer = faults("POST", '{"gap_evry": 3}')
    assert (status, "gap_every" in answer["error"]) == (400, True)
    for body in ("[1]", "{", "", "[" * 100_000):
        status, answer = faults("POST", body)
        assert status == 400
        assert answer["error"].startswith('faults: expected a JSON object such as {"gap_every": 9}')
    assert faults("POST", '{"late_by": NaN}')[0] == faults("POST", '{"late_by": 1e999}')[0] == 400
    assert faults("DELETE")[1]["gap_every"] == 0
    assert faults("PUT")[0] == 405


def order_params(client_id: str) -> dict[str, Any]:
    return {
        "symbol": SYMBOL,
        "side": "BUY",
        "type": "MARKET",
        "quantity": 1,
        "newClientOrderId": client_id,
    }


def known(client: Signed, client_id: str) -> bool:
    found = client.send("GET", "order", symbol=SYMBOL, origClientOrderId=client_id)
    return found.status == 200


def test_an_order_that_times_out_was_accepted() -> None:
    """-1007 says nothing about the order: it is there."""
    client = signed(Faults(timeout_every=2))
    assert client.send("POST", "order", **order_params("one")).status == 200
    assert status_and_code(client.send("POST", "order", **order_params("two"))) == (504, -1007)
    assert known(client, "two")


def test_an_order_that_arrives_late() -> None:
    """Unknown at first, there afterwards; dropped when its recvWindow is over by then."""
    client = signed(Faults(late_every=1, late_by=3.0))
    assert status_and_code(client.send("POST", "order", **order_params("one"))) == (504, -1007)
    assert status_and_code(
        client.send("POST", "order", recvWindow=2_000, **order_params("two"))
    ) == (
        504,
        -1007,
    )
    assert [seconds for seconds, _ in client.later] == [3.0, 3.0]
    assert not known(client, "one")
    client.market.time_ms += 3_000
    for _, arrive in client.later:
        arrive()
    assert known(client, "one")
    assert not known(client, "two")


def test_a_late_order_that_is_refused_is_nobodys_failure() -> None:
    """Its sender gets no answer any more; nothing was left behind."""
    client = signed(Faults(late_every=1))
    client.send("POST", "order", **{**order_params("one"), "side": "SELL", "quantity": 11})
    for _, arrive in client.later:
        arrive()
    assert client.account.orders == {}


def test_a_lost_reply() -> None:
    """The order is there, the answer is not."""
    client = signed(Faults(lost_reply_every=1))
    with pytest.raises(LostReply):
        client.send("POST", "order", **order_params("one"))
    assert known(client, "one")


@pytest.mark.parametrize(
    ("status", "code"), [(418, -1003), (429, -1003), (500, -1000), (503, -1008), (504, -1007)]
)
def test_refusing_on_demand(status: int, code: int) -> None:
    """Every request, with the status asked for."""
    client = signed(Faults(refuse=status, refuse_for=7.0))
    response = client.get("ping")
    assert status_and_code(response) == (status, code)
    expected = "7" if status in {418, 429} else None
    assert dict(response.headers).get("Retry-After") == expected


def test_a_skewed_clock() -> None:
    """The server's time and the window of a signature move together."""
    client = signed(Faults(clock_skew_ms=90_000))
    assert json.loads(client.get("time").body)["serverTime"] == NOW_MS + 90_000
    assert status_and_code(client.send("GET", "account", timestamp=NOW_MS)) == (400, -1021)
    assert client.send("GET", "account", timestamp=NOW_MS + 90_000).status == 200
