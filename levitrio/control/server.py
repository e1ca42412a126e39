"""The control socket's server: accepts clients, checks their user, limits their number.

At most 32 clients are served. Beyond this limit a new client may still send one line, which is
obeyed if it is stop, halt or shutdown; so stalled clients cannot lock an operator out. Neither
can a process that has run out of descriptors: one is reserved, for one client after another.
"""

import errno
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import attrs
import trio

from levitrio.control.fleet_interface import FleetApi, Peer
from levitrio.control.session import ClientSession, Log
from levitrio.control.unix_stream import LocalStream
from levitrio.records.locks.reserve_descriptor import ReservedDescriptor

MAX_CLIENTS = 32
MAX_NEWCOMERS = 32
"""Clients beyond `MAX_CLIENTS` that may send one line; the oldest idle one is closed for more."""
NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""Errors of `accept` that pass: the process or the system has no descriptor or memory left."""


def peer_of(connection: socket.socket | trio.socket.SocketType) -> Peer:
    """Process and user at the other end, as the kernel recorded them at connect."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid, uid, _ = struct.unpack("3i", credentials)
    return Peer(pid=pid, uid=uid)


async def carry_out(nursery: trio.Nursery, work: Callable[[], Awaitable[Any]]) -> Any:
    """Run a command in `nursery` and wait for it; cancelling the wait does not cancel the command.

    Returns what it returned, or raises the Exception it raised.
    """
    done = trio.Event()
    found: list[Any] = []
    failed: list[Exception] = []

    async def run() -> None:
        try:
            found.append(await work())
        except Exception as error:  # noqa: BLE001  raised in the waiting task
            failed.append(error)
        finally:
            done.set()

    nursery.start_soon(run)
    await done.wait()
    if failed:
        raise failed.pop()
    return found[0]


@attrs.define(eq=False)
class ControlServer:
    """Serves one fleet; `log` receives the server's own errors."""

    fleet: FleetApi
    log: Log
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    _clients: int = attrs.field(default=0, init=False)
    """Served without restriction; at most `MAX_CLIENTS`."""
    _newcomers: dict[ClientSession, trio.CancelScope] = attrs.field(factory=dict, init=False)
    _reserve: ReservedDescriptor = attrs.field(factory=ReservedDescriptor, init=False)

    async def run(
        self,
        listener: socket.socket,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve `listener` until cancelled; its maker closes it.

        `started()` is called when clients are being accepted. Cancelling ends every session and
        cancels the commands that run, so the fleet stops this server last.
        """
        with self._reserve:
            await self._accept(listener, task_status)

    async def _accept(self, listener: socket.socket, task_status: trio.TaskStatus[None]) -> None:
        accepting = trio.socket.from_stdlib_socket(listener)
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            while True:
                # Without free descriptors `accept` fails even when no client is waiting.
                await trio.lowlevel.wait_readable(listener)
                try:
                    connection, _ = await accepting.accept()
                except OSError as error:
                    if error.errno not in NO_DESCRIPTORS and error.errno != errno.ECONNABORTED:
                        raise
                    self.log("control_accept_failed", error=str(error))
                    is_room = error.errno in NO_DESCRIPTORS and self._reserve.spend()
                    # A client just accepted on the reserved descriptor is about to send its line.
                    is_patient = len(self._newcomers) < 2
                    if not is_room and (is_patient or not self._make_room()):
                        await trio.sleep(0.1)  # a descriptor may come free; the fleet goes on
                        self._reserve.keep()
                        if self._reserve.is_spent:
                            self._make_room()
                    await trio.lowlevel.checkpoint()
                    continue
                peer = peer_of(connection)
                # The directory is 0700 already; root, or a descriptor passed on, still gets here.
                if peer.uid != os.geteuid():
                    self.log("control_peer_refused", pid=peer.pid, uid=peer.uid)
                    connection.close()
                    continue
                # Detached from trio's socket object: LocalStream owns the descriptor alone.
                stream = LocalStream(socket.socket(fileno=connection.detach()))
                self._nursery.start_soon(self.serve, stream, peer)

    async def serve(self, stream: trio.abc.Stream, peer: Peer) -> None:
        """Serve one client to its end and close it; errors are logged, not raised."""
        assert self._nursery is not None
        session = ClientSession(
            fleet=self.fleet,
            stream=stream,
            peer=peer,
            carry_out=partial(carry_out, self._nursery),
            log=self.log,
            urgent_only=self._clients >= MAX_CLIENTS,
        )
        try:
            if session.urgent_only or self._reserve.is_spent:
                await self._serve_newcomer(session)
            else:
                self._clients += 1
                try:
                    await session.run()
                finally:
                    self._clients -= 1
        except Exception as error:  # noqa: BLE001  one client's bug must not take the server down
            self.log("control_session_failed", error=f"{type(error).__name__}: {error}"[:2000])
        finally:
            self._reserve.keep()

    def _make_room(self) -> bool:
        """Close the oldest newcomer that has no command in flight; whether there was one."""
        silent = next((other for other in self._newcomers if not other.in_flight), None)
        if silent is not None:
            # Removed here, not by its task, so that the next call does not choose it again.
            self._newcomers.pop(silent).cancel()
        return silent is not None

    async def _serve_newcomer(self, session: ClientSession) -> None:
        """Serve a client beyond the limit; `_make_room` may close it for the next one."""
        if len(self._newcomers) >= MAX_NEWCOMERS and not self._make_room():
            await trio.aclose_forcefully(session.stream)
            return
        with trio.CancelScope() as scope:
            self._newcomers[session] = scope
            try:
                await session.run()
            finally:
                self._newcomers.pop(session, None)
