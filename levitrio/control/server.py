"""The control socket's shell: accepts clients, knows who they are, bounds how many.

32 clients are served. When they are all there, a newcomer may still say one line, and is
heard if that is stop, halt or shutdown; so no number of stalled clients keeps an operator out.
Nor does a process without free descriptors: one is reserved, for one client after the other.
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
"""Clients beyond the house's size that are being heard; the oldest silent one makes room."""
_NO_DESCRIPTORS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}


def peer_of(connection: socket.socket | trio.socket.SocketType) -> Peer:
    """Who is at the other end, as the kernel recorded it at connect."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid, uid, _ = struct.unpack("3i", credentials)
    return Peer(pid=pid, uid=uid)


async def carry_out(nursery: trio.Nursery, work: Callable[[], Awaitable[Any]]) -> Any:
    """Run a command in `nursery`: whoever waits here may be cancelled, the command is not.

    Returns what it returned, or raises the Exception it raised.
    """
    done = trio.Event()
    found: list[Any] = []
    failed: list[Exception] = []

    async def run() -> None:
        try:
            found.append(await work())
        except Exception as error:  # noqa: BLE001  handed to whoever asked
            failed.append(error)
        finally:
            done.set()

    nursery.start_soon(run)
    await done.wait()
    if failed:
        raise failed.pop()
    return found[0]


@attrs.frozen(kw_only=True)
class ServerStatistics:
    """Who is in the house."""

    clients: int
    newcomers: int
    """Beyond the house's size, being heard."""
    refused: int
    """Turned away so far: another user, or no room."""


@attrs.define(eq=False)
class ControlServer:
    """Serves one fleet. `log` is told what goes wrong in here."""

    fleet: FleetApi
    log: Log
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    _clients: int = attrs.field(default=0, init=False)
    _newcomers: dict[ClientSession, trio.CancelScope] = attrs.field(factory=dict, init=False)
    _refused: int = attrs.field(default=0, init=False)
    _reserve: ReservedDescriptor = attrs.field(factory=ReservedDescriptor, init=False)

    async def run(
        self,
        listener: socket.socket,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve `listener` until cancelled; whoever made it closes it.

        `started()` is called when clients are being accepted. Cancelling ends every session;
        commands that were begun are cancelled with it, so the fleet stops this one last.
        """
        with self._reserve:
            await self._accept(listener, task_status)

    async def _accept(self, listener: socket.socket, task_status: trio.TaskStatus[None]) -> None:
        accepting = trio.socket.from_stdlib_socket(listener)
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            while True:
                # Without free descriptors accepting fails although nobody is there to accept.
                await trio.lowlevel.wait_readable(listener)
                try:
                    connection, _ = await accepting.accept()
                except OSError as error:
                    if error.errno not in _NO_DESCRIPTORS and error.errno != errno.ECONNABORTED:
                        raise
                    self.log("control_accept_failed", error=str(error))
                    is_room = error.errno in _NO_DESCRIPTORS and self._reserve.spend()
                    # Whoever came a moment ago on the reserve is about to say its line.
                    is_patient = len(self._newcomers) < 2
                    if not is_room and (is_patient or not self._make_room()):
                        await trio.sleep(0.1)  # a descriptor may come free; the fleet goes on
                        self._reserve.keep()
                        if self._reserve.is_spent:
                            self._make_room()
                    await trio.lowlevel.checkpoint()
                    continue
                peer = peer_of(connection)
                if peer.uid != os.geteuid():
                    self._refused += 1
                    self.log("control_peer_refused", pid=peer.pid, uid=peer.uid)
                    connection.close()
                    continue
                stream = LocalStream(socket.socket(fileno=connection.detach()))
                self._nursery.start_soon(self.serve, stream, peer)

    async def serve(self, stream: trio.abc.Stream, peer: Peer) -> None:
        """Serve one client to its end and close it; what goes wrong stays here."""
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
                await self._hear(session)
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

    def statistics(self) -> ServerStatistics:
        """A frozen view, cheap."""
        return ServerStatistics(
            clients=self._clients, newcomers=len(self._newcomers), refused=self._refused
        )

    def _make_room(self) -> bool:
        """Hang up on the oldest newcomer that is not having a command carried out."""
        silent = next((other for other in self._newcomers if not other.in_flight), None)
        if silent is not None:
            self._newcomers.pop(silent).cancel()
        return silent is not None

    async def _hear(self, session: ClientSession) -> None:
        """Serve one that is asked to leave when there is no room for the next."""
        if session.urgent_only:
            self._refused += 1
        if len(self._newcomers) >= MAX_NEWCOMERS and not self._make_room():
            await trio.aclose_forcefully(session.stream)
            return
        with trio.CancelScope() as scope:
            self._newcomers[session] = scope
            try:
                await session.run()
            finally:
                self._newcomers.pop(session, None)
