"""Lines in, calls and faults out: the bad-input catalogue, section A, and generated lines."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.control import error_codes
from levitrio.control.protocol import (
    MAX_FRAME,
    Frame,
    RpcCall,
    RpcConnection,
    RpcFault,
    parse,
    printable,
)


def call(method: Any = "ping", **members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method} | members).encode()


def only(line: bytes) -> RpcCall | RpcFault:
    (item,) = parse(line).items
    return item


def code_of(line: bytes) -> int:
    item = only(line)
    assert isinstance(item, RpcFault)
    return item.code


def test_a_plain_call_is_read() -> None:
    """Id, method and params come out as they went in."""
    item = only(call("stop", params={"symbols": ["SOLUSDT"]}))
    assert item == RpcCall(id=1, method="stop", params={"symbols": ["SOLUSDT"]}, wants_answer=True)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[" * 60_000,
        b'{"a":' * 33 + b"1" + b"}" * 33,
        call(params={"x": 1}).replace(b"1}", b"1" * 4301 + b"}"),
        *(call(params={"x": 0}).replace(b'"x": 0', b'"x": ' + bad) for bad in (b"1e999", b"NaN")),
        call(params={"x": 0}).replace(b'"x": 0', b'"x": -Infinity'),
        call("p\xffng".encode("latin-1").decode("latin-1")).replace(b"\\u00ff", b"\xff"),
        call().replace(b"ping", b"\xc0\xafing"),
        b"\xef\xbb\xbf" + call(),
        call().decode().encode("utf-16"),
        call().replace(b"ping", b"pi\x01ng"),
        b"GET / HTTP/1.1\r",
        b"\x16\x03\x01\x02\x00",
        b"'",
        b"stop SOLUSDT",
    ],
)
def test_what_is_not_json_is_a_parse_error(line: bytes) -> None:
    """Truncated, too deep, too large a number, not UTF-8, another protocol: -32700."""
    assert code_of(line) == error_codes.PARSE_ERROR


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[]",
        b"1",
        b'"x"',
        b"null",
        b"true",
        json.dumps([{}] * 33).encode(),
        call(jsonrpc="1.0"),
        call(jsonrpc=2.0),
        call().replace(b'"jsonrpc": "2.0", ', b""),
        call(id={}),
        call(id=[]),
        call(id=True),
        call(id=1.5),
        call(id=None),
        call(id=2**63),
        call(id="x" * 65),
        call().replace(b'"id": 1', b'"id": ' + b"1" * 4300),
        call(1),
        call(None),
        call("\ud800"),
        call(params={"symbols": ["\udfff"]}),
        call(parms={}),
        call().replace(b'"id": 1', b'"id": 1, "method": "stop"'),
    ],
)
def test_what_is_not_a_request_is_invalid(line: bytes) -> None:
    """JSON that is no JSON-RPC 2.0 request: -32600."""
    assert code_of(line) == error_codes.INVALID_REQUEST


@pytest.mark.parametrize("params", [[], ["SOLUSDT"], None, 1, "x", True])
def test_params_go_by_name(params: object) -> None:
    """An array, null or a bare value as params: -32602."""
    assert code_of(call(params=params)) == error_codes.INVALID_PARAMS


def test_a_key_said_twice_in_params_is_refused() -> None:
    """Which of the two would be obeyed is nothing to guess at, however deep it is."""
    line = call(params={"a": [{"b": 1}]}).replace(b'{"b": 1}', b'{"b": 1, "b": 2}')
    assert code_of(line) == error_codes.INVALID_PARAMS


@pytest.mark.parametrize(
    "method",
    ["", "__class__", "Stop", "engine.__init__!", "x" * 65, "st\u043ep", "stop\x00", "..", "-rf"],
)
def test_a_name_that_cannot_be_a_method_is_unknown(method: str) -> None:
    """The answer has the same shape as for any other unknown method."""
    assert only(call(method)) == RpcFault(
        id=1, code=error_codes.UNKNOWN_METHOD, message="no such method"
    )


@pytest.mark.parametrize("request_id", [0, -1, 2**63 - 1, "", "x" * 64, "\u00e9"])
def test_an_id_that_is_fine_comes_back(request_id: int | str) -> None:
    """Integers of 64 bits and text of 64 characters."""
    assert only(call(id=request_id)).id == request_id


def test_a_call_without_an_id_wants_no_answer() -> None:
    """A notification is a call like any other, only silent."""
    item = only(b'{"jsonrpc":"2.0","method":"stop"}')
    assert isinstance(item, RpcCall)
    assert not item.wants_answer


def test_a_fault_keeps_the_id_it_could_read() -> None:
    """So the caller knows which of its calls was refused."""
    assert only(call(params=[], id="abc")).id == "abc"


def test_nesting_of_32_is_read() -> None:
    """The limit itself is fine, and brackets inside text are no nesting."""
    deep = call(params={"x": 0}).replace(b'"x": 0', b'"x": ' + b"[" * 30 + b"]" * 30)
    assert isinstance(only(deep), RpcCall)
    assert isinstance(only(call(params={"x": '[{"' * 1000})), RpcCall)
    deeper = deep.replace(b"[[", b"[[[", 1).replace(b"]]", b"]]]", 1)
    assert code_of(deeper) == error_codes.PARSE_ERROR


def test_a_batch_keeps_order_and_faults() -> None:
    """Each item stands for itself."""
    frame = parse(b"[%s,7,%s]" % (call(id=1), call("stop", id=2)))
    assert frame.is_batch
    first, second, third = frame.items
    assert (first.id, third.id) == (1, 2)
    assert isinstance(second, RpcFault)


@pytest.mark.parametrize("blank", [b"\n", b"  \r\n", b"\t\n\n\r\n"])
def test_blank_lines_are_nothing(blank: bytes) -> None:
    """The connection goes on with the next line."""
    connection = RpcConnection()
    connection.receive_data(blank + call() + b"\n")
    frame = connection.next_frame()
    assert frame is not None
    assert isinstance(frame.items[0], RpcCall)
    assert connection.next_frame() is None


def test_single_bytes_and_two_lines_at_once_are_the_same() -> None:
    """Where the transport cuts the bytes does not matter."""
    data = call(id=1) + b"\r\n" + call(id=2) + b"\n"
    together, apart = RpcConnection(), RpcConnection()
    together.receive_data(data)
    at_once = [together.next_frame(), together.next_frame(), together.next_frame()]
    in_pieces: list[Frame | None] = []
    for byte in data:
        apart.receive_data(bytes([byte]))
        in_pieces += [frame] if (frame := apart.next_frame()) else []
    assert [*in_pieces, None] == at_once
    assert not apart.has_partial_frame


def test_a_line_of_64_kib_is_read_and_one_byte_more_is_not() -> None:
    """Rule 1: too large is said once, and ends the connection."""
    fits = call() + b" " * (MAX_FRAME - len(call()))
    connection = RpcConnection()
    connection.receive_data(fits + b"\n")
    frame = connection.next_frame()
    assert frame is not None
    assert isinstance(frame.items[0], RpcCall)
    connection.receive_data(fits + b" ")
    frame = connection.next_frame()
    assert frame is not None
    assert frame.closes
    assert frame.items[0] == RpcFault(
        id=None, code=error_codes.TOO_LARGE, message="expected a line of at most 65536 bytes"
    )
    connection.receive_data(b"\n" + call() + b"\n")
    assert connection.next_frame() is None


def test_a_finished_line_that_is_too_long_is_too_large() -> None:
    """Also when it arrived whole, newline and all."""
    connection = RpcConnection()
    connection.receive_data(b" " * (MAX_FRAME + 1) + b"\n")
    frame = connection.next_frame()
    assert frame is not None
    assert frame.closes


@pytest.mark.parametrize(("line", "closes"), [(b"GET / HTTP/1.1", True), (b"{,}", False)])
def test_another_protocol_is_closed_a_typo_is_not(line: bytes, *, closes: bool) -> None:
    """A person at a terminal may try again."""
    assert parse(line).closes is closes


def test_text_that_is_echoed_can_do_nothing() -> None:
    """No escape, no direction, no length that the caller chose."""
    assert printable("\x1b[2J\u202e\x00\ud800") == "\\x1b[2J\\u202e\\x00\\ud800"
    assert len(printable("x" * 10_000)) == 200


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
_requests = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | _json,
        "id": st.integers() | st.text(max_size=70) | _json,
        "method": st.sampled_from(["ping", "stop", "status", "rpc.discover"]) | _json,
        "params": st.dictionaries(st.text(max_size=8), _json, max_size=3) | _json,
        "more": _json,
    },
)
_lines = (_requests | st.lists(_requests, max_size=40) | _json).map(
    lambda value: json.dumps(value).encode()
)


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    """A line of the grammar with some bytes replaced, removed or doubled."""
    line = bytearray(draw(_lines))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(line) - 1)))
        line[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(line).replace(b"\n", b" ")


@given(_mutated() | st.binary(max_size=200))
def test_every_line_becomes_calls_and_faults(line: bytes) -> None:
    """Whatever came: no exception, at least one item, every fault coded and printable."""
    frame = parse(line)
    assert frame.items
    for item in frame.items:
        if isinstance(item, RpcFault):
            assert item.code in error_codes.MEANING
            assert item.message.isprintable()
        json.dumps(item.id)


@given(st.lists(_mutated(), max_size=5), st.data())
def test_cuts_do_not_matter(lines: list[bytes], data: st.DataObject) -> None:
    """Any cutting of the same bytes gives the same frames."""
    whole = b"".join(line + b"\n" for line in lines)
    expected, connection = RpcConnection(), RpcConnection()
    expected.receive_data(whole)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    found: list[Frame] = []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        connection.receive_data(whole[start:end])
        while (frame := connection.next_frame()) is not None:
            found.append(frame)
    for frame in found:
        assert frame == expected.next_frame()
    assert expected.next_frame() is None
