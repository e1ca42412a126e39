"""A peer that sends any bytes after a sound handshake, and what a client makes of them."""

import itertools
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from hashlib import sha1
from typing import cast

import attrs
import trio
import trio.testing
import wsproto.connection
from trio.testing import MockClock
from wsproto.events import CloseConnection, Event, Pong

from levitrio.errors import VenueError
from levitrio.venues.binance.market_data.messages import Decoded, InvalidFrame
from levitrio.venues.binance.market_data.stream_client import READERS, StreamClient
from levitrio.venues.binance.market_data.validation import RejectReason
from levitrio.venues.binance.websocket.interface import MAX_MESSAGE, OpenWebsocket

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA

Message = str | bytes


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    masked: bool = False,
    length_bytes: int | None = None,
    claims: int | None = None,
) -> bytes:
    """A server's frame, sound unless told otherwise.

    `length_bytes` is how many bytes follow to say the length (0, 2 or 8), and `claims` a length
    that is not the payload's.
    """
    length = len(payload) if claims is None else claims
    if length_bytes is None:
        length_bytes = 0 if length < 126 else 2 if length < 1 << 16 else 8
    code = {0: length, 2: 126, 8: 127}[length_bytes]
    head = bytes([fin << 7 | reserved << 4 | opcode, masked << 7 | code])
    return head + (length.to_bytes(length_bytes) if length_bytes else b"") + payload


def text(words: str) -> bytes:
    """A plain text frame."""
    return frame(TEXT, words.encode())


def closing(code: int, words: bytes = b"") -> bytes:
    """A closing frame with any code."""
    return frame(CLOSE, code.to_bytes(2) + words)


def accept(request: bytes) -> bytes:
    """The server's side of a handshake, by hand."""
    lines = dict(line.split(b": ", 1) for line in request.split(b"\r\n") if b": " in line)
    key = lines[b"Sec-WebSocket-Key"] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: " + b64encode(sha1(key).digest()) + b"\r\n\r\n"
    )


@attrs.define(eq=False)
class Outcome:
    """What a client made of the peer's bytes."""

    messages: list[Message] = attrs.field(factory=list)
    end: str = ""
    """Why the connection ended."""
    heard: list[Event] = attrs.field(factory=list)
    """What the client said after its handshake."""

    @property
    def pongs(self) -> list[bytes]:
        return [bytes(event.payload) for event in self.heard if isinstance(event, Pong)]

    @property
    def close_codes(self) -> list[int]:
        return [event.code for event in self.heard if isinstance(event, CloseConnection)]


def connection_of(
    reader: str,
    take: Callable[[Message], None],
    open_stream: Callable[[], trio.abc.Stream],
    max_message: int = MAX_MESSAGE,
) -> StreamClient:
    """A connection by one of the readers that gives its messages away undecoded."""

    async def opened(host: str, port: int, tls: bool) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return open_stream()

    def decode(messages: Sequence[Message]) -> list[Decoded]:
        for message in messages:
            take(message)
        return [InvalidFrame(reason=RejectReason.MALFORMED)] * len(messages)

    # Both take the bound, which the type of the seam does not show.
    opener = cast(OpenWebsocket, partial(READERS[reader], max_message=max_message))  # type: ignore[call-arg]
    return StreamClient(
        "ws://venue.example",
        decode=decode,
        receive=lambda _decoded, _now: None,
        open_stream=opened,
        open_websocket=opener,
    )


async def converse(
    reader: str, pieces: Iterable[bytes], *, max_message: int = MAX_MESSAGE
) -> Outcome:
    """Send pieces to a client, each as a read of its own, then end the stream."""
    outcome = Outcome()
    near, far = trio.testing.memory_stream_pair()
    connection = connection_of(reader, outcome.messages.append, lambda: near, max_message)

    async def listen() -> None:
        server = wsproto.connection.Connection(wsproto.ConnectionType.SERVER)
        while data := await far.receive_some():
            server.receive_data(bytes(data))
            outcome.heard.extend(server.events())

    async def talk() -> None:
        await far.send_all(accept(bytes(await far.receive_some())))
        nursery.start_soon(listen)
        for piece in pieces:
            await trio.testing.wait_all_tasks_blocked()
            try:
                await far.send_all(piece)
            except trio.BrokenResourceError:
                return  # the client has seen enough
        await trio.testing.wait_all_tasks_blocked()
        await far.send_eof()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk)
        try:
            await connection.run()
        except VenueError as end:
            outcome.end = str(end)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return outcome


def converse_now(
    reader: str, pieces: Sequence[bytes], *, max_message: int = MAX_MESSAGE
) -> Outcome:
    """`converse` in a run of its own, in virtual time."""
    return trio.run(
        partial(converse, reader, pieces, max_message=max_message),
        clock=MockClock(autojump_threshold=0),
    )


def split(data: bytes, at: Iterable[int]) -> list[bytes]:
    """The data in pieces, cut at some places; none of them is empty."""
    edges = [0, *sorted(place for place in set(at) if 0 < place < len(data)), len(data)]
    return [data[i:j] for i, j in itertools.pairwise(edges) if i < j]
