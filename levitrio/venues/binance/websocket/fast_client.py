"""The fast websocket client: many messages for one read and one checkpoint.

The receiving task reads the stream itself, without a task or channel between. A task of the
client writes pongs, so that a peer that does not read cannot keep the client from reading. A pong
waits for two or three batches, some 10 ms of decoding, however long the backlog behind its ping.

A fiftieth of the cost of trio-websocket, measured beside it in `benchmarks/bench_reader.py`.
"""

import itertools

import h11
import trio
from wsproto.connection import ConnectionType
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.handshake import H11Handshake
from wsproto.utilities import LocalProtocolError, ProtocolError

from levitrio.errors import VenueError
from levitrio.venues.binance.websocket.frame_parser import End, FrameParser
from levitrio.venues.binance.websocket.interface import MAX_MESSAGE, RECEIVE_BYTES

BACKLOG_BYTES = 1 << 18
"""Bytes of one read of a stream that is behind: 200 engines are woken for six trades each instead
of one or two, which halves the cost of a trade. Decoding them takes some 6 ms. Not used always,
because a buffer of this size costs 20 us of memory management for each read."""

CLOSE_WITHIN = 1.0
"""Seconds to send the closing frame: optional, and the peer may not be reading."""

_CUT = "the venue closed the connection: 1006 ABNORMAL_CLOSURE"  # no closing frame came


async def open_fast(
    nursery: trio.Nursery,
    stream: trio.abc.Stream,
    host: str,
    path: str,
    *,
    max_message: int = MAX_MESSAGE,
) -> "FastWebsocket":
    """Implements `websocket.OpenWebsocket`."""
    rest = await _shake_hands(stream, host, path)
    websocket = FastWebsocket(stream, rest, max_message=max_message)
    nursery.start_soon(websocket.answer_pings)
    return websocket


class FastWebsocket:
    """Implements `websocket.Websocket`."""

    def __init__(self, stream: trio.abc.Stream, rest: bytes, *, max_message: int) -> None:
        """Wrap a stream after its handshake; `rest` is what was read beyond it."""
        self._stream = stream
        self._scanner = FrameParser(max_message=max_message)
        self._rest = rest
        self._ask = RECEIVE_BYTES
        self._sending = trio.StrictFIFOLock()
        self._is_torn = False
        """A frame was sent in part; the peer would take the next one for the rest of it."""
        self._pinged = trio.Event()
        self._payloads = itertools.count(1)
        self._pings: dict[bytes, trio.Event] = {}

    async def receive_batch(self) -> list[str | bytes]:
        """All messages that one read completes; see `websocket.Websocket`."""
        scanner = self._scanner
        while True:
            if scanner.end is not None:
                await self._close(scanner.end)
                raise VenueError(_describe(scanner.end))
            if self._rest or scanner.is_behind:
                await trio.lowlevel.checkpoint()
                data, self._rest = self._rest, b""
            else:
                data = await self._read()
            # No checkpoint from here on: what was read is returned, or kept by the parser.
            messages = scanner.scan(data)
            if self._look_at_control() or messages:
                return messages

    async def send_text(self, text: str) -> None:
        """Send one message; see `websocket.Websocket`."""
        await self._send(TextMessage(data=text))

    async def ping(self) -> None:
        """Send a ping and wait for its pong; see `websocket.Websocket`."""
        payload = b"%d" % next(self._payloads)
        ponged = self._pings[payload] = trio.Event()
        try:
            await self._send(Ping(payload=payload))
            await ponged.wait()
        finally:
            del self._pings[payload]

    async def answer_pings(self) -> None:
        """Send pongs until cancelled, or until none can be sent; `open_fast` starts it."""
        scanner = self._scanner
        while True:
            await self._pinged.wait()
            self._pinged = trio.Event()
            payload, scanner.ping = scanner.ping, None
            if payload is None:
                continue
            try:
                await self._send(Pong(payload=payload))
            except VenueError:
                # Frames that arrived before are still to be read, and the peer's end explains more.
                return

    def _look_at_control(self) -> bool:
        """Act on control frames; return whether there was one."""
        scanner = self._scanner
        if scanner.ping is None and not scanner.pongs:
            return False
        if scanner.ping is not None:
            self._pinged.set()
        for payload in scanner.pongs:
            ponged = self._pings.get(payload)
            if ponged is not None:
                ponged.set()
        scanner.pongs.clear()
        return True

    async def _read(self) -> bytes:
        try:
            data = await self._stream.receive_some(self._ask)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise VenueError(_CUT) from None
        if not data:
            raise VenueError(_CUT)
        self._ask = BACKLOG_BYTES if len(data) > RECEIVE_BYTES // 2 else RECEIVE_BYTES
        return bytes(data)

    async def _send(self, event: Event) -> None:
        async with self._sending:
            await trio.lowlevel.checkpoint_if_cancelled()
            if self._is_torn:
                raise VenueError("expected to send a whole frame, the one before was cut short")
            try:
                frame = self._scanner.protocol.send(event)
                self._is_torn = True
                await self._stream.send_all(frame)
                self._is_torn = False
            except LocalProtocolError:
                raise VenueError("expected an open connection, it is closing") from None
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise VenueError(_CUT) from None

    async def _close(self, end: End) -> None:
        """Send a closing frame, or answer the peer's; the connection is over in every case."""
        with trio.move_on_after(CLOSE_WITHIN):
            try:
                await self._send(CloseConnection(code=end.code, reason=end.reason or None))
            except VenueError:
                return


async def _shake_hands(stream: trio.abc.Stream, host: str, path: str) -> bytes:
    """Upgrade the stream to a websocket; return what was read beyond the handshake.

    Raises:
        VenueError: The peer refuses, or answers no handshake.
    """
    handshake = H11Handshake(ConnectionType.CLIENT)
    await stream.send_all(handshake.send(Request(host=host, target=path)))
    while True:
        data = bytes(await stream.receive_some(RECEIVE_BYTES))
        if not data:
            raise VenueError("expected HTTP 101, the connection was closed")
        # Line by line, because wsproto keeps to itself what follows the last one.
        lines = data.splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            try:
                handshake.receive_data(line)
                events = list(handshake.events())
            except (ProtocolError, h11.ProtocolError, UnicodeDecodeError) as error:
                raise VenueError(f"expected HTTP 101, got {str(error)[:200]!r}") from None
            for event in events:
                if isinstance(event, AcceptConnection):
                    return b"".join(lines[number:])
                if isinstance(event, RejectConnection):
                    raise VenueError(f"expected HTTP 101, got {event.status_code}")


def _describe(end: End) -> str:
    if end.by_peer:
        words = f" {end.reason[:200]!r}" if end.reason else ""
        return f"the venue closed the connection: {end.code} {end.name}{words}"
    return f"the connection was closed on the venue: {end.code} {end.name}, {end.reason[:200]}"
