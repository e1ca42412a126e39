"""The scanner alone, beside the library that goes through every frame."""

import pytest
import wsproto
import wsproto.connection
from hypothesis import given
from hypothesis import strategies as st
from wsproto.events import BytesMessage, CloseConnection, TextMessage

from levitrio.venues.binance.websocket.frame_parser import ODD_AT_ONCE, End, FrameParser
from tests.venues.binance.raw_peer import (
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Message,
    closing,
    frame,
    split,
    text,
)


def by_library(data: bytes) -> list[Message]:
    """The messages wsproto finds before the first thing that ends a connection."""
    client = wsproto.connection.Connection(wsproto.ConnectionType.CLIENT)
    client.receive_data(data)
    messages: list[Message] = []
    parts: list[Message] = []
    for event in client.events():
        if isinstance(event, TextMessage | BytesMessage):
            parts.append(event.data if isinstance(event, TextMessage) else bytes(event.data))
            if event.message_finished:
                messages.append(parts[0][:0].join(parts))  # type: ignore[arg-type]
                parts = []
        elif isinstance(event, CloseConnection):
            break
    return messages


def by_scanner(pieces: list[bytes]) -> list[Message]:
    """The messages our scanner finds in the same."""
    scanner = FrameParser()
    messages: list[Message] = []
    for piece in pieces:
        messages += scanner.scan(piece)
        while scanner.is_behind:
            messages += scanner.scan(b"")
    return messages


BYTES = st.one_of(
    st.binary(max_size=30),
    st.text(max_size=20).map(text),
    st.builds(frame, st.integers(0, 15), st.binary(max_size=130), fin=st.booleans()),
    st.builds(frame, st.sampled_from([PING, PONG, TEXT]), st.binary(max_size=130)),
    st.binary(max_size=10).map(lambda payload: b"\x81\x7e" + payload),
    st.binary(max_size=10).map(lambda payload: b"\x81\x7f" + payload),
)


@given(st.lists(BYTES, max_size=8).map(b"".join), st.sets(st.integers(0, 300), max_size=12))
def test_any_bytes_give_the_librarys_messages(data: bytes, cuts: set[int]) -> None:
    """Whatever the bytes are, and however they are split, no message is invented or missed."""
    assert by_scanner(split(data, cuts)) == by_library(data)


def test_one_read_gives_all_its_messages() -> None:
    """Complete frames are handed over together, and what is incomplete waits for the next read."""
    scanner = FrameParser()
    data = b"".join(text(f"{n}") for n in range(10))
    assert scanner.scan(data[:-1]) == [f"{n}" for n in range(9)]
    assert scanner.scan(data[-1:]) == ["9"]


def test_only_the_newest_ping_waits() -> None:
    """Pings that came together leave one to answer; pongs are all there."""
    scanner = FrameParser()
    scanner.scan(frame(PING, b"1") + frame(PONG, b"2") + frame(PING, b"3") + frame(PONG, b"4"))
    assert scanner.ping == b"3"
    assert scanner.pongs == [b"2", b"4"]


def test_odd_frames_are_taken_in_bounded_goes() -> None:
    """A read full of odd frames is worked off in several calls, between which others may run."""
    scanner = FrameParser()
    data = frame(PING, b"x") * (ODD_AT_ONCE * 2 + 1) + text("after")
    assert scanner.scan(data) == []
    assert scanner.is_behind
    assert scanner.scan(b"") == []
    assert scanner.is_behind
    assert scanner.scan(b"") == ["after"]
    assert not scanner.is_behind


def test_messages_are_measured_one_by_one() -> None:
    """The bound is for one message with all its fragments, not for several in a row."""
    scanner = FrameParser(max_message=125)
    message = frame(TEXT, b"x" * 100, fin=False) + frame(CONTINUATION, b"x" * 25)
    assert scanner.scan(message * 3 + text("y" * 125)) == ["x" * 125] * 3 + ["y" * 125]
    assert scanner.end is None
    scanner.scan(text("y" * 126))
    assert scanner.end == End(
        code=1009, reason="expected at most 125 bytes, got 126", by_peer=False
    )


@pytest.mark.parametrize(
    ("code", "name"), [(1000, "NORMAL_CLOSURE"), (3001, "REGISTERED"), (4001, "PRIVATE")]
)
def test_the_peers_end(code: int, name: str) -> None:
    """A closing frame is the end, with its code, its words and who said them."""
    scanner = FrameParser()
    assert scanner.scan(text("before") + closing(code, b"bye") + text("after")) == ["before"]
    assert scanner.end == End(code=code, reason="bye", by_peer=True)
    assert scanner.end.name == name
    assert scanner.scan(text("more")) == []


def test_a_bound_below_a_control_frame_is_refused() -> None:
    """Control frames of any legal length must fit."""
    with pytest.raises(ValueError, match="expected at least 125, got 124"):
        FrameParser(max_message=124)
