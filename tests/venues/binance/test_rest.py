"""Questions by HTTP, to a peer in memory that may answer anything."""

import gzip
import json
from collections.abc import Callable
from contextlib import suppress

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from levitrio.errors import VenueError
from levitrio.venues.binance import rest
from levitrio.venues.binance.market_data.backfill import RestBackfill
from levitrio.venues.binance.rate_limits.request_weight import WeightLimiter
from levitrio.venues.binance.rest import RestClient, rest_url


def response(body: bytes = b"[]", status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class Peer:
    """Answers each request with the next of `answers`, and remembers what was asked."""

    def __init__(self, nursery: trio.Nursery, *answers: bytes) -> None:
        self._nursery = nursery
        self.answers = list(answers)
        self.requests: list[str] = []
        self.scripted_venues: list[tuple[str, int, bool]] = []

    async def open_stream(self, host: str, port: int, tls: bool) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        self.scripted_venues.append((host, port, tls))
        near, far = trio.testing.memory_stream_pair()
        self._nursery.start_soon(self._serve, far)
        return near

    async def _serve(self, stream: trio.abc.Stream) -> None:
        async with stream:
            request = b""
            while b"\r\n\r\n" not in request:
                request += await stream.receive_some()
            self.requests.append(request.decode())
            if not self.answers:
                await trio.sleep_forever()
            for n in range(0, len(answer := self.answers.pop(0)), 1 << 18):
                try:
                    await stream.send_all(answer[n : n + (1 << 18)])
                except trio.BrokenResourceError:
                    return


async def ask(peer: Peer, weight_limiter: WeightLimiter | None = None) -> bytes:
    client = RestClient(
        "http://venue:81/x", open_stream=peer.open_stream, weight_limiter=weight_limiter
    )
    return await client.get("/api/v3/depth", {"symbol": "BTCUSDT", "limit": 5}, weight=5)


async def test_a_question(nursery: trio.Nursery) -> None:
    """Path and parameters go out, the body comes back, the connection is closed."""
    peer = Peer(nursery, response(b'{"a":1}'))
    assert await ask(peer) == b'{"a":1}'
    lines = peer.requests[0].split("\r\n")
    assert lines[0] == "GET /x/api/v3/depth?symbol=BTCUSDT&limit=5 HTTP/1.1"
    assert {"Host: venue:81", "Connection: close", "Accept-Encoding: identity"} <= set(lines)
    assert peer.scripted_venues == [("venue", 81, False)]


async def test_chunks_and_pieces(nursery: trio.Nursery) -> None:
    """A chunked body after an informational answer is one body."""
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n"
    )
    peer = Peer(nursery, b"HTTP/1.1 103 Early Hints\r\n\r\n" + chunked)
    assert await ask(peer) == b"[1,2]"


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (response(b'{"code":-1121,"msg":"Invalid symbol."}', "400 Bad"), "-1121: 'Invalid symbol"),
        (response(b'{"code":-1,"msg":"\x1b[2J"}', "400 Bad"), "got 400"),
        (response(b"<html>" + b"x" * 999, "503 Down"), "expected HTTP 200, got 503$"),
        (response(b"", "301 Moved", "Location: http://evil/"), "got 301"),
        (response(b"", "307 Moved", "Location: http://evil/"), "got 307"),
        (response(gzip.compress(b"[]", mtime=0), "200 OK", "Content-Encoding: gzip"), "plain body"),
        (response(b"[]")[:-1], "RemoteProtocolError"),
        (b"", "RemoteProtocolError"),
        (b"garbage\r\n\r\n", "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000, "RemoteProtocolError"),
        (response(b"x" * (rest.MAX_BODY + 1)), "more than"),
        (response(b"x", "204 No"), "got 204|RemoteProtocolError"),
    ],
)
async def test_answers_that_are_none(answer: bytes, match: str, nursery: trio.Nursery) -> None:
    """An error with what came; nothing is followed or unpacked."""
    peer = Peer(nursery, answer)
    with pytest.raises(VenueError, match=match) as caught:
        await ask(peer)
    assert str(caught.value).isprintable()
    assert len(peer.requests) == 1


async def test_silence(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """Ten seconds for the whole answer, however slowly it drips."""
    with pytest.raises(VenueError, match="expected an answer in 10 s"):
        await ask(Peer(nursery))


async def test_no_venue_there() -> None:
    """Names that do not resolve and ports that are shut are errors of the venue."""

    async def fail(host: str, port: int, tls: bool) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise OSError("no such host")

    with pytest.raises(VenueError, match="OSError: no such host"):
        await RestClient("https://v", open_stream=fail).get("/", {}, weight=1)


async def test_a_ban_holds_for_everybody(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """After 429 the next question waits; a long ban is refused at once."""
    weight_limiter = WeightLimiter()
    peer = Peer(
        nursery,
        response(b"", "429 Slow", "Retry-After: 30"),
        response(b"[]", "200 OK", "X-MBX-USED-WEIGHT-1M: 12"),
        response(b"", "418 Teapot", "Retry-After: 600"),
    )
    for status in (429, None, 418, None):
        began = trio.current_time()
        if status is not None:
            with pytest.raises(VenueError, match=f"got {status}"):
                await ask(peer, weight_limiter)
        elif peer.answers:
            await ask(peer, weight_limiter)
            assert trio.current_time() - began == pytest.approx(30, abs=0.1)
        else:
            with pytest.raises(VenueError, match="may not be asked for 600 s"):
                await ask(peer, weight_limiter)
            assert trio.current_time() == began
    assert len(peer.requests) == 3


async def test_rest_after_while_waiting(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """A ban that comes while a request waits for its turn holds for it as well."""
    weight_limiter = WeightLimiter()
    weight_limiter.reserve(trio.current_time(), 2_000)
    peer = Peer(nursery, response())

    async def ban() -> None:
        await trio.sleep(1)
        weight_limiter.observe(trio.current_time(), 418, retry_after="500")

    nursery.start_soon(ban)
    with pytest.raises(VenueError, match="may not be asked"):
        await ask(peer, weight_limiter)
    assert peer.requests == []


@pytest.mark.parametrize(
    ("stream", "address"),
    [
        ("wss://stream.binance.com:9443", "https://api.binance.com"),
        ("wss://stream.testnet.binance.vision", "https://testnet.binance.vision"),
        ("wss://demo-stream.binance.com:9443", "https://demo-api.binance.com"),
        ("wss://data-stream.binance.vision", "https://data-api.binance.vision"),
        ("ws://127.0.0.1:4711", "http://127.0.0.1:4711"),
        ("wss://example.org:1/stream", "https://example.org:1"),
    ],
)
def test_where_to_ask(stream: str, address: str) -> None:
    """The REST interface that belongs to an address of streams."""
    assert rest_url(stream) == address


def test_an_address_that_cannot_be() -> None:
    """Only http and https, with a host."""
    for url in ("ws://v", "v", "http://"):
        with pytest.raises(ValueError, match="expected http://HOST"):
            RestClient(url)


def venue_of(answer: Callable[[str, dict[str, str]], object]) -> RestBackfill:
    """A history whose client answers from a function of path and parameters."""

    class Client(RestClient):
        async def get(self, path: str, params: object, *, weight: int) -> bytes:
            await trio.lowlevel.checkpoint()
            assert isinstance(params, dict)
            said = answer(path.rsplit("/", 1)[1], params)
            return said if isinstance(said, bytes) else json.dumps(said).encode()

    return RestBackfill(Client("http://v"))


def aggregate(number: int, first: int, last: int) -> dict[str, object]:
    time = 1723161255342
    return {"a": number, "p": "1.5", "q": "2", "f": first, "l": last, "T": time, "m": True}


def row(number: int, price: str = "1.5") -> dict[str, object]:
    time = 1723161255342
    return {"id": number, "price": price, "qty": "2", "time": time, "isBuyerMaker": False}


async def test_trades_from_aggregates_and_single_ones() -> None:
    """Aggregates of one trade are the trade; what is inside larger ones is asked for alone."""
    asked: list[tuple[str, dict[str, str]]] = []

    def answer(path: str, params: dict[str, str]) -> object:
        asked.append((path, params))
        if path == "aggTrades":
            return [aggregate(1, 4, 4), aggregate(2, 5, 8), aggregate(3, 9, 9)]
        return [row(n) for n in range(int(params["fromId"]), int(params["fromId"]) + 3)]

    trades = await venue_of(answer).trades("BTCUSDT", [5, 6, 7, 9], since_ms=1, until_ms=2)
    assert [trade.trade_id for trade in trades] == [5, 6, 7, 9]
    assert all(trade.is_late and trade.symbol == "BTCUSDT" for trade in trades)
    assert [path for path, _ in asked] == ["aggTrades", "historicalTrades"]
    assert asked[0][1] == {"symbol": "BTCUSDT", "startTime": 1, "endTime": 2, "limit": 1000}
    assert asked[1][1] == {"symbol": "BTCUSDT", "fromId": 5, "limit": 3}


async def test_many_pages() -> None:
    """More than one answer's worth is fetched page by page."""

    def answer(path: str, params: dict[str, str]) -> object:
        if path == "aggTrades":
            start = int(params.get("fromId", 0))
            return [aggregate(n, n, n) for n in range(start, start + 1000)]
        raise AssertionError(path)

    trades = await venue_of(answer).trades("B", list(range(10, 2500)), since_ms=1, until_ms=2)
    assert [trade.trade_id for trade in trades] == list(range(10, 2500))


async def test_single_trades_page_by_page() -> None:
    """A thousand at a time, without anything outside what was asked."""

    def answer(path: str, params: dict[str, str]) -> object:
        if path == "aggTrades":
            return []
        start, limit = int(params["fromId"]), int(params["limit"])
        return [row(n) for n in range(start, start + limit + 5)]

    trades = await venue_of(answer).trades("B", list(range(1500)), since_ms=1, until_ms=2)
    assert [trade.trade_id for trade in trades] == list(range(1500))


KLINE = [1723161240000, "1", "2", "0.5", "1.5", "9", 1723161299999, "9", 7, "1", "1", "0"]


async def test_bars() -> None:
    """Kline rows become closed bars; what lies outside the range is left away."""
    later = [KLINE[0] + 60_000, *KLINE[1:6], KLINE[6] + 60_000, *KLINE[7:]]  # type: ignore[operator]
    backfill = venue_of(lambda path, params: [KLINE, later])
    (bar,) = await backfill.bars(
        "BTCUSDT", "1m", first_open_ms=1723161240000, last_open_ms=1723161240000
    )
    assert (bar.raw_open, bar.raw_close, bar.trades, bar.interval) == ("1", "1.5", 7, "1m")


async def test_depth() -> None:
    """A snapshot's levels must be amounts; a recorder is shown its text."""
    shown: list[bytes] = []
    good = {"lastUpdateId": 5, "bids": [["1", "2"]], "asks": [["3", "4"]]}
    backfill = venue_of(lambda path, params: good)
    backfill = RestBackfill(backfill._client, on_snapshot=shown.append)
    assert (await backfill.depth("B")).last_id == 5
    assert json.loads(shown[0]) == good
    for level in (["-1", "2"], ["1", "nan"], ["1e5", "1"]):
        bad = {**good, "asks": [level]}
        with pytest.raises(VenueError, match="expected amounts"):
            await venue_of(lambda path, params, bad=bad: bad).depth("B")  # type: ignore[misc]


BYTES = [b"", b"null", b"{}", b"<html>", b"[[]]", b"[" * 100_000, b'[{"id":"x"}]', b'"\\ud800"']


@pytest.mark.parametrize("answer", [*BYTES, [row(1, price="-1")], [row(1, price="NaN")]])
async def test_trades_that_are_none(answer: object) -> None:
    """What is not as documented is an error, and never data."""

    def say(path: str, params: dict[str, str]) -> object:
        return [] if path == "aggTrades" and isinstance(answer, list) else answer

    with pytest.raises(VenueError):
        await venue_of(say).trades("B", [1], since_ms=1, until_ms=2)


@pytest.mark.parametrize("answer", [*BYTES, [KLINE[:5]], [["x", *KLINE[1:]]], [[*KLINE[:2], "9"]]])
async def test_bars_that_are_none(answer: object) -> None:
    """Rows too short, of other types, or that contradict themselves."""
    with pytest.raises(VenueError):
        await venue_of(lambda path, params: answer).bars(
            "B", "1m", first_open_ms=0, last_open_ms=2**60
        )


@given(st.binary(max_size=60))
def test_no_answer_raises_anything_else(answer: bytes) -> None:
    """Whatever bytes a peer sends, the caller sees a body or a VenueError."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            with suppress(VenueError):
                await ask(Peer(nursery, b"HTTP/1.1 200 OK\r\n" + answer))
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))
