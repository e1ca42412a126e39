"""Opens the TCP or TLS stream of a connection; tests replace it by streams in memory."""

import ssl
from collections.abc import Awaitable, Callable

import trio

from levitrio.venues.binance.websocket.tls import TlsStream

OpenStream = Callable[[str, int, bool], Awaitable[trio.abc.Stream]]
"""Host, port and whether to use TLS -> an open stream, which the caller closes."""


async def open_network_stream(host: str, port: int, tls: bool) -> trio.abc.Stream:
    """Open a TCP stream, with TLS verified against the system's authorities.

    The caller closes it. Failed or cancelled, nothing is left open.

    Raises:
        OSError: The host does not answer.
        trio.BrokenResourceError: The certificate is not trusted.
    """
    if not tls:
        return await trio.open_tcp_stream(host, port)
    context = ssl.create_default_context()
    return await TlsStream.open(await trio.open_tcp_stream(host, port), context, host)
