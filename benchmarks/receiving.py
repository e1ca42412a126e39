"""From a socket to 200 engines: the whole way of a tick, and the bare library beside it."""

import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import trio
import trio_websocket

from benchmarks import venue
from benchmarks.frames import symbols
from levitrio.app.engine_slot import EngineSlot
from levitrio.config.sections import EngineConfig
from levitrio.engine.engine import Engine
from levitrio.engine.inbox import Inbox
from levitrio.gateway.symbol_state import SymbolState
from levitrio.strategies.base import Strategy
from levitrio.trading.clock import TapeClock
from levitrio.trading.market import Trade
from levitrio.trading.market_view import MarketView
from levitrio.trading.position import Position
from levitrio.venues.binance.market_data.feed import BinanceFeed
from levitrio.venues.binance.websocket.tls import TlsStream

SYMBOLS = 200
FRAMES = 20_000


@attrs.frozen
class Cost:
    """What one message cost the client, on the average of all."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds of the client's process."""


@attrs.define(eq=False)
class Meter:
    """Counts messages, from the first to the last."""

    expected: int = FRAMES
    count: int = 0
    done: trio.Event = attrs.field(factory=trio.Event)
    _begun: tuple[float, float] = (0.0, 0.0)
    _ended: tuple[float, float] = (0.0, 0.0)

    def see(self) -> None:
        """Another message has arrived where it was meant to."""
        self.count += 1
        if self.count == 1:
            self._begun = time.perf_counter(), time.process_time()
        elif self.count == self.expected:
            self._ended = time.perf_counter(), time.process_time()
            self.done.set()

    @property
    def cost(self) -> Cost:
        """Of each message."""
        wall, cpu = (b - a for a, b in zip(self._begun, self._ended, strict=True))
        return Cost(wall / self.expected, cpu / self.expected)


@contextmanager
def running_venue(certificate: Path | None = None) -> Iterator[int]:
    """The port of a venue in a process of its own, which ends with the block."""
    words = [str(SYMBOLS), str(FRAMES), *([] if certificate is None else [str(certificate)])]
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-m", venue.__name__, *words]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


async def bare(port: int, tls: ssl.SSLContext | None) -> Cost:
    """A loop around `get_message` of trio-websocket that drops what it gets."""
    meter = Meter()
    scheme = "ws" if tls is None else "wss"
    with trio.fail_after(120):
        async with trio_websocket.open_websocket_url(
            f"{scheme}://localhost:{port}/stream",
            ssl_context=tls,
            message_queue_size=1024,
            receive_buffer_size=1 << 16,
        ) as websocket:
            await websocket.send_message('{"method":"SUBSCRIBE","id":1,"params":[]}')
            await websocket.get_message()
            while meter.count < meter.expected:
                await websocket.get_message()
                meter.see()
            # Without the closing handshake, which the venue knows nothing of.
            with trio.move_on_after(0):
                await websocket.aclose()
    return meter.cost


class _Counting(Strategy):
    """Sees every trade and wants nothing."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def on_trade(self, trade: Trade) -> None:
        self._meter.see()


def _child(symbol: str, clock: TapeClock) -> EngineSlot:
    market = MarketView(symbol=symbol)
    return EngineSlot(
        config=EngineConfig(symbol=symbol),
        inbox=Inbox(),
        market=market,
        symbol_state=SymbolState(
            symbol=symbol, position=Position(symbol=symbol, quote_asset="USDT"), market=market
        ),
        market_clock=clock,
    )


def _ignore(kind: str, text: str, **_: object) -> None:
    """The event log of a feed that nobody asks."""


async def full(port: int, tls: ssl.SSLContext | None, reader: str) -> Cost:
    """Feed, inboxes and engines, each engine with a strategy that sees every trade."""

    async def connect(host: str, port: int, _tls: bool) -> trio.abc.Stream:
        stream = await trio.open_tcp_stream(host, port)
        if tls is None:
            return stream
        return await TlsStream.open(stream, tls, "localhost")

    meter = Meter()
    clock = TapeClock()
    feed = BinanceFeed(
        f"{'ws' if tls is None else 'wss'}://localhost:{port}",
        backoff=lambda _attempt, _chance: 60.0,
        chance=lambda: 0.5,
        on_event=_ignore,
        streams=("trade",),
        symbols_per_connection=SYMBOLS,
        open_stream=connect,
        reader=reader,
    )
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            for symbol in symbols(SYMBOLS):
                child = _child(symbol, clock)
                engine = Engine(
                    symbol=symbol,
                    make_strategy=lambda: _Counting(meter),
                    inbox=child.inbox,
                    submit=lambda _: None,
                    market_clock=clock,
                    cycle_interval=1.0,
                    longest_nap=1.0,
                )
                feed.add(symbol, child.deliver)
                nursery.start_soon(engine.run, lambda: None)
            nursery.start_soon(feed.run)
            await meter.done.wait()
            nursery.cancel_scope.cancel()
    return meter.cost
