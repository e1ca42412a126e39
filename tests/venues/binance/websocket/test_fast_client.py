"""What each reader makes of a peer's frames: one table, held by both."""

from collections.abc import Iterator, Sequence
from typing import Literal, get_args, get_type_hints

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levitrio.config.sections import FeedSection
from levitrio.venues.binance.market_data.stream_client import READERS
from tests.venues.binance.raw_peer import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Message,
    closing,
    converse_now,
    frame,
    split,
    text,
)

GOOD = text("before")
"""What came before a fault is delivered, whatever the fault."""

SMALL = 1000
"""Bytes; a bound for messages that is quick to pass."""


@attrs.frozen(kw_only=True)
class Case:
    """Frames, the messages they carry, and how the connection ends."""

    frames: Sequence[bytes]
    messages: Sequence[Message] = ()
    end: str = "1006 ABNORMAL_CLOSURE"
    """The peer ends the stream after its frames."""
    pongs: Sequence[bytes] = ()


SOUND = {
    "one": Case(frames=[text("one")], messages=["one"]),
    "two in one read": Case(frames=[text("one"), text("two")], messages=["one", "two"]),
    "empty": Case(frames=[text(""), text("")], messages=["", ""]),
    "not ASCII": Case(frames=[text("prix: 1 €"), text("🚀")], messages=["prix: 1 €", "🚀"]),
    "binary": Case(frames=[frame(BINARY, b"\xff\x00"), GOOD], messages=[b"\xff\x00", "before"]),
    "125 and 126 bytes": Case(
        frames=[text("a" * 125), text("b" * 126)], messages=["a" * 125, "b" * 126]
    ),
    "fragments": Case(
        frames=[
            frame(TEXT, b"one ", fin=False),
            frame(CONTINUATION, b"two ", fin=False),
            frame(CONTINUATION, b"three"),
            GOOD,
        ],
        messages=["one two three", "before"],
    ),
    "binary fragments": Case(
        frames=[frame(BINARY, b"\xff", fin=False), frame(CONTINUATION, b"\x00"), GOOD],
        messages=[b"\xff\x00", "before"],
    ),
    "a character over two fragments": Case(
        frames=[frame(TEXT, b"\xe2\x82", fin=False), frame(CONTINUATION, b"\xac")], messages=["€"]
    ),
    "empty fragments": Case(
        frames=[frame(TEXT, fin=False), frame(CONTINUATION, fin=False), frame(CONTINUATION)],
        messages=[""],
    ),
    "control frames between fragments": Case(
        frames=[
            frame(TEXT, b"one ", fin=False),
            frame(PING, b"between"),
            frame(PONG, b"unasked"),
            frame(CONTINUATION, b"two"),
        ],
        messages=["one two"],
        pongs=[b"between"],
    ),
    "ping": Case(frames=[frame(PING, b"1723161255342")], pongs=[b"1723161255342"]),
    "empty ping": Case(frames=[frame(PING), GOOD], messages=["before"], pongs=[b""]),
    "ping with 125 bytes": Case(frames=[frame(PING, b"p" * 125)], pongs=[b"p" * 125]),
    "nothing after a close": Case(
        frames=[GOOD, closing(1000), text("after")], messages=["before"], end="1000 NORMAL_CLOSURE"
    ),
}

FAULTS = {
    "UTF-8: garbage": (frame(TEXT, b"\xff"), 1007),
    "UTF-8: overlong": (frame(TEXT, b"\xc0\xaf"), 1007),
    "UTF-8: surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "UTF-8: cut": (frame(TEXT, b"\xe2\x82"), 1007),
    "UTF-8: in a fragment": (frame(TEXT, b"\xff", fin=False), 1007),
    "UTF-8: cut by the last fragment": (
        frame(TEXT, b"\xe2", fin=False) + frame(CONTINUATION, b"\x82"),
        1007,
    ),
    "UTF-8: in a reason": (closing(1000, b"\xff"), 1007),
    "oversized": (text("x" * (SMALL + 1)), 1009),
    "oversized binary": (frame(BINARY, b"x" * (SMALL + 1)), 1009),
    "oversized in fragments": (
        frame(TEXT, b"x" * 600, fin=False) + frame(CONTINUATION, b"x" * 401),
        1009,
    ),
    "masked": (frame(TEXT, b"1234data", masked=True, claims=4), 1002),
    "masked ping": (frame(PING, b"1234data", masked=True, claims=4), 1002),
    "masked and long": (frame(TEXT, b"1234" + b"x" * 200, masked=True, claims=200), 1002),
    "RSV1": (frame(TEXT, b"x", reserved=4), 1002),
    "RSV2": (frame(TEXT, b"x", reserved=2), 1002),
    "RSV3": (frame(TEXT, b"x", reserved=1), 1002),
    "RSV1 of a ping": (frame(PING, b"x", reserved=4), 1002),
    "a ping in fragments": (frame(PING, b"x", fin=False), 1002),
    "a ping with 126 bytes": (frame(PING, b"x" * 126), 1002),
    "a pong with 200 bytes": (frame(PONG, b"x" * 200), 1002),
    "a pong in fragments": (frame(PONG, b"x", fin=False), 1002),
    "a close with 126 bytes": (closing(1000, b"x" * 124), 1002),
    "a continuation of nothing": (frame(CONTINUATION, b"x"), 1002),
    "text within a message": (frame(TEXT, b"x", fin=False) + text("y"), 1002),
    "two bytes for a short length": (frame(TEXT, b"x", length_bytes=2), 1002),
    "eight bytes for a short length": (frame(TEXT, b"x" * 200, length_bytes=8), 1002),
    "a length of 2**63": (frame(TEXT, claims=1 << 63), 1002),
    "a close with one byte": (frame(CLOSE, b"\x03"), 1002),
    **{
        f"opcode {opcode:#x}": (frame(opcode, b"x"), 1002)
        for opcode in (*range(3, 8), *range(11, 16))
    },
    **{
        f"close with {code}": (closing(code), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1014, 1015, 1016, 2999, 5000, 65535)
    },
}

GOOD_CODES = (*range(1000, 1004), *range(1007, 1014), 3000, 3999, 4000, 4999)


def each(case_frames: Sequence[bytes]) -> Iterator[list[bytes]]:
    """The frames together in one read, and every byte in a read of its own."""
    data = b"".join(case_frames)
    yield [data]
    yield split(data, range(len(data)))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", SOUND)
def test_sound_frames(name: str, reader: str) -> None:
    """Every message comes whole and in order, and every ping is answered with its payload."""
    case = SOUND[name]
    for pieces in each(case.frames):
        outcome = converse_now(reader, pieces)
        assert outcome.messages == list(case.messages)
        assert outcome.pongs == list(case.pongs)
        assert case.end in outcome.end


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", FAULTS)
def test_broken_rules(name: str, reader: str) -> None:
    """A broken rule ends it with its code; what came before it is delivered."""
    broken, code = FAULTS[name]
    for pieces in each([GOOD, broken, text("after")]):
        outcome = converse_now(reader, pieces, max_message=SMALL)
        assert f" {code} " in outcome.end
        if code != 1009 or reader == "fast":  # the reference may drop what it has queued then
            assert outcome.messages == ["before"]
        if reader == "fast":  # the reference leaves the peer to guess
            assert outcome.close_codes == [code]
            assert outcome.end.startswith("the connection was closed on the venue: ")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("code", GOOD_CODES)
def test_closed_with_a_code(code: int, reader: str) -> None:
    """A closing frame is answered with its code, and ends the connection with code and reason."""
    for pieces in each([GOOD, closing(code, "tschüss".encode())]):
        outcome = converse_now(reader, pieces)
        assert outcome.messages == ["before"]
        assert f"the venue closed the connection: {code} " in outcome.end
        assert outcome.end.endswith("'tschüss'")
        assert outcome.close_codes == [code]


@pytest.mark.parametrize("reader", READERS)
def test_closed_without_a_code(reader: str) -> None:
    """An empty closing frame is 1005 for us, and is answered by an empty one."""
    for pieces in each([GOOD, frame(CLOSE)]):
        outcome = converse_now(reader, pieces)
        assert "1005 NO_STATUS_RCVD" in outcome.end
        assert outcome.messages == ["before"]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("length", [65_535, 65_536, 70_000])
@pytest.mark.parametrize("size", [1000, 65_536, 1 << 20])
def test_long_messages(length: int, size: int, reader: str) -> None:
    """A message may be longer than any read, with two or eight bytes for its length."""
    long = "0123456789abcdef"[: length % 16] + "0123456789abcdef" * (length // 16)
    data = GOOD + text(long) + GOOD
    pieces = split(data, range(0, len(data), size))
    assert converse_now(reader, pieces).messages == ["before", long, "before"]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("cut", [GOOD[:1], GOOD[:4], frame(PING, b"x")[:2], b"\x81\x7e\x01"])
def test_the_stream_ends_within_a_frame(cut: bytes, reader: str) -> None:
    """Half a frame is no message, and its connection was not closed properly."""
    outcome = converse_now(reader, [GOOD + cut])
    assert outcome.messages == ["before"]
    assert "1006 ABNORMAL_CLOSURE" in outcome.end


@pytest.mark.parametrize("reader", READERS)
def test_ping_flood(reader: str) -> None:
    """Thousands of pings in a read delay no message, and the newest of them is answered."""
    flood = b"".join(frame(PING, b"%d" % n) for n in range(5000))
    outcome = converse_now(reader, [GOOD + flood + text("after")])
    assert outcome.messages == ["before", "after"]
    assert outcome.pongs[-1] == b"4999"


@pytest.mark.parametrize("reader", READERS)
def test_a_flood_of_odd_frames(reader: str) -> None:
    """Thousands of fragments in a read are scanned in several goes, and none is lost."""
    flood = [frame(TEXT, b"<", fin=False)]
    flood += [frame(CONTINUATION, b"%d," % n, fin=False) for n in range(3500)]
    outcome = converse_now(reader, [b"".join([*flood, frame(CONTINUATION, b">"), GOOD])])
    expected = "<" + "".join(f"{n}," for n in range(3500)) + ">"
    assert outcome.messages == [expected, "before"]


def test_a_claim_alone_is_too_big() -> None:
    """The fast reader does not wait for the bytes of a message it will not take."""
    for claim in (SMALL + 1, 1 << 62):
        outcome = converse_now("fast", [GOOD + frame(TEXT, claims=claim)], max_message=SMALL)
        assert f"1009 MESSAGE_TOO_BIG, expected at most {SMALL} bytes, got {claim}" in outcome.end


def test_readers_are_those_of_the_setting() -> None:
    """Every value of `feed.reader` has a reader, and the other way round."""
    hint = get_type_hints(FeedSection)["reader"]
    assert hint == Literal[*get_args(hint)]
    assert set(get_args(hint)) == READERS.keys()


PAYLOADS = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=20).map(str.encode),
    st.sampled_from([b"x" * 125, b"x" * 126, b"y" * 300]),
)

FRAMES = st.one_of(
    PAYLOADS.map(lambda payload: frame(TEXT, payload)),
    st.text(max_size=20).map(text),
    st.builds(frame, st.sampled_from([TEXT, BINARY, CONTINUATION]), PAYLOADS, fin=st.booleans()),
    st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=125)),
    st.builds(closing, st.integers(0, 5001), st.binary(max_size=10)),
    st.builds(
        frame, st.integers(0, 15), PAYLOADS, reserved=st.integers(0, 7), masked=st.booleans()
    ),
)


@settings(deadline=None)
@given(st.lists(FRAMES, max_size=8).map(b"".join), st.sets(st.integers(0, 2000), max_size=12))
def test_any_split_gives_the_same_as_the_reference(data: bytes, cuts: set[int]) -> None:
    """However frames are spread over reads, both readers see the same messages and the same end."""
    outcomes = [converse_now(reader, split(data, cuts)) for reader in READERS]
    ours, reference = outcomes
    assert ours.messages == reference.messages
    assert code_of(ours.end) == code_of(reference.end)


def code_of(end: str) -> str:
    """The code in the words of an end."""
    return next(word for word in end.split() if word.isdecimal())
