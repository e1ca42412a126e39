"""A client's socket as a stream: trio's own checks, and what is ours."""

import socket

import pytest
import trio
import trio.testing

from levitrio.control.unix_stream import LocalStream


async def make_pair() -> tuple[LocalStream, LocalStream]:
    ours, theirs = socket.socketpair()
    return LocalStream(ours), LocalStream(theirs)


async def test_more_than_a_socket_holds() -> None:
    """A large answer arrives whole while the sender waits for room."""
    ours, theirs = await make_pair()
    received = bytearray()
    async with ours, theirs, trio.open_nursery() as nursery:
        nursery.start_soon(ours.send_all, bytes(range(256)) * 8192)
        while len(received) < 256 * 8192:
            received += await theirs.receive_some()
    assert received == bytes(range(256)) * 8192


async def test_a_client_that_leaves() -> None:
    """Its end is an empty read; sending to it is a broken resource."""
    ours, theirs = await make_pair()
    await theirs.aclose()
    assert await ours.receive_some() == b""
    with pytest.raises(trio.BrokenResourceError):
        await ours.send_all(b"x")
    await ours.aclose()


async def test_closed_is_closed() -> None:
    """For who waits in it, and for who comes later; closing twice is fine."""
    ours, theirs = await make_pair()

    async def expect_closed() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await ours.receive_some()

    async with theirs, trio.open_nursery() as nursery:
        nursery.start_soon(expect_closed)
        await trio.testing.wait_all_tasks_blocked()
        await trio.aclose_forcefully(ours)
    await ours.aclose()
    await expect_closed()
    with pytest.raises(trio.ClosedResourceError):
        await ours.send_all(b"x")


async def test_cancelled_it_has_taken_nothing() -> None:
    """What comes after is there for the next."""
    ours, theirs = await make_pair()
    async with ours, theirs:
        with trio.move_on_after(0) as scope:
            await ours.receive_some()
        assert scope.cancelled_caught
        await theirs.send_all(b"late")
        assert await ours.receive_some() == b"late"
