"""The control server on a real socket: accepted clients, limits, and the operator beyond them."""

import errno
import json
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from levitrio.control import error_codes, server
from levitrio.control.fleet_interface import Peer
from levitrio.control.server import MAX_CLIENTS
from levitrio.control.session import ClientSession
from tests.control.fakes import FakeFleet
from tests.control.serving import Recorder, private_directory, serving

STOP = b'{"jsonrpc":"2.0","id":1,"method":"stop","params":{"all":true}}\n'
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'


@pytest.fixture
def place() -> Iterator[Path]:
    with private_directory() as path:
        yield path / "demo.sock"


def fleet() -> FakeFleet:
    return FakeFleet({"BTCUSDT": "running"})


async def ask(path: Path, line: bytes) -> Any:
    """One question on a connection of its own; None when the server only closed it."""
    with trio.fail_after(5):
        async with await trio.open_unix_socket(str(path)) as stream:
            await stream.send_all(line)
            answer = b""
            with suppress(trio.BrokenResourceError):  # closed with our words unread
                async for piece in stream:
                    answer += piece
                    if answer.endswith(b"\n"):
                        break
    return json.loads(answer) if answer else None


async def test_a_client_is_known_by_the_kernel(place: Path) -> None:
    """Pid and uid of the command are those of the socket's other end."""
    of = fleet()
    async with serving(of, place, Recorder()):
        assert (await ask(place, STOP))["result"]["ok"] is True
    assert of.commands[0][2] == Peer(pid=os.getpid(), uid=os.geteuid())
    assert place.name not in os.listdir(place.parent)  # noqa: PTH208  no await for one name


async def test_another_user_is_hung_up_on_before_a_word(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is read of what it sends, and the log has its uid."""
    log = Recorder()
    monkeypatch.setattr(server, "peer_of", lambda _: Peer(pid=1, uid=os.geteuid() + 1))
    async with serving(fleet(), place, log):
        assert await ask(place, b"") is None
    assert log.logged[0][0] == "control_peer_refused"


async def test_stalled_clients_do_not_keep_an_operator_out(place: Path) -> None:
    """Seven times the limit, silent or with half a line: stop is answered within a second."""
    of = fleet()
    stalled: list[trio.SocketStream] = []
    async with serving(of, place, Recorder()):
        for number in range(MAX_CLIENTS + 200):
            stream = await trio.open_unix_socket(str(place))
            if number % 2:
                await stream.send_all(b'{"jsonrpc"')
            stalled.append(stream)
        with trio.fail_after(1):
            answer = await ask(place, STOP)
        assert answer["result"]["ok"] is True
        assert (await ask(place, PING))["error"]["code"] == error_codes.BUSY
        for stream in stalled:
            await stream.aclose()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert (await ask(place, PING))["result"]["fleet"] == "demo"


async def test_newcomers_make_room_for_each_other(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At both limits the oldest silent newcomer is closed at once."""
    monkeypatch.setattr(server, "MAX_CLIENTS", 0)
    monkeypatch.setattr(server, "MAX_NEWCOMERS", 1)
    of = fleet()
    of.slow = 0.2
    async with serving(of, place, Recorder()):
        silent = await trio.open_unix_socket(str(place))
        await trio.testing.wait_all_tasks_blocked()
        busy = await trio.open_unix_socket(str(place))
        await busy.send_all(STOP)
        assert not (await silent.receive_some()).startswith(b'{"jsonrpc":"2.0","id":1')
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert await ask(place, b"\n") is None  # every newcomer has a command in flight
        assert b'"ok":true' in await busy.receive_some()
        await busy.aclose()
        await silent.aclose()


async def test_no_descriptor_is_no_end(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accepting fails for want of a descriptor: said, waited, and served after all."""
    log = Recorder()
    real = trio.socket.from_stdlib_socket

    @attrs.define
    class Failing:
        listener: trio.socket.SocketType
        failures: list[int]

        async def accept(self) -> Any:
            if self.failures:
                await trio.lowlevel.checkpoint()
                raise OSError(self.failures.pop(), "no")
            return await self.listener.accept()

    failures = [errno.EMFILE, errno.ECONNABORTED]
    monkeypatch.setattr(
        trio.socket, "from_stdlib_socket", lambda sock: Failing(real(sock), failures)
    )
    async with serving(fleet(), place, log):
        assert "result" in await ask(place, PING)
    assert [event for event, _ in log.logged] == ["control_accept_failed"] * 2


async def test_without_descriptors_operators_are_heard_one_by_one(place: Path) -> None:
    """Every open fails with EMFILE, and still each client is answered, beside a silent one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    clients: list[socket.socket] = []
    async with serving(fleet(), place, Recorder()):
        await ask(place, PING)
        # A client's end is a descriptor of this process as well: made before the limit.
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for client in clients:
            client.settimeout(5)
        silent, *others = clients
        used = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208  names
        gaps = [os.dup(0) for _ in set(range(max(used))) - set(used)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max([*used, *gaps]) + 1, hard))
        try:
            silent.connect(str(place))
            await trio.sleep(0.05)
            for client in others:
                client.connect(str(place))
                client.sendall(PING)
                answer = await trio.to_thread.run_sync(client.recv, 65536)
                assert b"result" in answer
            with pytest.raises(OSError, match="Too many open files"):
                os.dup(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in gaps:
                os.close(descriptor)
            for client in clients:
                client.close()


async def test_one_session_that_fails_is_one_session(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in here is logged, and the next client is served."""
    log = Recorder()
    run = ClientSession.run
    bugs = [RuntimeError("bug")]

    async def failing(self: ClientSession) -> None:
        if bugs:
            await self.stream.aclose()
            raise bugs.pop()
        await run(self)

    monkeypatch.setattr(ClientSession, "run", failing)
    async with serving(fleet(), place, log):
        assert await ask(place, b"") is None
        assert "result" in await ask(place, PING)
    assert log.logged[0][0] == "control_session_failed"


async def test_a_command_that_fails_is_one_answer(place: Path) -> None:
    """An exception of a command is raised in the waiting task, not in the server's nursery."""

    class Broken(FakeFleet):
        async def command(self, *_: object) -> Any:
            raise RuntimeError("broken")

    log = Recorder()
    async with serving(Broken({"BTCUSDT": "running"}), place, log):
        assert (await ask(place, STOP))["error"]["code"] == error_codes.INTERNAL_ERROR
        assert "result" in await ask(place, PING)
    assert "broken" in str(log.logged)


async def test_descriptors_sent_along_are_not_kept(place: Path) -> None:
    """SCM_RIGHTS: the kernel drops descriptors that the server does not receive."""
    async with serving(fleet(), place, Recorder()):
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  counting, nothing more
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(place))
            socket.send_fds(client, [PING], [0, 1, 2])
            client.setblocking(False)
            with trio.fail_after(2):
                await trio.lowlevel.wait_readable(client)
            assert b"demo" in client.recv(1000)
            assert len(os.listdir("/proc/self/fd")) <= before + 2  # noqa: PTH208
