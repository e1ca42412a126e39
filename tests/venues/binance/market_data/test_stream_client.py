"""One connection over real websockets on memory streams, in virtual time."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from levitrio.errors import VenueError
from levitrio.venues.binance.market_data.decoder import FrameDecoder
from levitrio.venues.binance.market_data.messages import InvalidFrame, Received
from levitrio.venues.binance.market_data.stream_client import CHUNK, READERS, StreamClient
from levitrio.venues.binance.websocket.interface import MAX_MESSAGE
from levitrio.venues.binance.websocket.network import OpenStream
from tests.venues.binance.fake_venue import FakeVenue, Session, raises_one, trade_frame

NAMES = ["btcusdt@trade"]


class Client:
    """A connection with what it received."""

    reader = "fast"

    def __init__(self, open_stream: OpenStream) -> None:
        self.received: list[Received] = []
        decoder = FrameDecoder()
        decoder.add("BTCUSDT", "trade")
        self.connection = StreamClient(
            "ws://venue.example:9443",
            decode=decoder.decode_batch,
            receive=lambda decoded, _now: self.received.append(decoded),
            open_stream=open_stream,
            open_websocket=READERS[self.reader],
        )


@pytest.fixture(params=READERS, autouse=True)
def _reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test here holds for each reader."""
    monkeypatch.setattr(Client, "reader", request.param)


Scenario = Callable[[Client, FakeVenue, Session], Awaitable[None]]


async def play(scenario: Scenario) -> None:
    """Connect a client to a fake venue, and play a scenario with both."""
    async with trio.open_nursery() as nursery:
        venue = FakeVenue(nursery)
        client = Client(venue.open_stream)
        await nursery.start(client.connection.run)
        await scenario(client, venue, venue.sessions[0])
        nursery.cancel_scope.cancel()


async def test_subscribes_in_chunks(autojump_clock: MockClock) -> None:
    """Many streams go out in few messages, each acknowledged, and the venue's list has them all."""

    async def scenario(client: Client, venue: FakeVenue, session: Session) -> None:
        names = [f"s{n}usdt@trade" for n in range(2 * CHUNK + 5)]
        assert await client.connection.subscribe(names) == []
        assert sorted(len(request["params"]) for request in session.requests) == [5, CHUNK, CHUNK]
        assert len({request["id"] for request in session.requests}) == 3
        assert session.path == "/stream"
        await client.connection.unsubscribe(names[1:])
        assert (await client.connection.request("LIST_SUBSCRIPTIONS")).result == names[:1]

    await play(scenario)


async def test_a_refused_stream_costs_no_other(autojump_clock: MockClock) -> None:
    """A message refused for one name is halved until that name is alone."""

    async def scenario(client: Client, venue: FakeVenue, session: Session) -> None:
        venue.refused = {"s3usdt@trade"}
        names = [f"s{n}usdt@trade" for n in range(8)]
        assert await client.connection.subscribe(names) == ["s3usdt@trade"]
        assert session.subscribed == set(names) - venue.refused
        with pytest.raises(VenueError, match="expected an acknowledgement, got '2: Invalid"):
            await client.connection.unsubscribe(["s3usdt@trade"])

    await play(scenario)


async def test_data_between_request_and_answer(autojump_clock: MockClock) -> None:
    """Events that come before the acknowledgement are delivered, not lost."""

    async def scenario(client: Client, venue: FakeVenue, session: Session) -> None:
        venue.answers = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.connection.subscribe, NAMES)
            await trio.testing.wait_all_tasks_blocked()
            await session.send(trade_frame("BTCUSDT", 1), '{"result":null,"id":99}')
            await session.send('{"result":null,"id":1}')
        assert [getattr(event, "trade_id", None) for event in client.received] == [1]

    await play(scenario)


async def test_no_answer_is_an_error(autojump_clock: MockClock) -> None:
    """A request that is not answered in time raises, and its late answer is ignored."""

    async def scenario(client: Client, venue: FakeVenue, session: Session) -> None:
        venue.answers = False
        started = trio.current_time()
        with pytest.raises(VenueError, match=r"SUBSCRIBE: expected an answer in 10 s, got none"):
            await client.connection.subscribe(NAMES)
        assert trio.current_time() - started == pytest.approx(10.0)
        await session.send('{"result":null,"id":1}')
        venue.answers = True
        assert await client.connection.subscribe(NAMES) == []

    await play(scenario)


async def test_cancelled_request_leaves_the_connection(autojump_clock: MockClock) -> None:
    """Cancelled while waiting for an answer, the connection works on."""

    async def scenario(client: Client, venue: FakeVenue, session: Session) -> None:
        venue.answers = False
        with trio.move_on_after(1) as scope:
            await client.connection.subscribe(NAMES)
        assert scope.cancelled_caught
        venue.answers = True
        assert (await client.connection.request("LIST_SUBSCRIPTIONS")).result == []

    await play(scenario)


async def test_messages_keep_below_the_venues_rate(autojump_clock: MockClock) -> None:
    """However many ask at once, at most four messages are sent in a second."""

    async def scenario(client: Client, venue: FakeVenue, session: Session) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(client.connection.request, "LIST_SUBSCRIPTIONS")
        times = session.request_times
        assert max(sum(start <= t <= start + 1.0 for t in times) for start in times) <= 4

    await play(scenario)


async def test_a_quiet_peer_that_pongs_lives(autojump_clock: MockClock) -> None:
    """An hour without a frame is no fault as long as pings are answered."""

    async def scenario(client: Client, venue: FakeVenue, session: Session) -> None:
        await trio.sleep(3600)
        await session.send(trade_frame("BTCUSDT", 1))
        await trio.testing.wait_all_tasks_blocked()
        assert len(client.received) == 1

    await play(scenario)


async def test_a_black_hole_is_noticed(autojump_clock: MockClock) -> None:
    """No data, no pong, no reset: within 30 s of the last frame the connection is over."""

    async def scenario(client: Client, venue: FakeVenue, session: Session) -> None:
        await trio.sleep(5)
        await session.send(trade_frame("BTCUSDT", 1))
        await trio.testing.wait_all_tasks_blocked()
        session.line.is_dead = True
        await trio.sleep(30)
        pytest.fail("still connected")

    with raises_one(VenueError, match="expected a pong or any frame, got nothing for 20 s"):
        await play(scenario)


@pytest.mark.parametrize(
    ("code", "words", "match"),
    [
        (1001, "", "the venue closed the connection: 1001 GOING_AWAY"),
        (1008, "too many requests", "1008 POLICY_VIOLATION 'too many requests'"),
        (1012, "\x1b[2J", r"1012 SERVICE_RESTART '\\x1b\[2J'"),
    ],
)
async def test_closed_by_the_venue(
    code: int, words: str, match: str, autojump_clock: MockClock
) -> None:
    """A close frame ends the run with its code and its words, harmless for a terminal."""

    async def scenario(client: Client, venue: FakeVenue, session: Session) -> None:
        await session.close(code, words)
        await trio.sleep_forever()

    with raises_one(VenueError, match=match):
        await play(scenario)


async def test_cut_without_a_close_frame(autojump_clock: MockClock) -> None:
    """A lost connection ends the run too."""

    async def scenario(client: Client, venue: FakeVenue, session: Session) -> None:
        await session.cut()
        await trio.sleep_forever()

    with raises_one(VenueError, match="1006 ABNORMAL_CLOSURE"):
        await play(scenario)


async def test_request_after_the_end(autojump_clock: MockClock) -> None:
    """A request on a connection that is over raises at once."""
    connection = StreamClient("ws://v", decode=FrameDecoder().decode_batch, receive=print)
    with pytest.raises(VenueError, match="expected an open connection"):
        await connection.subscribe(NAMES)


async def test_announced_shutdown_ends_it(autojump_clock: MockClock) -> None:
    """The venue's announcement ends the run at once, before the venue does."""

    async def scenario(client: Client, venue: FakeVenue, session: Session) -> None:
        await session.send('{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}')
        await trio.sleep_forever()

    with raises_one(VenueError, match="announced its shutdown"):
        await play(scenario)


async def test_oversized_message(autojump_clock: MockClock) -> None:
    """Over 1 MiB a frame is refused; over the library's bound the connection ends."""

    async def scenario(client: Client, venue: FakeVenue, session: Session) -> None:
        await session.send(" " * (2 << 20), b"\x00")
        await trio.testing.wait_all_tasks_blocked()
        reasons = [event.reason for event in client.received if isinstance(event, InvalidFrame)]
        assert reasons == ["oversized", "binary"]
        await session.send("x" * (MAX_MESSAGE + 1))
        await trio.sleep_forever()

    with raises_one(VenueError, match="1009"):
        await play(scenario)


async def test_cancelled_the_socket_is_closed(autojump_clock: MockClock) -> None:
    """Cancelled, the venue sees the end at once, though the peer answers nothing."""
    async with trio.open_nursery() as nursery:
        venue = FakeVenue(nursery)
        client = Client(venue.open_stream)
        async with trio.open_nursery() as inner:
            await inner.start(client.connection.run)
            inner.cancel_scope.cancel()
        await venue.sessions[0].is_over.wait()
        assert trio.current_time() - venue.attempts[0] < 1.0


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        (
            {"out_of_reach": ConnectionRefusedError("connection refused")},
            "ConnectionRefusedError: connection refused",
        ),
        ({"http_status": 429}, "expected HTTP 101, got 429"),
        ({"accepts": False}, "expected a connection in 10 s, got none"),
    ],
)
async def test_failed_connects(
    fault: dict[str, object], match: str, autojump_clock: MockClock
) -> None:
    """Not reachable, refused by HTTP, or silent in the handshake: each says what happened."""
    async with trio.open_nursery() as nursery:
        venue = FakeVenue(nursery)
        for name, value in fault.items():
            setattr(venue, name, value)
        with pytest.raises(VenueError, match=match):
            await Client(venue.open_stream).connection.run()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("url", ["http://venue.example", "venue.example", "ws://", "", "wss:///x"])
def test_addresses_that_cannot_be(url: str) -> None:
    """A URL that is no websocket address is refused when the connection is made."""
    with pytest.raises(ValueError, match="expected ws://HOST"):
        StreamClient(url, decode=FrameDecoder().decode_batch, receive=print)


def raw_frame(first: int, second: int, payload: bytes) -> bytes:
    """A frame with any opcode, reserved bits, mask bit and claimed length."""
    return bytes([first, second]) + payload


PIECES = st.one_of(
    st.binary(max_size=40),
    st.builds(raw_frame, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=40)),
    st.binary(max_size=20).map(lambda payload: raw_frame(0x88, len(payload), payload)),
    st.binary(max_size=20).map(lambda payload: raw_frame(0x81, len(payload), payload)),
    st.binary(max_size=20).map(lambda payload: raw_frame(0x89, len(payload), payload)),
    st.integers(0, 999).map(lambda status: b"HTTP/1.1 %03d \r\n\r\n" % status),
)

HANDSHAKE = b"HTTP/1.1 101 \r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"


@given(st.lists(PIECES, max_size=5), st.booleans())
def test_no_bytes_of_a_peer_raise_anything_else(pieces: list[bytes], upgraded: bool) -> None:
    """Whatever a peer sends, in the handshake or as frames, the end is a VenueError."""

    async def main() -> None:
        near, far = trio.testing.memory_stream_pair()

        async def open_stream(host: str, port: int, tls: bool) -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            return near

        async def talk() -> None:
            request = bytes(await far.receive_some())
            with suppress(trio.BrokenResourceError):  # the client may have left before the end
                if upgraded:
                    await far.send_all(accept(request))
                for piece in pieces:
                    await far.send_all(piece)
                await far.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk)
            with pytest.raises(VenueError):
                await Client(open_stream).connection.run()
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))


def accept(request: bytes) -> bytes:
    """The server's side of a handshake, by hand."""
    from base64 import b64encode
    from hashlib import sha1

    lines = dict(line.split(b": ", 1) for line in request.split(b"\r\n") if b": " in line)
    key = lines[b"Sec-WebSocket-Key"] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return HANDSHAKE + b"Sec-WebSocket-Accept: " + b64encode(sha1(key).digest()) + b"\r\n\r\n"
