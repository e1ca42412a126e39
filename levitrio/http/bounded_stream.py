"""One TCP connection under hypercorn, made safe for a fleet.

hypercorn shields its sends from cancellation without a deadline, so a browser that stops
reading could hold up the end of the fleet; it keeps a connection that its client left until
the idle time is over; and it logs to streams of its own. All of it is put right here and in
`server`, and nowhere else is hypercorn's inside known.
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
"""Seconds without a request; a page keeps one connection busy, and opens others anew."""

WRITE_TIMEOUT = 5.0
"""Seconds for one chunk of an answer: who does not read is dropped."""

CHUNK = 64 * 1024

MAX_HEADERS = 16 * 1024
"""Bytes of a request's head."""

MAX_REQUESTS = 1_000_000
"""On one connection: a scraper that keeps its own for months is welcome."""


@attrs.define(eq=False)
class BoundedStream:
    """A socket stream whose sends have a deadline of their own, shielded or not."""

    stream: trio.SocketStream
    left: trio.Event = attrs.field(factory=trio.Event)
    """Set once the client has closed its side: nobody reads an answer any more."""

    @property
    def socket(self) -> trio.socket.SocketType:
        return self.stream.socket

    async def send_all(self, data: bytes) -> None:
        """Send all, or drop the connection: `trio.BrokenResourceError`."""
        view = memoryview(data)
        for start in range(0, len(view), CHUNK):
            with trio.move_on_after(WRITE_TIMEOUT) as scope:
                await self.stream.send_all(view[start : start + CHUNK])
            if scope.cancelled_caught:
                self.drop()
                raise trio.BrokenResourceError(f"expected a reader within {WRITE_TIMEOUT:g} s")

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        data = b""
        try:
            data = bytes(await self.stream.receive_some(max_bytes))
        finally:
            if not data:
                self.left.set()
        return data

    async def send_eof(self) -> None:
        await self.stream.send_eof()

    async def aclose(self) -> None:
        await self.stream.aclose()

    def drop(self) -> None:
        """Close at once, from outside: whoever waits in it gets an error."""
        self.stream.socket.close()


def make_serve(
    application: ASGIApp, report: Callable[[str, str], None]
) -> Callable[[BoundedStream], Any]:
    """How one connection is served: HTTP/1.1 until it closes, and what goes wrong is reported."""

    class EventLogger(Logger):
        """What hypercorn has to say: bugs in the application, nothing else."""

        def __init__(self, config: Config) -> None:
            super().__init__(config)

        async def exception(self, message: str, *args: Any, **kwargs: Any) -> None:
            report("http_failed", described(sys.exception()) or message)

    config = Config()
    config.accesslog = config.errorlog = None
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
