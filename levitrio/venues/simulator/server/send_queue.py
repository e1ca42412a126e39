"""Queues frames between the player and one connection; none is ever dropped."""

from collections import deque

import attrs
import trio

FULL_BYTES = 256 * 1024
"""The player waits while a connection has so much queued: about 1,500 frames."""

_BATCH_BYTES = 64 * 1024
"""Sent with one system call: a call for each frame would cost more than the frame."""


def close_frame(code: int, reason: str) -> bytes:
    """The close frame of a server; code and reason take at most 125 bytes together."""
    payload = code.to_bytes(2, "big") + reason.encode()
    return b"\x88" + len(payload).to_bytes(1, "big") + payload


def text_frame(payload: bytes) -> bytes:
    """The payload as one whole text frame of a server (RFC 6455, 5.2: never masked)."""
    length = len(payload)
    if length < 126:
        return b"\x81" + length.to_bytes(1, "big") + payload
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


@attrs.define(eq=False)
class SendQueue:
    """Frames for one connection, in order. One task takes, any task puts."""

    _frames: deque[bytes] = attrs.field(factory=deque, init=False)
    _bytes: int = attrs.field(default=0, init=False)
    _is_closed: bool = attrs.field(default=False, init=False)
    _changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)

    @property
    def is_full(self) -> bool:
        """Whether so much is queued that the caller of `put` should wait for room first."""
        return self._bytes >= FULL_BYTES

    def put(self, frame: bytes) -> None:
        """Append a frame, unless the queue is closed. Never blocks, never refuses."""
        if self._is_closed:
            return
        self._frames.append(frame)
        self._bytes += len(frame)
        if len(self._frames) == 1:
            self._changed.unpark_all()

    def put_last(self, frame: bytes) -> None:
        """Append a last frame; frames put after it are ignored."""
        self.put(frame)
        self._is_closed = True

    async def take(self) -> bytes:
        """Wait for frames and take some of them, joined. Cancellation takes none."""
        while not self._frames:
            await self._changed.park()
        frames = self._frames
        batch = [frames.popleft()]
        size = len(batch[0])
        while frames and size + len(frames[0]) <= _BATCH_BYTES:
            frame = frames.popleft()
            size += len(frame)
            batch.append(frame)
        was_full = self.is_full
        self._bytes -= size
        if was_full and not self.is_full:
            self._changed.unpark_all()
        return b"".join(batch)

    async def wait_room(self) -> None:
        """Return once it is not full, or closed. Cancellation leaves nothing behind."""
        while self.is_full and not self._is_closed:
            await self._changed.park()

    def close(self) -> None:
        """Drop all frames and let waiting tasks go on: the connection has closed."""
        self._is_closed = True
        self._frames.clear()
        self._bytes = 0
        self._changed.unpark_all()
