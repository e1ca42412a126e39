"""The fast reader while things happen at once: cancellation, slow peers, slow receivers."""

from collections.abc import Awaitable, Callable

import attrs
import pytest
import trio
import trio.testing
import wsproto
import wsproto.connection
from trio.testing import MockClock
from wsproto.events import Event, Ping, Pong, TextMessage

from levitrio.errors import VenueError
from levitrio.venues.binance.websocket.fast_client import BACKLOG_BYTES, FastWebsocket, open_fast
from levitrio.venues.binance.websocket.interface import RECEIVE_BYTES
from tests.venues.binance.fake_venue import Line
from tests.venues.binance.raw_peer import PING, PONG, Message, accept, closing, frame, text


@attrs.define(eq=False)
class Peer:
    """The other side, after the handshake."""

    stream: trio.abc.Stream
    _protocol: wsproto.connection.Connection = attrs.field(
        factory=lambda: wsproto.connection.Connection(wsproto.ConnectionType.SERVER)
    )

    async def hear(self) -> list[Event]:
        """What the client sent."""
        self._protocol.receive_data(bytes(await self.stream.receive_some()))
        return list(self._protocol.events())


Scenario = Callable[[FastWebsocket, Peer], Awaitable[None]]
Pair = tuple[trio.abc.Stream, trio.abc.Stream]


async def play(
    scenario: Scenario, streams: Callable[[], Pair] = trio.testing.memory_stream_pair
) -> None:
    """Connect the fast reader to a peer, and play a scenario with both."""
    near, far = streams()
    async with trio.open_nursery() as nursery:

        async def answer() -> None:
            await far.send_all(accept(bytes(await far.receive_some())))

        nursery.start_soon(answer)
        websocket = await open_fast(nursery, near, "venue.example", "/stream")
        await trio.testing.wait_all_tasks_blocked()
        await scenario(websocket, Peer(far))
        nursery.cancel_scope.cancel()


async def test_cancelled_receiving_loses_nothing(autojump_clock: MockClock) -> None:
    """Cancelled while it waits, with half a frame in hand, the rest still makes a message."""

    async def scenario(websocket: FastWebsocket, peer: Peer) -> None:
        data = text("one")
        await peer.stream.send_all(data[:3])
        with trio.move_on_after(1) as scope:
            await websocket.receive_batch()
        assert scope.cancelled_caught
        await peer.stream.send_all(data[3:] + text("two"))
        assert await websocket.receive_batch() == ["one", "two"]

    await play(scenario)


async def test_a_cut_frame_is_followed_by_no_other(autojump_clock: MockClock) -> None:
    """Cancelled midway in a frame, nothing is sent any more: it would be read as its rest."""

    async def scenario(websocket: FastWebsocket, peer: Peer) -> None:
        with trio.move_on_after(1) as scope:
            await websocket.send_text("never read")
        assert scope.cancelled_caught
        for send in (websocket.send_text("next"), websocket.ping()):
            with pytest.raises(VenueError, match="the one before was cut short"):
                await send

    await play(scenario, trio.testing.lockstep_stream_pair)


async def test_cancelled_before_a_frame_costs_nothing(autojump_clock: MockClock) -> None:
    """Cancelled before the first byte, or while another sends, the connection is as it was."""

    async def scenario(websocket: FastWebsocket, peer: Peer) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await websocket.send_text("never sent")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(websocket.send_text, "first")
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(1):
                await websocket.send_text("waits behind it")
            assert [event.data for event in await heard_texts(peer)] == ["first"]
        nursery.cancel_scope.cancel()

    await play(scenario, trio.testing.lockstep_stream_pair)


async def heard_texts(peer: Peer) -> list[TextMessage]:
    """The next messages of the client."""
    return [event for event in await peer.hear() if isinstance(event, TextMessage)]


async def test_our_pings(autojump_clock: MockClock) -> None:
    """A ping waits for its own pong, and a cancelled one leaves nothing behind."""

    async def scenario(websocket: FastWebsocket, peer: Peer) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive_all, websocket, [])
            with trio.move_on_after(1) as scope:
                await websocket.ping()
            assert scope.cancelled_caught
            nursery.start_soon(answer_second_ping, peer)
            await websocket.ping()
            nursery.cancel_scope.cancel()

    async def answer_second_ping(peer: Peer) -> None:
        first, second = [event for event in await peer.hear() if isinstance(event, Ping)]
        await peer.stream.send_all(frame(PONG, bytes(first.payload)) + frame(PONG, b"unasked"))
        await trio.sleep(1)
        await peer.stream.send_all(frame(PONG, bytes(second.payload)))

    await play(scenario)


async def receive_all(websocket: FastWebsocket, into: list[Message]) -> None:
    """Receive for ever."""
    while True:
        into += await websocket.receive_batch()


async def test_a_pong_overtakes_the_backlog(autojump_clock: MockClock) -> None:
    """With megabytes still unread, a ping is answered within a few reads."""

    received: list[Message] = []
    received_before: list[int] = []
    message = text("x" * 200)

    class Noting(Line):
        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            received_before.append(len(received))
            await super().send_all(data)

    def streams() -> Pair:
        near, far = trio.testing.memory_stream_pair()
        return Noting(near), far

    async def scenario(websocket: FastWebsocket, peer: Peer) -> None:
        await peer.stream.send_all(frame(PING, b"now") + message * 20_000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive_all, websocket, received)
            events = await peer.hear()
            assert [event.payload for event in events if isinstance(event, Pong)] == [b"now"]
            nursery.cancel_scope.cancel()
        handshake, pong = received_before
        assert handshake == 0
        assert pong <= (RECEIVE_BYTES + 2 * BACKLOG_BYTES) // len(message)

    await play(scenario, streams)


async def test_a_peer_that_never_reads_is_still_heard(autojump_clock: MockClock) -> None:
    """A pong that cannot be sent keeps no message from being received."""

    async def scenario(websocket: FastWebsocket, peer: Peer) -> None:
        received: list[Message] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive_all, websocket, received)
            for n in range(50):
                await peer.stream.send_all(frame(PING, b"?") + text(f"{n}"))
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert received == [f"{n}" for n in range(50)]

    await play(scenario, trio.testing.lockstep_stream_pair)


async def test_closing_waits_for_no_peer(autojump_clock: MockClock) -> None:
    """A peer that does not read our closing frame costs a second, and the reason is told."""

    async def scenario(websocket: FastWebsocket, peer: Peer) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.stream.send_all, text("before") + closing(1012))
            assert await websocket.receive_batch() == ["before"]
        started = trio.current_time()
        for _ in range(2):
            with pytest.raises(VenueError, match="1012 SERVICE_RESTART"):
                await websocket.receive_batch()
        assert trio.current_time() - started == pytest.approx(1.0)
        with pytest.raises(VenueError, match="cut short"):
            await websocket.send_text("too late")

    await play(scenario, trio.testing.lockstep_stream_pair)


async def test_sending_after_the_end(autojump_clock: MockClock) -> None:
    """Once the peer has closed, or has gone, sending raises and pings are let be."""

    async def scenario(websocket: FastWebsocket, peer: Peer) -> None:
        await peer.stream.send_all(frame(PING, b"?") + closing(1001))
        assert await websocket.receive_batch() == []
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(VenueError, match="expected an open connection, it is closing"):
            await websocket.send_text("too late")
        with pytest.raises(VenueError, match="1001 GOING_AWAY"):
            await websocket.receive_batch()

    await play(scenario)

    async def gone(websocket: FastWebsocket, peer: Peer) -> None:
        await peer.stream.aclose()
        for attempt in (websocket.send_text("too late"), websocket.receive_batch()):
            with pytest.raises(VenueError, match="1006 ABNORMAL_CLOSURE"):
                await attempt

    await play(gone)


ANSWERS = {
    "a refusal": (b"HTTP/1.1 429 Too Many Requests\r\n\r\n", "expected HTTP 101, got 429"),
    "another version": (b"SSH-2.0-x\r\n\r\n", "expected HTTP 101, got 'Bad HTTP message'"),
    "no websocket": (b"HTTP/1.1 101 x\r\n\r\n", "Missing header, 'Connection: Upgrade'"),
    "nothing": (b"", "expected HTTP 101, the connection was closed"),
    "half of it": (b"HTTP/1.1 101 x\r\nConn", "expected HTTP 101, the connection was closed"),
    "no end of it": (b"HTTP/1.1 101 x\r\n" + b"a: b\r\n" * 20_000, "expected HTTP 101, got"),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_handshakes_that_fail(name: str, autojump_clock: MockClock) -> None:
    """Whatever answers our request for a websocket, the error says what came instead."""
    answer, match = ANSWERS[name]
    near, far = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        await far.send_all(answer)
        await far.send_eof()
        with pytest.raises(VenueError, match=match):
            await open_fast(nursery, near, "venue.example", "/stream")


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_frames_right_behind_the_handshake(size: int, autojump_clock: MockClock) -> None:
    """Frames that come in one read with the handshake's end are not lost, nor is half of one."""
    near, far = trio.testing.memory_stream_pair()
    behind = text("one\r\n\r\n") + text("two")

    async def answer() -> None:
        data = accept(bytes(await far.receive_some())) + behind
        for start in range(0, len(data), size):
            await trio.testing.wait_all_tasks_blocked()
            await far.send_all(data[start : start + size])

    received: list[Message] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        websocket = await open_fast(nursery, near, "venue.example", "/stream")
        while len(received) < 2:
            received += await websocket.receive_batch()
        nursery.cancel_scope.cancel()
    assert received == ["one\r\n\r\n", "two"]
