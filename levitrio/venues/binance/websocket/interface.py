"""The interface of a websocket client, and the limits its implementations share.

There are two: `library_client` (trio-websocket) and `fast_client`. One table of tests holds both.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

RECEIVE_BYTES = 1 << 16
"""Bytes of one read: some three hundred trades for one system call."""
MAX_MESSAGE = 4 << 20
"""Bytes; a longer message ends the connection. From 1 MiB on the decoder refuses the frame."""


class Websocket(Protocol):
    """An open websocket of a client. One task receives, any number of others send.

    Every method raises VenueError with the reason once the connection is over.
    """

    async def receive_batch(self) -> list[str | bytes]:
        """Wait for messages, and return all complete ones together, in order.

        Empty when only control frames came. Messages that came before the end are returned before
        it is raised. Cancelled, nothing is lost.
        """

    async def send_text(self, text: str) -> None:
        """Send one message. Cancelled midway, the connection is broken."""

    async def ping(self) -> None:
        """Send a ping and wait for its pong."""


OpenWebsocket = Callable[[trio.Nursery, trio.abc.Stream, str, str], Awaitable[Websocket]]
"""Nursery, stream, `HOST:PORT` and path -> an open websocket, after its handshake.

Tasks of the websocket run in the nursery, until it is cancelled. The caller closes the stream.
Raises VenueError, or one of `library_client.ENDINGS`, out of the nursery too.
"""
