"""The network shell. Over memory streams in virtual time; over a real socket where that counts."""

import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair
from trio_websocket import (
    WebSocketConnection,
    open_websocket_url,
    wrap_client_stream,
)

from levitrio.errors import UsageError
from levitrio.venues.simulator.server.simulator import PING_SECONDS, PONG_SECONDS, Simulator
from tests.venues.simulator.recordings import quote_line, trade_line, write

NOW = 1_750_000_000.0

HANDSHAKE = (
    "GET {} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

Events = list[tuple[str, str]]


def simulator(events: Events | None = None, **arguments: Any) -> Simulator:
    reported = events if events is not None else []
    arguments.setdefault("seed", 7)
    return Simulator(
        wall_clock=lambda: NOW,
        on_event=lambda kind, text: reported.append((kind, text)),
        **arguments,
    )


@asynccontextmanager
async def playing(simulator: Simulator) -> AsyncIterator[Callable[[str], Any]]:
    """Plays without a socket; gives a function that connects a client in memory."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.play)

        async def connect(target: str) -> WebSocketConnection:
            ours, theirs = memory_stream_pair()
            nursery.start_soon(simulator.handle, ours)
            return await wrap_client_stream(
                nursery,
                theirs,  # type: ignore[arg-type]
                "simulator",
                target,
                message_queue_size=10_000,
            )

        yield connect
        nursery.cancel_scope.cancel()


async def ask(connection: WebSocketConnection, **request: Any) -> Any:
    await connection.send_message(json.dumps(request))
    return json.loads(await connection.get_message())


async def test_a_combined_stream(autojump_clock: MockClock) -> None:
    """Trades and quotes come in their envelopes, a quote before each trade."""
    async with playing(simulator()) as connect:
        client = await connect("/stream?streams=btcusdt@trade/btcusdt@bookTicker")
        frames = [json.loads(await client.get_message()) for _ in range(8)]
    assert [frame["stream"] for frame in frames] == ["btcusdt@bookTicker", "btcusdt@trade"] * 4
    trades = [frame["data"]["t"] for frame in frames if frame["data"].get("e") == "trade"]
    assert trades == list(range(trades[0], trades[0] + 4))


async def test_the_answer_comes_before_the_first_event(autojump_clock: MockClock) -> None:
    """A client that subscribes reads its answer first, then raw payloads, then combined ones."""
    async with playing(simulator()) as connect:
        client = await connect("/ws/0")
        reply = await ask(client, method="SUBSCRIBE", params=["btcusdt@trade"], id="a-b-1")
        assert reply == {"result": None, "id": "a-b-1"}
        assert json.loads(await client.get_message())["e"] == "trade"
        reply = await ask(client, method="SET_PROPERTY", params=["combined", True], id=2)
        assert reply == {"result": None, "id": 2}
        assert json.loads(await client.get_message())["stream"] == "btcusdt@trade"
        reply = await ask(client, method="UNSUBSCRIBE", params=["btcusdt@trade"], id=3)
        assert reply == {"result": None, "id": 3}
        with trio.move_on_after(100) as silence:
            await client.get_message()
        assert silence.cancelled_caught


async def test_two_clients_get_the_same_bytes(autojump_clock: MockClock) -> None:
    """One event is one frame for all listeners."""
    expected = frozenset({"btcusdt@trade", "ethusdt@trade"})
    async with playing(simulator(expected_streams=expected)) as connect:
        one = await connect("/stream?streams=btcusdt@trade")
        other = await connect("/stream?streams=ethusdt@trade/btcusdt@trade")
        mine = [await one.get_message() for _ in range(5)]
        both = [await other.get_message() for _ in range(12)]
    assert [frame for frame in both if "btcusdt" in frame][:5] == mine


async def test_the_server_pings_and_lets_a_silent_peer_go(autojump_clock: MockClock) -> None:
    """Ping after 20 s; no pong within 60 s more ends the connection, and holds up no other."""
    events: Events = []
    ours, theirs = memory_stream_pair()
    venue = simulator(events)
    async with playing(venue):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(venue.handle, ours)
            await theirs.send_all(HANDSHAKE.format("/ws").encode())
            assert b"101" in await theirs.receive_some()
            start = trio.current_time()
            assert (await theirs.receive_some())[0] == 0x89
            assert trio.current_time() - start == pytest.approx(PING_SECONDS, abs=0.01)
            assert await theirs.receive_some() == b""
            waited = trio.current_time() - start
        assert waited == pytest.approx(PING_SECONDS + PONG_SECONDS, abs=0.01)
    assert [kind for kind, _ in events] == ["client_silent"]


async def test_a_client_that_pongs_stays(autojump_clock: MockClock) -> None:
    """An hour without a message is fine as long as pings are answered."""
    async with playing(simulator()) as connect:
        client = await connect("/ws")
        await trio.sleep(3_600)
        assert await ask(client, method="LIST_SUBSCRIPTIONS", id=1) == {"result": [], "id": 1}


@pytest.mark.parametrize("target", ["/", "/api/v3/ping", "/ws-api/v2"])
async def test_other_paths_are_not_found(target: str, autojump_clock: MockClock) -> None:
    """A path that is not ours is refused before the handshake."""
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator().handle, ours)
        await theirs.send_all(HANDSHAKE.format(target).encode())
        assert (await theirs.receive_some()).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize(
    "opening", [b"", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01garbage", b"\xff" * 99]
)
async def test_a_peer_that_never_shakes_hands_is_let_go(
    opening: bytes, autojump_clock: MockClock
) -> None:
    """Silence, half a request, TLS or noise: the handler ends by itself, quietly."""
    events: Events = []
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator(events).handle, ours)
        if opening:
            await theirs.send_all(opening)
    assert events == []


async def test_a_failing_client_ends_alone(autojump_clock: MockClock) -> None:
    """A bug in one connection is reported and takes down neither the tape nor another client."""

    class Broken(trio.abc.Stream):
        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            raise ZeroDivisionError("send")

        async def wait_send_all_might_not_block(self) -> None:
            raise NotImplementedError

        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            raise ZeroDivisionError("receive")

        async def aclose(self) -> None:
            pass

    events: Events = []
    venue = simulator(events)
    async with playing(venue) as connect:
        client = await connect("/ws/btcusdt@trade")
        await venue.handle(Broken())
        assert json.loads(await client.get_message())["e"] == "trade"
    assert events == [("client_failed", "ZeroDivisionError: receive")]


async def test_a_client_that_vanishes_is_forgotten(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """Its connection breaks in the middle of the tape: the others get all of it."""
    lines = [trade_line(number, after_ms=number * 100) for number in range(50)]
    path = write(tmp_path / "a", *lines)
    events: Events = []
    venue = simulator(
        events, recordings=[path], expected_streams=frozenset({"btcusdt@trade", "x@trade"})
    )
    async with playing(venue) as connect:
        client = await connect("/ws/btcusdt@trade")
        leaving = await connect("/stream?streams=x@trade/btcusdt@trade")
        await leaving.get_message()
        await leaving._stream.aclose()  # no closing handshake: the line is cut
        ids = [json.loads(await client.get_message())["t"] for _ in range(50)]
    assert ids == list(range(50))
    assert events == [("tape_ended", "50 trades played, 0 lines refused")]


async def test_after_the_tape_connections_stay_open(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """The market rests; the venue still answers, and says what it refused."""
    path = write(tmp_path / "a", trade_line(1), "noise", quote_line(2))
    events: Events = []
    venue = simulator(events, recordings=[path])
    async with playing(venue) as connect:
        client = await connect("/ws/btcusdt@trade")
        assert json.loads(await client.get_message())["t"] == 1
        await venue.ended.wait()
        await trio.sleep(3_600)
        assert (await ask(client, method="LIST_SUBSCRIPTIONS", id=1))["result"] == ["btcusdt@trade"]
        assert venue.market_ms == 1_700_000_001_200
    assert [kind for kind, _ in events] == ["recording_refused", "tape_ended"]
    assert events[0][1].startswith(f"{path}:2: expected")


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan, -math.inf])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    """Time neither stands still nor runs backwards."""
    with pytest.raises(UsageError, match="expected a number above 0"):
        simulator(speed=speed)


def test_a_recording_that_is_missing_is_refused(tmp_path: Path) -> None:
    """Before anything listens."""
    with pytest.raises(UsageError, match="expected a recording"):
        simulator(recordings=[tmp_path / "missing"])


async def test_a_slow_client_loses_nothing_over_a_real_socket(tmp_path: Path) -> None:
    """At unbounded speed a client that dawdles gets every trade in order, as does a quick one."""
    total = 3_000
    path = write(
        tmp_path / "a.gz", *(trade_line(number, after_ms=number) for number in range(total))
    )
    expected = frozenset({"btcusdt@trade", "btcusdt@aggTrade"})
    venue = simulator(recordings=[path], speed=math.inf, expected_streams=expected)

    async def read(streams: str, pause: int, kept: list[int]) -> None:
        async with open_websocket_url(f"{venue.url}/stream?streams={streams}") as client:
            while len(kept) < total:
                data = json.loads(await client.get_message())["data"]
                if data["e"] == "trade":
                    kept.append(data["t"])
                if len(kept) % 500 == 0:
                    for _ in range(pause):
                        await trio.lowlevel.checkpoint()

    slow: list[int] = []
    quick: list[int] = []
    with trio.fail_after(60):
        async with trio.open_nursery() as serving:
            with pytest.raises(RuntimeError, match="no url"):
                _ = venue.url
            url = await serving.start(venue.run)
            assert url == venue.url
            async with trio.open_nursery() as reading:
                reading.start_soon(read, "btcusdt@trade/btcusdt@aggTrade", 500, slow)
                reading.start_soon(read, "btcusdt@trade", 0, quick)
            assert venue.started.is_set()
            await venue.ended.wait()
            serving.cancel_scope.cancel()
    assert slow == quick == list(range(total))


async def test_a_real_server_closes_its_clients_and_frees_its_port() -> None:
    """A taken port is a usage error; after the run the port is free and clients are gone."""
    first = simulator()
    serving = trio.CancelScope()

    async def serve(*, task_status: trio.TaskStatus[str]) -> None:
        with serving:
            await first.run(task_status=task_status)

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            url = await nursery.start(serve)
            port = int(url.rpartition(":")[2])
            with pytest.raises(UsageError, match=f"port {port}: expected one that is free"):
                await simulator(port=port).run()
            async with await trio.open_tcp_stream("127.0.0.1", port) as client:
                await client.send_all(HANDSHAKE.format("/ws/btcusdt@trade").encode())
                assert b" 101 " in await client.receive_some()
                serving.cancel()
                while await client.receive_some():
                    pass
        async with trio.open_nursery() as nursery:
            assert await nursery.start(simulator(port=port).run) == url
            nursery.cancel_scope.cancel()
