"""A Unix socket as a trio stream that does not yield after a send.

`trio.SocketStream` runs a checkpoint after each send. Without it a client that waits for its
answer gets it one pass of the loop earlier, which saves a fifth of a request's cost.
"""

import socket

import attrs
import trio

_CHUNK = 64 * 1024


@attrs.define(eq=False)
class LocalStream(trio.abc.Stream):
    """Owns a connected Unix socket.

    Receiving always runs a checkpoint. Sending runs one only when it has to wait, so a caller
    that sends much without receiving has to run its own.
    """

    _socket: socket.socket

    def __attrs_post_init__(self) -> None:
        self._socket.setblocking(False)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive at least one byte; empty when the peer has closed its sending side.

        Cancelled, it has received nothing.

        Raises:
            trio.BrokenResourceError: The connection is broken.
            trio.ClosedResourceError: This stream was closed.
        """
        while True:
            await trio.lowlevel.wait_readable(self._open())  # also the checkpoint
            try:
                return self._socket.recv(max_bytes or _CHUNK)
            except BlockingIOError:
                continue  # readiness may be spurious
            except OSError as error:
                raise trio.BrokenResourceError(str(error)) from error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything. Cancelled, it may have sent a part.

        Raises:
            trio.BrokenResourceError: The connection is broken.
            trio.ClosedResourceError: This stream was closed.
        """
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._open().send(rest) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)
            except OSError as error:
                raise trio.BrokenResourceError(str(error)) from error

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the kernel would accept a byte."""
        await trio.lowlevel.wait_writable(self._open())

    async def aclose(self) -> None:
        """Close the socket; tasks that wait in this stream get ClosedResourceError."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        await trio.lowlevel.checkpoint()

    def _open(self) -> socket.socket:
        if self._socket.fileno() < 0:
            raise trio.ClosedResourceError("this stream was closed")
        return self._socket
