"""TLS of ours over memory, against the server's side of trio."""

import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from levitrio.venues.binance.websocket.tls import TlsStream
from tests.venues.binance.fake_venue import Line

Scenario = Callable[[TlsStream, trio.SSLStream[trio.abc.Stream]], Awaitable[None]]


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def client_tls(request: pytest.FixtureRequest, certificate: Path) -> ssl.SSLContext:
    """A client that trusts the test's certificate."""
    context = ssl.create_default_context(cafile=certificate)
    context.minimum_version = context.maximum_version = request.param
    return context


@pytest.fixture(params=["at once", "little by little"])
def pair(request: pytest.FixtureRequest) -> tuple[trio.abc.Stream, trio.abc.Stream]:
    """The two ends of a network, which may deliver as little as it likes."""
    if request.param == "at once":
        return trio.testing.memory_stream_pair()
    near, far = trio.testing.memory_stream_pair()
    return Drip(near), far


class Drip(Line):
    """A stream that delivers little at a time, never a whole record."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await super().receive_some(3)


@pytest.fixture
def play(
    pair: tuple[trio.abc.Stream, trio.abc.Stream],
    client_tls: ssl.SSLContext,
    server_tls: ssl.SSLContext,
) -> Callable[[Scenario], Awaitable[None]]:
    """Shakes hands and plays a scenario with both sides."""

    async def play_it(scenario: Scenario) -> None:
        near, far = pair
        server = trio.SSLStream(far, server_tls, server_side=True, https_compatible=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.do_handshake)
            client = await TlsStream.open(near, client_tls, "localhost")
            await trio.testing.wait_all_tasks_blocked()
            await scenario(client, server)
            nursery.cancel_scope.cancel()

    return play_it


Play = Callable[[Scenario], Awaitable[None]]


async def receive(stream: TlsStream, size: int) -> bytes:
    """Exactly so many bytes."""
    data = b""
    while len(data) < size:
        data += await stream.receive_some(size - len(data))
    return data


async def test_both_ways(play: Play) -> None:
    """What is sent arrives, whatever its size, in both directions."""

    async def scenario(client: TlsStream, server: trio.SSLStream[trio.abc.Stream]) -> None:
        for size in (1, 1000, 16_384, 17_000):
            await server.send_all(b"s" * size)
            assert await receive(client, size) == b"s" * size
            await client.send_all(b"c" * size)
            heard = 0
            while heard < size:
                heard += len(await server.receive_some())
        await client.wait_send_all_might_not_block()

    await play(scenario)


async def test_records_come_together(
    client_tls: ssl.SSLContext, server_tls: ssl.SSLContext
) -> None:
    """Records that were read together are handed over together, up to the bound."""
    near, far = trio.testing.memory_stream_pair()
    server = trio.SSLStream(far, server_tls, server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        client = await TlsStream.open(near, client_tls, "localhost")
    for n in range(100):
        await server.send_all(b"%03d" % n)
    expected = b"".join(b"%03d" % n for n in range(100))
    assert await client.receive_some(100) == expected[:100]
    assert await client.receive_some() == expected[100:]


async def test_cancelled_receiving_loses_nothing(play: Play, autojump_clock: MockClock) -> None:
    """Cancelled with part of a record in hand, or with what is decrypted still to be fetched."""

    async def scenario(client: TlsStream, server: trio.SSLStream[trio.abc.Stream]) -> None:
        with trio.move_on_after(1) as scope:
            await client.receive_some()
        assert scope.cancelled_caught
        await server.send_all(b"0123456789")
        data = await client.receive_some(3)
        with trio.CancelScope() as scope:
            scope.cancel()
            data += await client.receive_some()
        assert scope.cancelled_caught
        assert data + await receive(client, 7) == b"0123456789"

    await play(scenario)


async def test_a_cut_record_is_followed_by_no_other(
    client_tls: ssl.SSLContext, server_tls: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    """Cancelled midway in a record, the stream is broken; cancelled before it, it is not."""
    near, far = trio.testing.lockstep_stream_pair()
    server = trio.SSLStream(far, server_tls, server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        client = await TlsStream.open(near, client_tls, "localhost")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    with trio.CancelScope() as scope:
        scope.cancel()
        await client.send_all(b"never begun")
    with trio.move_on_after(1) as scope:
        await client.send_all(b"never read")
    assert scope.cancelled_caught
    with pytest.raises(trio.BrokenResourceError, match="sent in part"):
        await client.send_all(b"next")


async def test_the_end(play: Play) -> None:
    """An announced end is an end, as often as one asks, and what came before it comes first."""

    async def scenario(client: TlsStream, server: trio.SSLStream[trio.abc.Stream]) -> None:
        await server.send_all(b"before")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.unwrap)  # waits for our farewell, which it will not get
            assert await receive(client, 6) == b"before"
            assert await client.receive_some() == b""
            assert await client.receive_some() == b""
            nursery.cancel_scope.cancel()

    await play(scenario)


async def test_the_end_without_a_farewell(play: Play) -> None:
    """A transport that ends is an end too."""

    async def scenario(client: TlsStream, server: trio.SSLStream[trio.abc.Stream]) -> None:
        await server.send_all(b"before")
        await server.transport_stream.aclose()
        assert await receive(client, 6) == b"before"
        assert await client.receive_some() == b""
        assert await client.receive_some() == b""

    await play(scenario)


async def test_garbage(play: Play) -> None:
    """Bytes that were not encrypted break the stream, after what was sound before them."""

    async def scenario(client: TlsStream, server: trio.SSLStream[trio.abc.Stream]) -> None:
        await server.send_all(b"before")
        await server.transport_stream.send_all(b"\x17\x03\x03\x00\x20" + b"garbage!" * 4)
        assert await client.receive_some() == b"before"
        for _ in range(2):
            with pytest.raises(trio.BrokenResourceError, match="TLS failed"):
                await client.receive_some()

    await play(scenario)


async def test_a_peer_with_another_name(
    client_tls: ssl.SSLContext, server_tls: ssl.SSLContext
) -> None:
    """A certificate for another host is refused; the peer is told, and the transport closed."""
    near, far = trio.testing.memory_stream_pair()
    server = trio.SSLStream(far, server_tls, server_side=True)

    async def be_told() -> None:
        with pytest.raises(trio.BrokenResourceError) as told:
            await server.do_handshake()
        assert "ALERT" in str(told.value.__cause__)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(be_told)
        with pytest.raises(trio.BrokenResourceError) as caught:
            await TlsStream.open(near, client_tls, "venue.example")
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value.__cause__)
    with pytest.raises(trio.ClosedResourceError):
        await near.receive_some()


async def test_a_cancelled_handshake_closes_the_transport(
    client_tls: ssl.SSLContext, autojump_clock: MockClock
) -> None:
    """A peer that says nothing can be given up, and nothing is left open."""
    near, _ = trio.testing.memory_stream_pair()
    with trio.move_on_after(1) as scope:
        await TlsStream.open(near, client_tls, "localhost")
    assert scope.cancelled_caught
    with pytest.raises(trio.ClosedResourceError):
        await near.receive_some()
