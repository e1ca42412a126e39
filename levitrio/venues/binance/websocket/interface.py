"""What a connection asks of whoever takes frames off its stream.

Two do: `reference` (trio-websocket) and `reader` (the fast one). One table of tests holds both.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

RECEIVE_BYTES = 1 << 16
"""Asked of a stream at once: some three hundred trades for one system call."""
MAX_MESSAGE = 4 << 20
"""Bytes; a longer message ends the connection. From 1 MiB on the decoder refuses the frame."""


class Websocket(Protocol):
    """An open websocket of a client. One task receives, any number of others send.

    Every method raises VenueError, which says why, once the connection is over.
    """

    async def receive_batch(self) -> list[str | bytes]:
        """Wait for messages, and return all complete ones together, in order.

        May be empty when the peer gave another sign of life. Messages that came before the end
        are returned before it is raised. Cancelled, nothing is lost.
        """

    async def send_text(self, text: str) -> None:
        """Send one message. Cancelled midway, the connection is no good any more."""

    async def ping(self) -> None:
        """Send a ping and wait for its pong."""


OpenWebsocket = Callable[[trio.Nursery, trio.abc.Stream, str, str], Awaitable[Websocket]]
"""Nursery, stream, `HOST:PORT` and path -> an open websocket, after its handshake.

Tasks of the websocket run in the nursery, until it is cancelled. The caller closes the stream.
Raises VenueError, or one of `reference.ENDINGS`, out of the nursery too.
"""
