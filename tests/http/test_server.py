"""The server on a real socket: keep-alive, streams, stalled readers, and its end.

Rules for network tests: a port of the system's choice, no sleeps, and every wait under a
`fail_after` that only a broken server reaches.
"""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
import trio

from levitrio.errors import UsageError
from levitrio.http import bounded_stream, server
from levitrio.http.server import WebServer, access_to, listen
from tests.http.fakes import TOKEN, FakeWebFleet, make_fleet

PATIENCE = 10.0


@attrs.frozen
class Harness:
    """A server that runs."""

    fleet: FakeWebFleet
    port: int
    scope: trio.CancelScope

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    def request(self, line: str, *more: str) -> bytes:
        lines = [f"{line} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *more, "", ""]
        return "\r\n".join(lines).encode()


@asynccontextmanager
async def serving(fleet: FakeWebFleet | None = None) -> AsyncIterator[Harness]:
    """Serve until the end of the block."""
    fleet = fleet or make_fleet()
    with trio.fail_after(PATIENCE), listen("127.0.0.1:0") as listener:
        web = WebServer(fleet=fleet, access=access_to(listener, TOKEN))
        async with trio.open_nursery() as nursery:
            await nursery.start(web.run, listener)
            yield Harness(fleet, listener.getsockname()[1], nursery.cancel_scope)
            nursery.cancel_scope.cancel()


async def read_answer(stream: trio.SocketStream) -> tuple[int, bytes]:
    """Status and body of one answer with a content-length."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = await stream.receive_some()
        assert more
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    length = next(int(x.split(":")[1]) for x in lines if x.startswith("content-length"))
    while len(body) < length:
        body += await stream.receive_some()
    return int(lines[0].split()[1]), body


async def ends(stream: trio.SocketStream) -> bool:
    """Whether the other side closes, before or after it has sent something."""
    async with stream:
        try:
            while await stream.receive_some(1 << 20):
                pass
        except trio.BrokenResourceError:
            pass
    return True


async def test_several_requests_on_one_connection() -> None:
    """Keep-alive: a status, a refusal and a command, one after the other."""
    async with serving() as harness, await harness.connect() as stream:
        await stream.send_all(harness.request("GET /engines/status"))
        status, body = await read_answer(stream)
        assert (status, json.loads(body)["total"]) == (200, 2)
        await stream.send_all(harness.request("POST /engines/stop/SOLUSDT"))
        assert (await read_answer(stream))[0] == 401
        authorization = f"Authorization: Bearer {TOKEN}"
        await stream.send_all(harness.request("POST /engines/stop/SOLUSDT", authorization))
        assert await read_answer(stream) == (
            200,
            b'{"ok":true,"symbol":"SOLUSDT","status":"stopped"}',
        )


async def test_events_flow_and_resume() -> None:
    """A page follows; when it comes back with the last id it gets what it does not have."""
    fleet = make_fleet()
    fleet.emit("fill", "one")
    async with serving(fleet) as harness:
        async with await harness.connect() as stream:
            await stream.send_all(harness.request("GET /events"))
            seen = b""
            while b"event: events" not in seen:
                seen += await stream.receive_some()
            assert b"content-type: text/event-stream" in seen.lower()
            fleet.emit("fill", "two")
            while b'"two"' not in seen:
                seen += await stream.receive_some()
            last = seen.rsplit(b"id: ", 1)[1].split(b"\n")[0].decode()
        fleet.emit("fill", "three")
        async with await harness.connect() as stream:
            await stream.send_all(harness.request("GET /events", f"Last-Event-ID: {last}"))
            seen = b""
            while b'"three"' not in seen:
                seen += await stream.receive_some()
            assert b'"two"' not in seen


async def test_a_bug_costs_one_answer() -> None:
    """It is reported with its place, and the next request is served."""
    fleet = make_fleet()
    async with serving(fleet) as harness:
        fleet.bug = RuntimeError("broken inside")
        async with await harness.connect() as stream:
            await stream.send_all(harness.request("GET /engines/status"))
            assert (await read_answer(stream))[0] == 500
        fleet.bug = None
        async with await harness.connect() as stream:
            await stream.send_all(harness.request("GET /engines/status"))
            assert (await read_answer(stream))[0] == 200
    ((kind, text),) = fleet.reported
    assert kind == "http_failed"
    assert text.startswith("RuntimeError: broken inside at fakes.py:")


async def test_a_reader_that_stalls_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """hypercorn's shielded send is under way for ever; cancelling ends the server all the same."""
    monkeypatch.setattr(bounded_stream, "WRITE_TIMEOUT", 3600.0)
    fleet = make_fleet()
    for row in fleet.rows.values():
        row["last_error"] = "x"
    fleet.name = "n" * 4_000_000
    async with serving(fleet) as harness:
        stalled = socket.create_connection(("127.0.0.1", harness.port))
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.sendall(harness.request("GET /events"))
        # Until it is being sent to: the picture is taken, and the socket's buffers are full.
        while not fleet.looked:
            await trio.testing.wait_all_tasks_blocked(0.01)
        await trio.testing.wait_all_tasks_blocked(0.2)
    stalled.close()
    assert fleet.reported == []


async def test_a_reader_that_stalls_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is closed at its deadline, and no other client waits for it."""
    monkeypatch.setattr(bounded_stream, "WRITE_TIMEOUT", 0.2)
    fleet = make_fleet()
    fleet.name = "n" * 8_000_000
    async with serving(fleet) as harness:
        stalled = socket.create_connection(("127.0.0.1", harness.port))
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.sendall(harness.request("GET /engines/status"))
        async with await harness.connect() as stream:
            await stream.send_all(harness.request("GET /risk"))
            assert (await read_answer(stream))[0] == 200
        assert await ends(trio.SocketStream(trio.socket.from_stdlib_socket(stalled)))
    assert fleet.reported == []


async def test_more_connections_than_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is closed at once; the others do not notice."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)
    async with serving() as harness:
        first, second = await harness.connect(), await harness.connect()
        for stream in (first, second):
            await stream.send_all(harness.request("GET /healthz"))
            assert (await read_answer(stream))[0] == 200
        assert await ends(await harness.connect())
        for stream in (first, second):
            await stream.aclose()


async def test_a_connection_that_was_left_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many short connections, as curl makes them: every one is served."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 4)
    async with serving() as harness:
        for _ in range(20):
            async with await harness.connect() as stream:
                await stream.send_all(harness.request("GET /healthz"))
                assert (await read_answer(stream))[0] == 200
            await trio.testing.wait_all_tasks_blocked(0.002)


async def test_garbage_is_nobodys_trouble() -> None:
    """TLS, half a request, a reset: no line in the log, the next one is served."""
    async with serving() as harness:
        for garbage in (b"\x16\x03\x01\x02\x00\x01", b"GET /", b"\r\n" * 50, b"\x00" * 70_000):
            stream = await harness.connect()
            await stream.send_all(garbage)
            await stream.aclose()
        async with await harness.connect() as stream:
            await stream.send_all(harness.request("GET /healthz"))
            assert (await read_answer(stream))[0] == 200
        assert harness.fleet.reported == []


def test_an_address_that_is_taken() -> None:
    """One line that names the setting, and nothing was started."""
    with listen("127.0.0.1:0") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"\[http\] bind: .*127.0.0.1:{port}"):
            listen(f"127.0.0.1:{port}")


def test_localhost_is_an_address() -> None:
    """The name is not looked up."""
    with listen("localhost:0") as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
