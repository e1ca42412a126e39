"""The WS API: requests, sessions, user-data subscriptions."""

import json
from typing import Any

import pytest

from levitrio.venues.binance.orders.signing import Ed25519PrivateKey, HmacKey, ws_payload
from levitrio.venues.simulator.api.api import ExchangeApi
from levitrio.venues.simulator.api.ws_api import WsApiSession
from levitrio.venues.simulator.exchange.accounts import ApiKey
from levitrio.venues.simulator.exchange.faults import Faults, LostReply
from tests.venues.binance.orders.test_signing import PRIVATE, PUBLIC
from tests.venues.simulator.venues import NOW_MS, SYMBOL, StillMarket, signed

ORDER = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "1"}


def opened(venue: ExchangeApi, target: str = "/ws-api/v3") -> WsApiSession:
    session = WsApiSession.open(venue, target)
    assert session is not None
    return session


def ask(session: WsApiSession, method: str, **params: Any) -> Any:
    request = {"id": 1, "method": method, "params": params}
    return json.loads(session.handle(json.dumps(request)))


def sign(secret: str = "S", **params: Any) -> dict[str, Any]:
    params = {"apiKey": "K", "timestamp": NOW_MS, **params}
    return {**params, "signature": HmacKey(secret).sign(ws_payload(params))}


def events_of(session: WsApiSession, venue: ExchangeApi) -> list[Any]:
    texts = [session.event(account, event) for account, event in venue.exchange.take_events()]
    return [json.loads(text) for text in texts if text is not None]


@pytest.mark.parametrize(
    ("target", "is_endpoint"),
    [
        ("/ws-api/v3", True),
        ("/ws-api/v3/", True),
        ("/ws-api/v3?returnRateLimits=false", True),
        ("/ws-api/v2", False),
        ("/ws", False),
    ],
)
def test_where_the_door_is(target: str, is_endpoint: bool) -> None:
    """One path, with or without its options."""
    assert (WsApiSession.open(signed().venue, target) is not None) is is_endpoint


def test_public_methods_and_rate_limits() -> None:
    """The answer has the request's id, a status, a result, and what was used of the limits."""
    session = opened(signed().venue)
    answer = ask(session, "v3/time")
    assert (answer["id"], answer["status"]) == (1, 200)
    assert answer["result"] == {"serverTime": NOW_MS}
    assert answer["rateLimits"][0]["rateLimitType"] == "REQUEST_WEIGHT"
    assert answer["rateLimits"][0]["count"] == 1
    assert "rateLimits" not in ask(session, "ping", returnRateLimits=False)
    quiet = opened(signed().venue, "/ws-api/v3?returnRateLimits=false")
    assert "rateLimits" not in ask(quiet, "ping")
    assert ask(session, "ticker.price", symbols=[SYMBOL])["result"][0]["symbol"] == SYMBOL
    assert ask(session, "klines", symbol=SYMBOL, interval="1m", limit=5)["result"] == []


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", -1000),
        ("[]", -1000),
        ("[" * 100_000, -1000),
        ('{"id":1}', -1102),
        ('{"id":[],"method":"ping"}', -1135),
        ('{"id":true,"method":"ping"}', -1135),
        ('{"id":1,"method":"order.magic"}', -1100),
        ('{"id":1,"method":"ping","params":[]}', -1100),
        ('{"id":1,"method":"ping","params":{"x":1}}', -1104),
        ('{"id":1,"method":"depth","params":{"symbol":"\\ud800"}}', -1100),
        ('{"id":1,"method":"depth","params":{"symbol":NaN}}', -1100),
        ('{"id":1,"method":"account.status"}', -2014),
    ],
)
def test_bad_requests(message: str, code: int) -> None:
    """Whatever comes is answered, with the venue's code, and an id that JSON can hold."""
    answer = json.loads(opened(signed().venue).handle(message))
    assert answer["error"]["code"] == code
    assert answer["status"] >= 400


@pytest.mark.parametrize("request_id", [None, 7, -(2**63), "a-B_3"])
def test_ids_come_back(request_id: object) -> None:
    """Numbers, strings and null."""
    message = json.dumps({"id": request_id, "method": "ping"})
    assert json.loads(opened(signed().venue).handle(message))["id"] == request_id


def test_an_order_from_place_to_cancel() -> None:
    """Signed with every parameter, numbers as they were written."""
    client = signed()
    session = opened(client.venue)
    limit = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    placed = ask(session, "order.place", **sign(**limit, price="90.50", quantity=1))
    assert placed["result"]["status"] == "NEW"
    found = ask(session, "openOrders.status", **sign(symbol=SYMBOL))["result"]
    named = {"symbol": SYMBOL, "orderId": placed["result"]["orderId"]}
    assert ask(session, "order.status", **sign(**named))["result"] == found[0]
    ended = ask(session, "order.cancel", **sign(**named))
    assert ended["result"]["status"] == "CANCELED"
    assert ask(session, "openOrders.cancelAll", **sign(symbol=SYMBOL))["error"]["code"] == -2011
    assert ask(session, "order.test", **sign(**ORDER))["result"] == {}
    balances = ask(session, "account.status", **sign(omitZeroBalances=True))["result"]["balances"]
    assert [each["asset"] for each in balances] == ["BTC", "USDT"]


def test_a_float_is_signed_as_it_was_written() -> None:
    """0.10 is not 0.1: the signature is of the text."""
    session = opened(signed().venue)
    order = f'"symbol":"{SYMBOL}","side":"BUY","type":"MARKET","quantity":0.10'
    payload = f"apiKey=K&quantity=0.10&side=BUY&symbol={SYMBOL}&timestamp={NOW_MS}&type=MARKET"
    signature = HmacKey("S").sign(payload)
    params = f'{{{order},"apiKey":"K","timestamp":{NOW_MS},"signature":"{signature}"}}'
    answer = json.loads(session.handle(f'{{"id":1,"method":"order.place","params":{params}}}'))
    assert answer["result"]["executedQty"] == "0.10000000"


def test_user_data_by_signature() -> None:
    """Events come wrapped with the subscription's id, once it is there and until it is gone."""
    client = signed()
    session = opened(client.venue)
    ask(session, "order.place", **sign(**ORDER))
    assert events_of(session, client.venue) == []
    subscribed = ask(session, "userDataStream.subscribe.signature", **sign())
    assert subscribed["result"] == {"subscriptionId": 0}
    again = ask(session, "userDataStream.subscribe.signature", **sign())
    assert again["error"]["code"] == -2035
    ask(session, "order.place", **sign(**ORDER))
    sent = events_of(session, client.venue)
    assert [each["subscriptionId"] for each in sent] == [0, 0, 0]
    assert [each["event"]["e"] for each in sent] == [
        "executionReport",
        "executionReport",
        "outboundAccountPosition",
    ]
    assert ask(session, "session.subscriptions")["result"] == [{"subscriptionId": 0}]
    assert ask(session, "userDataStream.unsubscribe", subscriptionId=5)["error"]["code"] == -2036
    assert ask(session, "userDataStream.unsubscribe")["result"] == {}
    ask(session, "order.place", **sign(**ORDER))
    assert events_of(session, client.venue) == []
    renewed = ask(session, "userDataStream.subscribe.signature", **sign())
    assert renewed["result"] == {"subscriptionId": 1}


def test_a_session_needs_an_ed25519_key() -> None:
    """An HMAC key cannot log on; without a session the bare subscribe is refused."""
    session = opened(signed().venue)
    assert ask(session, "session.logon", **sign())["error"]["code"] == -4056
    assert ask(session, "userDataStream.subscribe")["error"]["code"] == -1002
    assert ask(session, "session.status")["result"]["apiKey"] is None


def test_a_session_from_logon_to_logout() -> None:
    """Logged on, a request needs a timestamp and nothing else; after logout it needs all."""
    pytest.importorskip("cryptography")
    market = StillMarket()
    venue = ExchangeApi(
        market=market,
        wall_clock=lambda: market.time_ms / 1000,
        later=lambda seconds, act: None,
        keys=(ApiKey.of("E", PUBLIC),),
        balances=signed().venue.balances,
    )
    session = opened(venue)
    params: dict[str, Any] = {"apiKey": "E", "timestamp": NOW_MS}
    wrong = {**params, "signature": "A" * 88}
    assert ask(session, "session.logon", **wrong)["error"]["code"] == -1022
    signature = Ed25519PrivateKey(PRIVATE).sign(ws_payload(params))
    answer = ask(session, "session.logon", **params, signature=signature)
    assert answer["result"]["apiKey"] == "E"
    assert len(answer["rateLimits"]) == 3
    assert ask(session, "userDataStream.subscribe")["result"] == {"subscriptionId": 0}
    placed = ask(session, "order.place", timestamp=NOW_MS, **ORDER)
    assert placed["result"]["status"] == "FILLED"
    assert len(events_of(session, venue)) == 3
    assert ask(session, "order.place", **ORDER)["error"]["code"] == -1102
    late = ask(session, "order.place", timestamp=NOW_MS - 6_000, **ORDER)
    assert late["error"]["code"] == -1021
    assert ask(session, "session.logout")["result"]["apiKey"] is None
    assert ask(session, "order.place", timestamp=NOW_MS, **ORDER)["error"]["code"] == -2014
    assert events_of(session, venue) == []


def test_a_ban_says_when_it_ends() -> None:
    """`retryAfter` is a time here, not a number of seconds."""
    session = opened(signed(Faults(refuse=418, refuse_for=5.0)).venue)
    answer = ask(session, "ping")
    assert answer["status"] == 418
    assert answer["error"]["data"] == {"serverTime": NOW_MS, "retryAfter": NOW_MS + 5_000}


def test_faults_of_orders() -> None:
    """-1007 after accepting, and no answer at all, as by REST."""
    session = opened(signed(Faults(timeout_every=1)).venue)
    answer = ask(session, "order.place", **sign(**ORDER))
    assert (answer["status"], answer["error"]["code"]) == (504, -1007)
    silent = opened(signed(Faults(lost_reply_every=1)).venue)
    with pytest.raises(LostReply):
        ask(silent, "order.place", **sign(**ORDER))
