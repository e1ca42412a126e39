"""The seam to the network: how a connection gets its stream."""

import ssl
from collections.abc import Awaitable, Callable

import trio

from levitrio.venues.binance.websocket.tls import TlsStream

OpenStream = Callable[[str, int, bool], Awaitable[trio.abc.Stream]]
"""Host, port and whether to use TLS -> an open stream, which the caller closes."""


async def open_network_stream(host: str, port: int, tls: bool) -> trio.abc.Stream:
    """A TCP stream, with TLS verified against the system's authorities; the caller closes it.

    Raises OSError when nobody answers, `trio.BrokenResourceError` for a certificate we do not
    trust. Failed or cancelled, nothing is left open.
    """
    if not tls:
        return await trio.open_tcp_stream(host, port)
    context = ssl.create_default_context()
    return await TlsStream.open(await trio.open_tcp_stream(host, port), context, host)
