"""The reference websocket client; the only module that imports trio-websocket.

The library reads the stream in a task of its own and answers pings there. It stops reading when
its message queue is full, and then the pongs stop too; so the queue is long, and the receiver
must handle a message without waiting, as an inbox does.
"""

from typing import cast

import h11
import trio
import trio_websocket
import wsproto.utilities

from levitrio.errors import VenueError
from levitrio.venues.binance.websocket.interface import MAX_MESSAGE, RECEIVE_BYTES

MESSAGE_QUEUE = 1024
"""Frames read ahead of the receiver: a tenth of a second at the library's fastest."""

ENDINGS = (
    trio_websocket.ConnectionClosed,
    trio_websocket.HandshakeError,
    wsproto.utilities.ProtocolError,
    h11.ProtocolError,  # the library answers garbage in a handshake out of turn
    UnicodeDecodeError,  # a handshake or a close reason that is not text
)
"""Exceptions that a peer can cause in the library, besides those of streams."""


async def open_library(
    nursery: trio.Nursery,
    stream: trio.abc.Stream,
    host: str,
    path: str,
    *,
    max_message: int = MAX_MESSAGE,
) -> "LibraryWebsocket":
    """Implements `websocket.OpenWebsocket`."""
    return LibraryWebsocket(
        await trio_websocket.wrap_client_stream(
            nursery,
            # The library is typed for sockets, but uses nothing else of them.
            cast(trio.SocketStream, stream),
            host,
            path,
            message_queue_size=MESSAGE_QUEUE,
            max_message_size=max_message,
            # The library's own 4 KiB is one system call for every twenty trades.
            receive_buffer_size=RECEIVE_BYTES,
        )
    )


class LibraryWebsocket:
    """Implements `websocket.Websocket`."""

    def __init__(self, websocket: trio_websocket.WebSocketConnection) -> None:
        self._websocket = websocket

    async def receive_batch(self) -> list[str | bytes]:
        """Return one message: the library hands over no more, with a checkpoint for each."""
        try:
            return [await self._websocket.get_message()]
        except trio_websocket.ConnectionClosed as end:
            raise VenueError(describe(end)) from None

    async def send_text(self, text: str) -> None:
        """Send one message."""
        try:
            await self._websocket.send_message(text)
        except trio_websocket.ConnectionClosed as end:
            raise VenueError(describe(end)) from None

    async def ping(self) -> None:
        """Send a ping and wait for its pong."""
        try:
            await self._websocket.ping()
        except trio_websocket.ConnectionClosed as end:
            raise VenueError(describe(end)) from None


def describe(error: BaseException) -> str:
    """Describe one of `ENDINGS`, or any other error of a connection, in one line."""
    if isinstance(error, trio_websocket.ConnectionClosed):
        end = error.reason
        if end is None:
            return "the connection was closed"
        words = f" {end.reason[:200]!r}" if end.reason else ""
        return f"the venue closed the connection: {end.code} {end.name}{words}"
    if isinstance(error, trio_websocket.ConnectionRejected):
        return f"expected HTTP 101, got {error.status_code}"
    cause = error.__cause__
    text = f"{error}: {cause}" if cause else f"{error}"
    return f"{type(error).__name__}: {text}"[:300]
