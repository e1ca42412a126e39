"""The protocol of a connection, message by message."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.trading.candles import INTERVALS
from levitrio.venues.simulator.market.stream_protocol import StreamName, StreamSession, parse_stream


def opened(target: str = "/ws") -> StreamSession:
    session = StreamSession.open(target)
    assert session is not None
    return session


def ask(session: StreamSession, **request: Any) -> Any:
    return json.loads(session.handle(json.dumps(request)).text)


@pytest.mark.parametrize(
    ("target", "combined", "streams"),
    [
        ("/ws", False, []),
        ("/ws/", False, []),
        ("/ws/0", False, []),
        ("/ws/17", False, []),
        ("/ws/btcusdt@trade", False, ["btcusdt@trade"]),
        ("/ws/btcusdt%40trade", False, ["btcusdt@trade"]),
        ("/ws/a@trade/b@bookTicker", False, ["a@trade", "b@bookTicker"]),
        ("/ws/!miniTicker@arr", False, ["!miniTicker@arr"]),
        ("/stream", True, []),
        ("/stream?streams=a@trade", True, ["a@trade"]),
        ("/stream?streams=a@trade/b@kline_1m/a@trade", True, ["a@trade", "b@kline_1m"]),
    ],
)
def test_paths_open_sessions(target: str, combined: bool, streams: list[str]) -> None:
    """Every path that real clients open starts raw or combined, with its streams."""
    session = opened(target)
    assert session.combined is combined
    assert list(session.subscriptions) == streams


@pytest.mark.parametrize("target", ["/", "/api/v3/ping", "/wsx", "/streams", "", "/ws-api/v3"])
def test_other_paths_are_not_ours(target: str) -> None:
    """There is no session where the venue has none, or one of another kind."""
    assert StreamSession.open(target) is None


def test_subscribing_twice_is_one_subscription() -> None:
    """Only what is new is reported as added, also inside one request."""
    session = opened("/stream?streams=a@trade")
    request = {"method": "SUBSCRIBE", "params": ["a@trade", "b@trade", "b@trade"], "id": 1}
    reply = session.handle(json.dumps(request))
    assert json.loads(reply.text) == {"result": None, "id": 1}
    assert reply.added == ("b@trade",)
    assert ask(session, method="LIST_SUBSCRIPTIONS", id=3) == {
        "result": ["a@trade", "b@trade"],
        "id": 3,
    }


def test_unsubscribing_reports_what_was_there() -> None:
    """Leaving what one never had is no error."""
    session = opened("/ws/a@trade")
    request = {"method": "UNSUBSCRIBE", "params": ["a@trade", "x@trade"], "id": 312}
    reply = session.handle(json.dumps(request))
    assert json.loads(reply.text) == {"result": None, "id": 312}
    assert reply.removed == ("a@trade",)
    assert not session.subscriptions


def test_the_combined_property() -> None:
    """It can be read and switched while the connection is open."""
    session = opened()
    assert ask(session, method="GET_PROPERTY", params=["combined"], id=2) == {
        "result": False,
        "id": 2,
    }
    assert ask(session, method="SET_PROPERTY", params=["combined", True], id=5) == {
        "result": None,
        "id": 5,
    }
    assert session.combined


@pytest.mark.parametrize(
    "request_id", [0, 1, -5, 2**63 - 1, "x", "0d5f2b1e-0000-4000-8000-1234567890ab", None]
)
def test_ids_come_back_as_they_went(request_id: object) -> None:
    """Numbers, short texts and null are ids."""
    reply = ask(opened(), method="SUBSCRIBE", params=[], id=request_id)
    assert reply == {"result": None, "id": request_id}


@pytest.mark.parametrize("request_id", [1.5, True, [], {}, 2**63, "x" * 37, "ü"])
def test_other_ids_are_refused_in_the_venues_words(request_id: object) -> None:
    """Nothing else is an id."""
    assert ask(opened(), method="SUBSCRIBE", params=[], id=request_id) == {
        "code": 2,
        "msg": "Invalid request: request ID must be an unsigned integer",
    }


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        ({"method": "SET_PROPERTY", "params": ["x", True]}, 0, "Unknown property"),
        ({"method": "GET_PROPERTY", "params": ["x"]}, 0, "Unknown property"),
        (
            {"method": "SET_PROPERTY", "params": ["combined", 1]},
            1,
            "Invalid value type: expected Boolean",
        ),
        (
            {"method": "SET_PROPERTY", "params": ["combined"]},
            1,
            "Invalid value type: expected Boolean",
        ),
        (
            {"method": "SET_PROPERTY", "params": ["combined", True, 3]},
            2,
            "Invalid request: too many parameters",
        ),
        (
            {"method": "GET_PROPERTY", "params": [7]},
            2,
            "Invalid request: property name must be a string",
        ),
        (
            {"method": "GET_PROPERTY"},
            2,
            "Invalid request: property name must be a string",
        ),
        ({"method": "SUBSCRIBE", "params": [7]}, 2, "stream name must be a string"),
        ({"method": "SUBSCRIBE", "params": "a@trade"}, 2, "expected a sequence"),
        ({"method": "subscribe"}, 2, "unknown variant `subscribe`, expected one of `SUBSCRIBE`"),
        ({"method": 5}, 2, "unknown variant `5`"),
        ({"params": []}, 2, "missing field `method` at line 1 column 23"),
    ],
)
def test_errors_have_the_venues_code_and_words(
    request_: dict[str, Any], code: int, text: str
) -> None:
    """Each way to ask wrongly has its answer, with the id of the request."""
    reply = ask(opened(), **request_, id=4)
    assert (reply["code"], reply["id"]) == (code, 4)
    assert text in reply["msg"]


@pytest.mark.parametrize(
    ("message", "position"),
    [
        ("", "line 1 column 1"),
        ("nonsense", "line 1 column 1"),
        ('{"method":\n oops}', "line 2 column 2"),
        (b"\xff\xfe\xfd", "line 1 column 1"),
        ("[" * 100_000, "line 1 column 1"),
    ],
)
def test_what_is_no_json_is_told_where(message: str | bytes, position: str) -> None:
    """Broken JSON is code 3, with the place."""
    assert json.loads(opened().handle(message).text) == {
        "code": 3,
        "msg": f"Invalid JSON: expected value at {position}",
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(
            ["SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"]
        )
        | json_values,
        "params": json_values,
        "id": json_values,
    },
)


@given(st.binary() | st.text() | (requests | json_values).map(json.dumps))
def test_any_message_gets_one_json_answer(message: str | bytes) -> None:
    """Nothing a client sends raises, and every answer is an object or an error."""
    reply = json.loads(opened().handle(message).text)
    assert "result" in reply or {"code", "msg"} <= reply.keys()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("btcusdt@trade", StreamName(symbol="BTCUSDT", kind="trade")),
        ("btcusdt@aggTrade", StreamName(symbol="BTCUSDT", kind="aggTrade")),
        ("btcusdt@bookTicker", StreamName(symbol="BTCUSDT", kind="bookTicker")),
        ("1inchusdt@kline_1M", StreamName(symbol="1INCHUSDT", kind="kline", interval="1M")),
        ("btcusdt@kline_1m", StreamName(symbol="BTCUSDT", kind="kline", interval="1m")),
        ("BTCUSDT@trade", None),
        ("ßusdt@trade", None),
        ("btcusdt@kline_7m", None),
        ("btcusdt@kline", None),
        ("btcusdt@depth", StreamName(symbol="BTCUSDT", kind="depth")),
        ("btcusdt@depth@100ms", StreamName(symbol="BTCUSDT", kind="depth", is_fast=True)),
        (
            "btcusdt@depth5@100ms",
            StreamName(symbol="BTCUSDT", kind="depth", levels=5, is_fast=True),
        ),
        ("btcusdt@depth7", None),
        ("btcusdt", None),
        ("@trade", None),
        ("", None),
        ("!ticker@arr", None),
        ("../x@trade", None),
    ],
)
def test_names_of_streams(name: str, expected: StreamName | None) -> None:
    """Names are case sensitive: symbols lower, kinds as the venue writes them."""
    assert parse_stream(name) == expected


def test_all_sixteen_intervals_are_known() -> None:
    """Every interval of the venue names a stream."""
    assert len(INTERVALS) == 16
    assert all(parse_stream(f"btcusdt@kline_{interval}") for interval in INTERVALS)
