"""A venue in memory: real websockets over memory streams, so that time can be virtual."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import trio
import trio.testing
import trio_websocket

from levitrio.trading.market import Quote, Trade


class Line(trio.abc.Stream):
    """A stream that can be cut: silently, so that nothing says so, or in the middle of a frame."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.is_dead = False
        """Nothing arrives any more."""
        self.is_cut = False
        """What arrives next is the end, whatever was under way."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = await self._stream.receive_some(max_bytes)
        if self.is_dead:
            await trio.sleep_forever()
        return b"" if self.is_cut else data

    async def aclose(self) -> None:
        await self._stream.aclose()


class Session:
    """The venue's side of one connection."""

    def __init__(self, venue: "FakeVenue", stream: trio.abc.Stream, line: Line) -> None:
        self.venue = venue
        self.stream = stream
        self.line = line
        self.subscribed: set[str] = set()
        self.requests: list[dict[str, Any]] = []
        self.request_times: list[float] = []
        self.path = ""
        self.is_over = trio.Event()
        self._websocket: trio_websocket.WebSocketConnection | None = None

    async def serve(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                request = await trio_websocket.wrap_server_stream(nursery, self.stream)
                self.path = request.path
                if self.venue.http_status != 101:
                    await request.reject(self.venue.http_status)
                elif self.venue.accepts:
                    self._websocket = await request.accept()
                    await self._answer(self._websocket)
        finally:
            await trio.aclose_forcefully(self.stream)
            self.is_over.set()

    async def _answer(self, websocket: trio_websocket.WebSocketConnection) -> None:
        while True:
            try:
                request = json.loads(await websocket.get_message())
            except trio_websocket.ConnectionClosed:
                return
            self.requests.append(request)
            self.request_times.append(trio.current_time())
            if not self.venue.answers:
                continue
            names = request.get("params", [])
            reply: dict[str, Any] = {"result": None, "id": request["id"]}
            if self.venue.refused.intersection(names):
                reply = {"code": 2, "msg": "Invalid request", "id": request["id"]}
            elif request["method"] == "SUBSCRIBE":
                self.subscribed.update(names)
            elif request["method"] == "UNSUBSCRIBE":
                self.subscribed.difference_update(names)
            else:
                reply["result"] = sorted(self.subscribed)
            await self.send(json.dumps(reply, separators=(",", ":")))

    async def send(self, *frames: str | bytes) -> None:
        assert self._websocket is not None
        for frame in frames:
            await self._websocket.send_message(frame)

    async def close(self, code: int = 1001, reason: str = "") -> None:
        """End it politely."""
        assert self._websocket is not None
        await self._websocket.aclose(code, reason)

    async def cut(self) -> None:
        """End it without a closing frame."""
        await self.stream.aclose()


class FakeVenue:
    """Counts what clients do; each thing a venue can do wrong is a field."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self.sessions: list[Session] = []
        self.attempts: list[float] = []
        self.out_of_reach: Exception | None = None
        """Raised when a stream is opened."""
        self.accepts = True
        self.answers = True
        self.http_status = 101
        self.refused: set[str] = set()

    async def open_stream(self, host: str, port: int, tls: bool) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        self.attempts.append(trio.current_time())
        if self.out_of_reach is not None:
            raise self.out_of_reach
        near, far = trio.testing.memory_stream_pair()
        line = Line(near)
        session = Session(self, far, line)
        self.sessions.append(session)
        self._nursery.start_soon(session.serve)
        return line

    @property
    def open_sessions(self) -> list[Session]:
        return [session for session in self.sessions if not session.is_over.is_set()]

    async def emit(self, *frames: str) -> None:
        """Send frames to every connection that subscribed their stream."""
        for frame in frames:
            name = json.loads(frame)["stream"]
            for session in self.open_sessions:
                if name in session.subscribed:
                    await session.send(frame)
        await trio.testing.wait_all_tasks_blocked()


@contextmanager
def raises_one(kind: type[BaseException], match: str) -> Iterator[None]:
    """As `pytest.raises`, for an error that comes out of a nursery alone."""
    import pytest

    with pytest.RaisesGroup(pytest.RaisesExc(kind, match=match), flatten_subgroups=True):
        yield


def trade_frame(symbol: str, trade_id: int, time: int = 1723161255342) -> str:
    data = {
        "e": "trade",
        "E": time,
        "s": symbol,
        "t": trade_id,
        "p": "100.50000000",
        "q": "0.02000000",
        "T": time,
        "m": True,
        "M": True,
    }
    return frame_of(f"{symbol.lower()}@trade", data)


def quote_frame(symbol: str, update_id: int, bid: str = "100.00", ask: str = "101.00") -> str:
    data = {"u": update_id, "s": symbol, "b": bid, "B": "1.0", "a": ask, "A": "2.0"}
    return frame_of(f"{symbol.lower()}@bookTicker", data)


def candle_frame(symbol: str, minute: int, *, closed: bool) -> str:
    start = 1723161240000 + minute * 60_000
    price = "100"
    candle = {
        "t": start, "T": start + 59_999, "s": symbol, "i": "1m", "f": 1, "L": 2, "o": price,
        "c": price, "h": price, "l": price, "v": "1", "n": 2, "x": closed, "q": "1", "V": "1",
        "Q": "1", "B": "0",
    }  # fmt: skip
    data = {"e": "kline", "E": start, "s": symbol, "k": candle}
    return frame_of(f"{symbol.lower()}@kline_1m", data)


def frame_of(stream: str, data: object) -> str:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":"))


def trade_ids(events: Iterable[object]) -> list[int]:
    return [event.trade_id for event in events if isinstance(event, Trade)]


def update_ids(events: Iterable[object]) -> list[int]:
    return [event.update_id for event in events if isinstance(event, Quote)]
