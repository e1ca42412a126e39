"""REST, market streams and WS API on one port, over memory streams in virtual time."""

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MemorySendStream, MockClock, memory_stream_pair
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from levitrio.venues.binance.orders.signing import HmacKey, ws_payload
from levitrio.venues.simulator.exchange.accounts import ApiKey
from levitrio.venues.simulator.exchange.faults import Faults
from levitrio.venues.simulator.server.simulator import Simulator
from tests.venues.simulator.recordings import quote_line, trade_line, write
from tests.venues.simulator.venues import rest_query

NOW = 1_750_000_000.0
SYMBOL = "BTCUSDT"


@attrs.define(eq=False)
class Harness:
    """A simulator that plays, and ways to knock at it."""

    simulator: Simulator
    nursery: trio.Nursery
    start: float = attrs.field(factory=trio.current_time)

    def line(self) -> trio.StapledStream[Any, Any]:
        ours, theirs = memory_stream_pair()
        self.nursery.start_soon(self.simulator.handle, ours)
        return theirs

    async def websocket(self, target: str) -> WebSocketConnection:
        return await wrap_client_stream(
            self.nursery,
            self.line(),  # type: ignore[arg-type]
            "simulator",
            target,
            message_queue_size=10_000,
        )

    async def http(self, verb: str, target: str, body: str = "", key: str = "") -> tuple[int, Any]:
        """One request on a line of its own."""
        line = self.line()
        await line.send_all(request(verb, target, body=body, key=key, more="Connection: close"))
        received = b""
        while data := await line.receive_some():
            received += bytes(data)
        head, _, answer = received.partition(b"\r\n\r\n")
        return int(head.split()[1]) if head else 0, json.loads(answer) if answer else None

    async def signed(self, verb: str, path: str, **params: Any) -> tuple[int, Any]:
        query = rest_query({"timestamp": self.now_ms(), **params})
        query += f"&signature={HmacKey('S').sign(query)}"
        return await self.http(verb, f"/api/v3/{path}?{query}", key="K")

    def now_ms(self) -> int:
        return int((NOW + trio.current_time() - self.start) * 1000)


def request(verb: str, target: str, *, body: str = "", key: str = "", more: str = "") -> bytes:
    lines = [f"{verb} {target} HTTP/1.1", "Host: simulator", f"Content-Length: {len(body)}"]
    lines += [f"X-MBX-APIKEY: {key}"] if key else []
    lines += [more] if more else []
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


@asynccontextmanager
async def harness(**arguments: Any) -> AsyncIterator[Harness]:
    start = trio.current_time()
    simulator = Simulator(
        seed=7,
        wall_clock=lambda: NOW + trio.current_time() - start,
        keys=(ApiKey.of("K", "S"),),
        balances={"USDT": Decimal(100_000), "BTC": Decimal(1)},
        **arguments,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.play)
        nursery.start_soon(simulator.run_timers)
        yield Harness(simulator, nursery, start)
        nursery.cancel_scope.cancel()


async def ask(client: WebSocketConnection, now_ms: int, method: str, **params: Any) -> Any:
    sent: dict[str, Any] = {"apiKey": "K", "timestamp": now_ms, **params}
    sent["signature"] = HmacKey("S").sign(ws_payload(sent))
    await client.send_message(json.dumps({"id": 1, "method": method, "params": sent}))
    return json.loads(await client.get_message())


async def read_to_the_end(client: WebSocketConnection) -> None:
    while True:
        await client.get_message()


def buy(**params: Any) -> dict[str, Any]:
    return {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.01", **params}


async def test_many_requests_and_a_websocket_on_one_line(autojump_clock: MockClock) -> None:
    """A connection kept alive answers one after the other, and may then turn into a stream."""
    async with harness() as at:
        line = at.line()
        for _ in range(3):
            await line.send_all(request("GET", "/api/v3/time"))
            answer = bytes(await line.receive_some())
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"X-MBX-USED-WEIGHT-1M: " in answer
        client = await wrap_client_stream(
            at.nursery,
            line,  # type: ignore[arg-type]
            "simulator",
            "/ws/btcusdt@trade",
        )
        assert json.loads(await client.get_message())["e"] == "trade"


async def test_requests_in_one_piece_and_in_single_bytes(autojump_clock: MockClock) -> None:
    """How a request is cut makes no difference; two in one piece get two answers."""
    ping = request("GET", "/api/v3/ping")
    async with harness() as at:
        line = at.line()
        await line.send_all(ping + ping)
        received = b""
        while received.count(b"200 OK") < 2:
            received += bytes(await line.receive_some())
        line = at.line()
        for byte in ping:
            await line.send_all(bytes([byte]))
        assert b"200 OK" in bytes(await line.receive_some())


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request("POST", "/api/v3/order", body="x" * 1_100_000), b"413"),
        (
            b"POST /api/v3/order HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"400",
        ),
        (request("GET", "/sapi/v1/x", more="Connection: close"), b"404"),
        (request("HEAD", "/api/v3/nothing", more="Connection: close"), b"404"),
    ],
)
async def test_bad_http(sent: bytes, status: bytes, autojump_clock: MockClock) -> None:
    """Too long, malformed, unknown: an answer, and the end of the connection."""
    async with harness() as at:
        line = at.line()
        assert isinstance(line.send_stream, MemorySendStream)
        await line.send_all(sent)
        received = b""
        with trio.fail_after(5):
            while data := await line.receive_some():
                received += bytes(data)
        assert received.split()[1] == status


async def test_a_silent_line_is_closed(autojump_clock: MockClock) -> None:
    """After an answer a client has a minute to ask again."""
    async with harness() as at:
        line = at.line()
        await line.send_all(request("GET", "/api/v3/ping"))
        await line.receive_some()
        before = trio.current_time()
        assert await line.receive_some() == b""
        assert trio.current_time() - before == pytest.approx(60)


async def test_an_order_and_its_events(autojump_clock: MockClock) -> None:
    """Placed by REST, sent on the account's WS API connection: ack and events, the ack first."""
    async with harness() as at:
        client = await at.websocket("/ws-api/v3")
        subscribed = await ask(client, at.now_ms(), "userDataStream.subscribe.signature")
        assert subscribed["result"] == {"subscriptionId": 0}
        status, answer = await at.signed("POST", "order", **buy())
        assert (status, answer["status"]) == (200, "FILLED")
        kinds = [json.loads(await client.get_message())["event"]["e"] for _ in range(3)]
        assert kinds == ["executionReport", "executionReport", "outboundAccountPosition"]
        placed = await ask(client, at.now_ms(), "order.place", **buy())
        assert placed["result"]["status"] == "FILLED"
        assert "event" in json.loads(await client.get_message())


async def test_events_may_come_before_the_answer(autojump_clock: MockClock) -> None:
    """On demand, because a client must survive it."""
    async with harness(faults=Faults(events_first=True)) as at:
        client = await at.websocket("/ws-api/v3")
        await ask(client, at.now_ms(), "userDataStream.subscribe.signature")
        assert "event" in await ask(client, at.now_ms(), "order.place", **buy())


async def test_the_tape_fills_what_rests(autojump_clock: MockClock) -> None:
    """A buy at the bid waits for a trade of the tape, without a listener, and the
    market's time is the tape's."""
    async with harness() as at:
        client = await at.websocket("/ws-api/v3")
        await ask(client, at.now_ms(), "userDataStream.subscribe.signature")
        _, quote = await at.http("GET", f"/api/v3/ticker/bookTicker?symbol={SYMBOL}")
        placed = await ask(
            client,
            at.now_ms(),
            "order.place",
            **buy(type="LIMIT", timeInForce="GTC", price=quote["bidPrice"][:-6]),
        )
        assert placed["result"]["status"] == "NEW"
        with trio.fail_after(600):
            while True:
                event = json.loads(await client.get_message())["event"]
                if event.get("X") == "FILLED":
                    break
        assert event["m"]
        assert abs(event["T"] - at.now_ms()) < 1_000
        _, trades = await at.http("GET", f"/api/v3/trades?symbol={SYMBOL}&limit=1")
        assert abs(trades[0]["time"] - at.now_ms()) < 2_000


async def test_a_snapshot_meets_the_stream(autojump_clock: MockClock) -> None:
    """Right after subscribing, a snapshot is no older than what the first event follows."""
    async with harness() as at:
        busy = await at.websocket("/ws/btcusdt@trade")
        for _ in range(5):
            await busy.get_message()
            client = await at.websocket("/ws/btcusdt@depth@100ms")
            _, snapshot = await at.http("GET", f"/api/v3/depth?symbol={SYMBOL}")
            event = json.loads(await client.get_message())
            assert event["U"] <= snapshot["lastUpdateId"] + 1
            await client.aclose()


async def test_a_client_of_the_api_gets_a_weight(autojump_clock: MockClock) -> None:
    """Opening a WS API connection costs two; once the weight is used up it is refused."""
    async with harness() as at:
        await at.websocket("/ws-api/v3")
        window = at.simulator.venue.weights.window
        assert window.used(at.now_ms()) == 2
        window.add(6_000, at.now_ms())
        line = at.line()
        await line.send_all(
            request(
                "GET",
                "/ws-api/v3",
                more="Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            ).replace(b"Content-Length: 0\r\n", b"")
        )
        assert bytes(await line.receive_some()).startswith(b"HTTP/1.1 429")


async def test_a_connection_is_cut_every_few_seconds(autojump_clock: MockClock) -> None:
    """Without a closing handshake; the next one works, and is cut as well."""
    async with harness(faults=Faults(disconnect_every=5.0)) as at:
        for target in ("/ws/btcusdt@trade", "/ws-api/v3"):
            client = await at.websocket(target)
            before = trio.current_time()
            with pytest.raises(ConnectionClosed) as caught:
                await read_to_the_end(client)
            assert trio.current_time() - before == pytest.approx(5, abs=0.1)
            assert caught.value.reason is not None
            assert caught.value.reason.code == 1006


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/ws", {"e": "serverShutdown"}),
        ("/stream?streams=", {"stream": "!serverShutdown"}),
        ("/ws-api/v3", {"event": {"e": "serverShutdown"}}),
    ],
)
async def test_a_day_ends_with_a_notice_and_a_close(
    target: str, expected: dict[str, Any], autojump_clock: MockClock
) -> None:
    """`serverShutdown` in the connection's own shape, then a proper close."""
    async with harness(faults=Faults(cut_after=60.0, shutdown_notice=10.0)) as at:
        client = await at.websocket(target)
        before = trio.current_time()
        received = json.loads(await client.get_message())
        assert trio.current_time() - before == pytest.approx(50, abs=0.1)
        assert received.keys() >= expected.keys()
        assert "serverShutdown" in json.dumps(received)
        with pytest.raises(ConnectionClosed) as caught:
            await client.get_message()
        assert trio.current_time() - before == pytest.approx(60, abs=0.1)
        assert caught.value.reason is not None
        assert caught.value.reason.code == 1001


async def test_faults_change_while_connections_are_open(autojump_clock: MockClock) -> None:
    """What is demanded at /sim/faults holds at once, also for those already there."""
    async with harness() as at:
        client = await at.websocket("/ws/btcusdt@trade/ethusdt@trade")
        await client.get_message()
        status, faults = await at.http("POST", "/sim/faults", '{"stall": "btcusdt@trade"}')
        assert (status, faults["stall"]) == (200, "btcusdt@trade")
        symbols = [json.loads(await client.get_message())["s"] for _ in range(20)]
        assert set(symbols[10:]) == {"ETHUSDT"}
        await at.http("POST", "/sim/faults", '{"disconnect_every": 1.0}')
        before = trio.current_time()
        with pytest.raises(ConnectionClosed):
            await read_to_the_end(client)
        assert trio.current_time() - before < 1


async def test_gaps_duplicates_and_garbage(autojump_clock: MockClock) -> None:
    """Every third left out, every fourth twice, noise before every fifth: of this stream alone."""
    faults = Faults(gap_every=3, duplicate_every=4, garbage_every=5)
    async with harness(faults=faults) as at:
        client = await at.websocket("/stream?streams=btcusdt@trade")
        frames = [await client.get_message() for _ in range(9)]
    received: list[int] = []
    for frame in frames:
        try:
            received.append(json.loads(frame)["data"]["t"])
        except ValueError:
            received.append(-1)
    first = received[0]
    assert [each if each < 0 else each - first for each in received] == [0, 1, 3, 3, -1, 4, 6, 7, 7]


async def test_a_lost_reply_ends_the_connection(autojump_clock: MockClock) -> None:
    """By REST and WS API; the order is there, and another connection gets the event."""
    async with harness(faults=Faults(lost_reply_every=1)) as at:
        other = await at.websocket("/ws-api/v3")
        await ask(other, at.now_ms(), "userDataStream.subscribe.signature")
        client = await at.websocket("/ws-api/v3")
        with pytest.raises(ConnectionClosed):
            await ask(client, at.now_ms(), "order.place", **buy(newClientOrderId="one"))
        assert json.loads(await other.get_message())["event"]["c"] == "one"
        assert await at.signed("POST", "order", **buy(newClientOrderId="two")) == (0, None)
        status, _ = await at.signed("GET", "order", symbol=SYMBOL, origClientOrderId="two")
        assert status == 200


async def test_a_late_order_arrives_by_itself(autojump_clock: MockClock) -> None:
    """Although its sender is gone: after its time it is there, and the account gets the event."""
    async with harness(faults=Faults(late_every=1, late_by=2.0)) as at:
        other = await at.websocket("/ws-api/v3")
        await ask(other, at.now_ms(), "userDataStream.subscribe.signature")
        status, answer = await at.signed("POST", "order", **buy(newClientOrderId="one"))
        assert (status, answer["code"]) == (504, -1007)
        query = {"symbol": SYMBOL, "origClientOrderId": "one"}
        assert (await at.signed("GET", "order", **query))[1]["code"] == -2013
        before = trio.current_time()
        assert json.loads(await other.get_message())["event"]["c"] == "one"
        assert trio.current_time() - before == pytest.approx(2, abs=0.1)
        assert (await at.signed("GET", "order", **query))[0] == 200


async def test_orders_against_a_recording(autojump_clock: MockClock, tmp_path: Path) -> None:
    """What was played is the market: its touch is taken, its trades fill what rests."""
    lines = [quote_line(number, after_ms=number * 100) for number in range(50)]
    lines += [trade_line(number, after_ms=number * 100 + 50) for number in range(50)]
    path = write(tmp_path / "a", *lines)
    async with harness(recordings=[path]) as at:
        _, answer = await at.signed("POST", "order", **buy())
        assert answer == {"code": -2010, "msg": "Market is closed."}
        client = await at.websocket("/ws/btcusdt@trade")
        for _ in range(3):
            await client.get_message()
        _, quote = await at.http("GET", f"/api/v3/ticker/bookTicker?symbol={SYMBOL}")
        assert quote["askPrice"] == "101.0"
        _, answer = await at.signed("POST", "order", **buy(quantity="0.1"))
        assert answer["fills"][0]["price"] == "101.00000000"
        _, candles = await at.http("GET", f"/api/v3/klines?symbol={SYMBOL}&interval=1m")
        assert candles[-1][8] >= 3
        _, trades = await at.http("GET", f"/api/v3/aggTrades?symbol={SYMBOL}&limit=2")
        assert trades[-1]["a"] >= 2
        assert (await at.http("GET", f"/api/v3/depth?symbol={SYMBOL}"))[1]["bids"]
        _, day = await at.http("GET", f"/api/v3/ticker/24hr?symbol={SYMBOL}")
        _, hour = await at.http("GET", f"/api/v3/ticker?symbol={SYMBOL}&windowSize=1h")
        _, mini = await at.http("GET", f"/api/v3/ticker?symbols=[%22{SYMBOL}%22]&type=MINI")
        assert day["count"] == hour["count"] >= 3
        assert day["openTime"] == hour["openTime"] - 23 * 3_600_000
        assert hour.keys() - mini[0].keys() == {
            "priceChange",
            "priceChangePercent",
            "weightedAvgPrice",
        }
        assert day.keys() > hour.keys() > mini[0].keys()
        assert (await at.http("GET", "/api/v3/ticker/price?symbol=ETHUSDT"))[1]["code"] == -1121


async def test_market_time_at_unbounded_speed(autojump_clock: MockClock) -> None:
    """There is no pace: the present is what was published last, and orders still work."""
    async with harness(speed=math.inf) as at:
        client = await at.websocket("/ws/btcusdt@trade")
        trade = json.loads(await client.get_message())
        _, answer = await at.signed("POST", "order", **buy())
        assert answer["status"] == "FILLED"
        assert answer["transactTime"] >= trade["T"]
