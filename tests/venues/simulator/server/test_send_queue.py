"""Frames that wait for one connection."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

from levitrio.venues.simulator.server.send_queue import (
    FULL_BYTES,
    SendQueue,
    close_frame,
    text_frame,
)


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_frames_are_what_a_client_reads(length: int) -> None:
    """A foreign parser gets back the payload, at each form of the length."""
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(text_frame(b"x" * length))
    messages = [event for event in client.events() if isinstance(event, TextMessage)]
    assert "".join(message.data for message in messages) == "x" * length
    assert messages[-1].message_finished


@given(st.lists(st.integers(1, 90_000), max_size=30))
def test_everything_put_is_taken_once_and_in_order(sizes: list[int]) -> None:
    """Batches join frames, and change nothing."""
    frames = [bytes([number % 256]) * size for number, size in enumerate(sizes)]

    async def main() -> None:
        outbox = SendQueue()
        for frame in frames:
            outbox.put(frame)
        taken = b""
        while len(taken) < sum(sizes):
            taken += await outbox.take()
        assert taken == b"".join(frames)
        assert not outbox.is_full

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_taking_waits_and_a_cancelled_take_loses_nothing(autojump_clock: MockClock) -> None:
    """Cancelled while waiting, the frame that comes later is still there."""
    outbox = SendQueue()
    with trio.move_on_after(1) as scope:
        await outbox.take()
    assert scope.cancelled_caught
    outbox.put(b"late")
    assert await outbox.take() == b"late"


async def test_room_is_waited_for_until_some_was_taken(autojump_clock: MockClock) -> None:
    """A task that waits for room goes on once the reader made some."""
    outbox = SendQueue()
    outbox.put(b"x" * FULL_BYTES)
    outbox.put(b"y")
    done = trio.Event()

    async def wait() -> None:
        await outbox.wait_room()
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert not done.is_set()
        await outbox.take()
        await done.wait()


async def test_closing_releases_whoever_waits_and_forgets(autojump_clock: MockClock) -> None:
    """A dead connection never holds up the tape; a cancelled wait leaves no trace either."""
    outbox = SendQueue()
    outbox.put(b"x" * FULL_BYTES)
    with trio.move_on_after(1) as scope:
        await outbox.wait_room()
    assert scope.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.wait_room)
        await wait_all_tasks_blocked()
        outbox.close()
    outbox.put(b"x" * FULL_BYTES)
    assert not outbox.is_full


async def test_what_is_put_last_stays_last(autojump_clock: MockClock) -> None:
    """A close frame goes out behind everything that waited; nothing follows it."""
    outbox = SendQueue()
    outbox.put(text_frame(b"before"))
    outbox.put_last(close_frame(1001, "over"))
    outbox.put(text_frame(b"after"))
    assert await outbox.take() == text_frame(b"before") + b"\x88\x06\x03\xe9over"
    with trio.move_on_after(1) as silence:
        await outbox.take()
    assert silence.cancelled_caught
