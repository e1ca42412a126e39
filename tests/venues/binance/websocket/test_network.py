"""Streams over real loopback sockets."""

from functools import partial

import pytest
import trio

from levitrio.errors import VenueError
from levitrio.venues.binance.market_data.decoder import FrameDecoder
from levitrio.venues.binance.market_data.stream_client import StreamClient
from levitrio.venues.binance.websocket.network import open_network_stream


async def speak_no_tls(stream: trio.SocketStream) -> None:
    async with stream:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def listen(nursery: trio.Nursery) -> int:
    listeners = await nursery.start(partial(trio.serve_tcp, speak_no_tls, 0, host="127.0.0.1"))
    port: int = listeners[0].socket.getsockname()[1]
    return port


async def test_plain_stream() -> None:
    """Without TLS the stream is the socket."""
    async with trio.open_nursery() as nursery:
        port = await listen(nursery)
        async with await open_network_stream("127.0.0.1", port, False) as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 400")
        nursery.cancel_scope.cancel()


async def test_a_peer_without_tls_is_told_at_once() -> None:
    """A failed TLS handshake is an error with its cause, and not ten seconds of silence."""
    async with trio.open_nursery() as nursery:
        port = await listen(nursery)
        with pytest.raises(trio.BrokenResourceError):
            await open_network_stream("127.0.0.1", port, True)
        connection = StreamClient(
            f"wss://127.0.0.1:{port}", decode=FrameDecoder().decode_batch, receive=print
        )
        with pytest.raises(VenueError, match=r"BrokenResourceError.*SSL"):
            await connection.run()
        nursery.cancel_scope.cancel()


async def test_a_closed_port() -> None:
    """A closed port is an OSError, and a VenueError for the connection."""
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(OSError, match="all attempts"):
            await open_network_stream("127.0.0.1", port, False)
