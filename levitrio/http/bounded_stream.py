"""A TCP connection served by hypercorn, with deadlines hypercorn does not have.

hypercorn shields its sends from cancellation without a deadline, so a browser that stops reading
could block the end of the fleet; it keeps a connection whose client has left until the idle
timeout; and it logs to streams of its own. Only this module and `server` know hypercorn.
"""

import sys
from collections.abc import Callable
from typing import Any, cast

import attrs
import trio
from hypercorn.config import Config
from hypercorn.logging import Logger
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState, Framework
from hypercorn.utils import wrap_app
from starlette.types import ASGIApp

from levitrio.http.middleware import described

IDLE_TIMEOUT = 15.0
"""Seconds without a request; a page keeps one connection busy and reopens the others."""

WRITE_TIMEOUT = 5.0
"""Seconds for one chunk of an answer; a client that does not read it is closed."""

CHUNK = 64 * 1024

MAX_HEADERS = 16 * 1024
"""Bytes of a request's head."""

MAX_REQUESTS = 1_000_000
"""Requests on one connection; a scraper may keep its connection for months."""


@attrs.define(eq=False)
class BoundedStream:
    """A socket stream whose sends have a deadline, even under a shield."""

    stream: trio.SocketStream
    left: trio.Event = attrs.field(factory=trio.Event)
    """Set once the client has closed its side and no longer reads answers."""

    @property
    def socket(self) -> trio.socket.SocketType:
        """The socket, for hypercorn."""
        return self.stream.socket

    async def send_all(self, data: bytes) -> None:
        """Send all data.

        Raises:
            trio.BrokenResourceError: The client did not read in time; the connection is closed.
        """
        view = memoryview(data)
        for start in range(0, len(view), CHUNK):
            # hypercorn shields this call; a deadline inside the shield still works.
            with trio.move_on_after(WRITE_TIMEOUT) as scope:
                await self.stream.send_all(view[start : start + CHUNK])
            if scope.cancelled_caught:
                self.drop()
                raise trio.BrokenResourceError(f"expected a reader within {WRITE_TIMEOUT:g} s")

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive bytes; empty at the end, which sets `left`."""
        data = b""
        try:
            data = bytes(await self.stream.receive_some(max_bytes))
        finally:
            if not data:
                self.left.set()
        return data

    async def send_eof(self) -> None:
        """Close the sending side."""
        await self.stream.send_eof()

    async def aclose(self) -> None:
        """Close the connection."""
        await self.stream.aclose()

    def drop(self) -> None:
        """Close at once, from any task; tasks that wait in the stream get an error."""
        self.stream.socket.close()


def make_serve(
    application: ASGIApp, report: Callable[[str, str], None]
) -> Callable[[BoundedStream], Any]:
    """Make the function that serves one connection with HTTP/1.1 until it closes."""

    class EventLogger(Logger):
        """Reports bugs in the application; hypercorn's other messages are dropped."""

        def __init__(self, config: Config) -> None:
            super().__init__(config)

        async def exception(self, message: str, *args: Any, **kwargs: Any) -> None:
            report("http_failed", described(sys.exception()) or message)

    config = Config()
    config.accesslog = config.errorlog = None  # else hypercorn writes to stdout and stderr
    config.logger_class = EventLogger
    config.include_server_header = False
    config.h11_max_incomplete_size = MAX_HEADERS
    config.keep_alive_timeout = IDLE_TIMEOUT
    config.keep_alive_max_requests = MAX_REQUESTS
    wrapped = wrap_app(cast(Framework, application), config.wsgi_max_body_size, "asgi")
    context = WorkerContext(None)

    async def serve(stream: BoundedStream) -> None:
        await TCPServer(wrapped, config, context, ConnectionState({}), cast(Any, stream)).run()

    return serve
