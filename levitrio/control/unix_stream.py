"""A client's socket as a stream that spares the scheduler.

trio's own gives way to others after each send. A client that asks and waits gets its answer
before the loop turns once more: that is a fifth of what a request costs.
"""

import socket

import attrs
import trio

_CHUNK = 64 * 1024


@attrs.define(eq=False)
class LocalStream(trio.abc.Stream):
    """A connected Unix socket, its owner from now on.

    Receiving always gives way to others. Sending does only where it must wait, so whoever sends
    much without receiving has to give way by itself.
    """

    _socket: socket.socket

    def __attrs_post_init__(self) -> None:
        self._socket.setblocking(False)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What is there, at least a byte; empty when the other side has ended its own.

        Cancelled, it has taken nothing.
        """
        while True:
            await trio.lowlevel.wait_readable(self._open())
            try:
                return self._socket.recv(max_bytes or _CHUNK)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError(str(error)) from error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything. Cancelled, a part of it may have been sent."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._open().send(rest) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)
            except OSError as error:
                raise trio.BrokenResourceError(str(error)) from error

    async def wait_send_all_might_not_block(self) -> None:
        """Until the kernel would take a byte."""
        await trio.lowlevel.wait_writable(self._open())

    async def aclose(self) -> None:
        """Hang up; whoever waits in here gets ClosedResourceError."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        await trio.lowlevel.checkpoint()

    def _open(self) -> socket.socket:
        if self._socket.fileno() < 0:
            raise trio.ClosedResourceError("this stream was closed")
        return self._socket
