"""Both readers on real sockets, where a reset is a reset and TLS is TLS."""

import socket
import ssl
import struct
from collections.abc import Awaitable, Callable

import attrs
import pytest
import trio

from levitrio.errors import VenueError
from levitrio.venues.binance.market_data.stream_client import READERS
from levitrio.venues.binance.websocket.network import OpenStream, open_network_stream
from tests.venues.binance.raw_peer import (
    CONTINUATION,
    PING,
    TEXT,
    Outcome,
    accept,
    closing,
    connection_of,
    frame,
    text,
)

Behaviour = Callable[[trio.abc.Stream], Awaitable[None]]


async def outcome_of(reader: str, behaviour: Behaviour, network: "Network") -> Outcome:
    """What a client makes of a server on the loopback that behaves so after the handshake."""
    outcome = Outcome()

    async def serve(raw: trio.SocketStream) -> None:
        stream: trio.abc.Stream = raw
        if network.server is not None:
            stream = trio.SSLStream(raw, network.server, server_side=True)
        try:
            await stream.send_all(accept(bytes(await stream.receive_some())))
            await behaviour(stream)
        except trio.BrokenResourceError:
            pass  # the client has left
        finally:
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        port = listeners[0].socket.getsockname()[1]
        host = "localhost" if network.server else "127.0.0.1"
        stream = await network.open_stream(host, port, network.server is not None)
        with trio.fail_after(30):
            try:
                await connection_of(reader, outcome.messages.append, lambda: stream).run()
            except VenueError as end:
                outcome.end = str(end)
        nursery.cancel_scope.cancel()
    return outcome


MANY = [f"message {n} " + "x" * (n % 300) for n in range(3000)]


async def talk(stream: trio.abc.Stream) -> None:
    """Many messages in few writes and few in many, a ping, fragments, and a proper end."""
    data = b"".join(text(words) for words in MANY)
    await stream.send_all(data)
    for words in MANY[:300]:
        await stream.send_all(text(words))
    await stream.send_all(frame(TEXT, b"frag", fin=False) + frame(PING, b"?"))
    await stream.send_all(frame(CONTINUATION, b"ments") + closing(1001))
    while await stream.receive_some():
        pass


async def end_within_a_frame(stream: trio.abc.Stream) -> None:
    """Close the connection as if all were said."""
    await stream.send_all(text("before") + text("never ends")[:5])


async def reset_within_a_frame(stream: trio.abc.Stream) -> None:
    """Kill the connection: the kernel sends RST."""
    await stream.send_all(text("before") + text("never ends")[:5])
    raw = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    assert isinstance(raw, trio.SocketStream)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def open_by_trio(host: str, port: int, tls: bool) -> trio.abc.Stream:
    """The stream that trio makes, where ours takes several records at once."""
    context = ssl.create_default_context()
    return await trio.open_ssl_over_tcp_stream(
        host, port, https_compatible=True, ssl_context=context
    )


@attrs.frozen(kw_only=True)
class Network:
    """How both sides speak."""

    server: ssl.SSLContext | None
    """None: without TLS."""
    open_stream: OpenStream


@pytest.fixture(params=["TCP", "TLS", "TLS by trio"])
def network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Network:
    """A network the readers must work on; the client is made to trust the test's certificate."""
    if request.param == "TCP":
        return Network(server=None, open_stream=open_network_stream)
    monkeypatch.setenv("SSL_CERT_FILE", str(request.getfixturevalue("certificate")))
    return Network(
        server=request.getfixturevalue("server_tls"),
        open_stream=open_network_stream if request.param == "TLS" else open_by_trio,
    )


@pytest.mark.parametrize("reader", READERS)
async def test_a_conversation(reader: str, network: Network) -> None:
    """Every message arrives, once and in order, however the network cuts the stream."""
    outcome = await outcome_of(reader, talk, network)
    assert outcome.messages == [*MANY, *MANY[:300], "fragments"]
    assert "1001 GOING_AWAY" in outcome.end


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("behaviour", [end_within_a_frame, reset_within_a_frame])
async def test_ends_without_an_announcement(
    behaviour: Behaviour, reader: str, network: Network
) -> None:
    """FIN or RST in the middle of a frame: the connection is over, and says so."""
    outcome = await outcome_of(reader, behaviour, network)
    assert outcome.messages in (["before"], [])  # a reset may overtake what was sent
    assert "1006 ABNORMAL_CLOSURE" in outcome.end


async def test_an_unknown_authority_is_refused(server_tls: ssl.SSLContext) -> None:
    """An untrusted certificate ends the connection before a byte of ours is sent."""
    network = Network(server=server_tls, open_stream=open_network_stream)
    with pytest.RaisesGroup(trio.BrokenResourceError) as caught:
        await outcome_of("fast", talk, network)
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value.exceptions[0].__cause__)
