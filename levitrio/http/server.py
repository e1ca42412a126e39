"""The HTTP server: listens on this machine only, with a limit on connections.

A failure here never reaches the fleet: it is reported in the event log, and the server starts
again after a pause.
"""

import errno
import socket
from contextlib import suppress
from typing import Any

import attrs
import trio

from levitrio.control.server import NO_DESCRIPTORS
from levitrio.errors import UsageError
from levitrio.http.application import make_application
from levitrio.http.auth import AccessPolicy, allowed_hosts
from levitrio.http.bounded_stream import BoundedStream, make_serve
from levitrio.http.fleet_interface import WebFleetApi
from levitrio.http.live_updates import LiveUpdates
from levitrio.http.middleware import described

MAX_CONNECTIONS = 96
"""A browser opens six per page; the journal and the control socket need descriptors too."""

PAUSE_FIRST, PAUSE_MAX = 1.0, 60.0
"""Seconds before serving again after a failure; doubled after each."""


def listen(bind: str) -> socket.socket:
    """Open a listening socket for `host:port` of fleet.toml; the caller closes it.

    Raises:
        UsageError: The address cannot be bound.
    """
    host, _, port = bind.rpartition(":")
    # Never resolved by name: /etc/hosts could map localhost to another address.
    host = "127.0.0.1" if host == "localhost" else host.strip("[]")
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"[http] bind: expected a free address, {bind} is not: {error.strerror}; "
            "name another port in fleet.toml"
        ) from None
    return listener


def access_to(listener: socket.socket, token: str | None) -> AccessPolicy:
    """The access rules of a server on this socket."""
    address, port = listener.getsockname()[:2]
    return AccessPolicy(hosts=allowed_hosts(address, port), token=token)


@attrs.define(eq=False, kw_only=True)
class WebServer:
    """Serves the page and the REST calls of one fleet."""

    fleet: WebFleetApi
    access: AccessPolicy
    _streams: set[BoundedStream] = attrs.field(factory=set, init=False)

    async def run(
        self,
        listener: socket.socket,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled; the maker of the listener closes it.

        Cancelling closes every connection at once, also those whose client has stalled.
        """
        pause = PAUSE_FIRST
        # Commands run in the outer nursery, so a failure of the page does not cancel them.
        async with trio.open_nursery() as commands:
            task_status.started()  # the listener listens: a client that connects is served soon
            while True:
                begun = trio.current_time()
                try:
                    await self._serve(listener, commands)
                except BaseException as error:  # noqa: BLE001  only bugs stay here
                    self.fleet.report("http_failed", described(_only_bugs(error)))
                if trio.current_time() - begun > PAUSE_MAX:
                    pause = PAUSE_FIRST
                await trio.sleep(pause)
                pause = min(PAUSE_MAX, pause * 2)

    async def _serve(self, listener: socket.socket, commands: trio.Nursery) -> None:
        live = LiveUpdates(self.fleet)
        application = make_application(self.fleet, self.access, live, commands)
        serve = make_serve(application, self.fleet.report)
        # A duplicate, because closing it must not close the listener, which serves again later.
        accepting = trio.socket.from_stdlib_socket(listener.dup())
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(live.run)
                while True:
                    connection = await self._accept(accepting)
                    if connection is not None:
                        nursery.start_soon(self._serve_one, connection, serve)
        finally:
            accepting.close()
            self._drop_all()

    async def _accept(self, accepting: trio.socket.SocketType) -> trio.socket.SocketType | None:
        try:
            connection, _ = await accepting.accept()
        except OSError as error:
            if error.errno not in NO_DESCRIPTORS and error.errno != errno.ECONNABORTED:
                raise
            await trio.sleep(0.1)  # a descriptor may become free
            return None
        # Accepted and closed, not left in the backlog, where it would wait for its timeout.
        if len(self._streams) >= MAX_CONNECTIONS:
            connection.close()
            return None
        return connection

    async def _serve_one(self, connection: trio.socket.SocketType, serve: Any) -> None:
        stream = BoundedStream(trio.SocketStream(connection))
        self._streams.add(stream)
        try:
            await self._until_left(serve, stream)
        except BaseException as error:  # noqa: BLE001  only bugs stay here
            bug = _only_bugs(error)
            if not _is_disconnection(bug):
                self.fleet.report("http_failed", described(bug))
        finally:
            self._streams.discard(stream)
            stream.drop()

    async def _until_left(self, serve: Any, stream: BoundedStream) -> None:
        """Serve until the client leaves; cancelling closes the socket under a shielded send."""
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                try:
                    await stream.left.wait()
                    nursery.cancel_scope.cancel()
                finally:
                    stream.drop()

            await serve(stream)
            nursery.cancel_scope.cancel()

    def _drop_all(self) -> None:
        for stream in self._streams:
            with suppress(OSError):
                stream.drop()


def _only_bugs(error: BaseException) -> Exception:
    """The bugs in an error; raises the rest, a cancellation or Ctrl-C, when there is any."""
    if isinstance(error, BaseExceptionGroup):
        bugs, rest = error.split(Exception)
        if rest is not None:
            raise rest
        error = bugs if bugs is not None else error
    if not isinstance(error, Exception):
        raise error
    return error


def _is_disconnection(error: Exception) -> bool:
    if isinstance(error, ExceptionGroup):
        return all(_is_disconnection(inner) for inner in error.exceptions)
    return isinstance(error, OSError | trio.BrokenResourceError | trio.ClosedResourceError)
