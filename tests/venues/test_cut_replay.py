"""Real recordings through the simulator: cut every few seconds, and recorded again."""

import gzip
import itertools
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from levitrio.errors import VenueError
from levitrio.strategies.base import Signal
from levitrio.strategies.ema_cross import EmaCross
from levitrio.trading.market import Bar, MarketEvent, Trade
from levitrio.trading.order_book import DepthSnapshot
from levitrio.venues.binance.market_data.decoder import stream_name
from levitrio.venues.binance.market_data.feed import BinanceFeed
from levitrio.venues.recordings.reader import RecordingReader
from levitrio.venues.recordings.writer import RecordingWriter
from levitrio.venues.simulator.server.simulator import Simulator
from tests.paths import SHARED
from tests.venues.binance.fake_venue import Line

DATA = SHARED / "hftbacktest"
RECORDINGS = {
    "BTCUSDT": DATA / "btcusdt_20240808.gz",
    "ETHUSDT": DATA / "ethusdt_20240808.gz",
}
STREAMS = ("trade", "bookTicker", "kline_1m")

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not DATA.is_dir(), reason="needs the recordings of the shared data beside this checkout"
    ),
]


LINES = 7_000
"""Of each recording: over a minute of it. The whole of both is played by the judges."""


def beginnings(folder: Path) -> dict[str, Path]:
    """The first lines of the recordings."""
    shorter = {}
    for symbol, path in RECORDINGS.items():
        shorter[symbol] = folder / f"{symbol}.txt"
        with gzip.open(path) as whole, shorter[symbol].open("wb") as file:
            file.writelines(itertools.islice(whole, LINES))
    return shorter


def recorded_trades(symbol: str, path: Path) -> list[int]:
    """Trade ids of a recording, by reading its lines and nothing else."""
    marker = f"{symbol.lower()}@trade"
    reader = RecordingReader(path, lambda problem: None)
    return [
        int(event.data.split(b'"t":')[1].split(b",")[0])
        for event in reader
        if event.stream == marker
    ]


class RecordedHistory:
    """What a venue would remember of the recordings: implements `Backfill`."""

    def __init__(self) -> None:
        self.asked = 0
        self._trades: dict[tuple[str, int], Trade] = {}

    def see(self, symbol: str, event: MarketEvent) -> None:
        if isinstance(event, Trade):
            self._trades[symbol, event.trade_id] = event

    async def trades(
        self, symbol: str, ids: Sequence[int], *, since_ms: int, until_ms: int
    ) -> list[Trade]:
        self.asked += len(ids)
        await trio.sleep(0.2)
        return [self._trades[symbol, n] for n in ids if (symbol, n) in self._trades]

    async def bars(
        self, symbol: str, interval: str, *, first_open_ms: int, last_open_ms: int
    ) -> list[Bar]:
        raise VenueError("no bars")

    async def depth(self, symbol: str) -> DepthSnapshot:
        raise VenueError("no depth")


class Harness:
    """A simulator that plays recordings to a feed, in virtual time."""

    def __init__(
        self, nursery: trio.Nursery, recordings: dict[str, Path], **options: object
    ) -> None:
        self.nursery = nursery
        self.events: defaultdict[str, list[MarketEvent]] = defaultdict(list)
        self.reports: list[tuple[str, str]] = []
        self.lines: list[Line] = []
        self.simulator = Simulator(
            speed=1.0,
            recordings=tuple(recordings.values()),
            expected_streams=frozenset(
                stream_name(symbol, stream) for symbol in recordings for stream in STREAMS
            ),
            wall_clock=lambda: 1_790_000_000.0 + trio.current_time(),
        )
        self.feed = BinanceFeed(
            "ws://127.0.0.1:1",
            streams=STREAMS,
            backoff=lambda attempt, chance: float(attempt),
            chance=random.Random(1).random,
            on_event=lambda kind, text, **_: self.reports.append((kind, text)),
            open_stream=self.open_stream,
            **options,  # type: ignore[arg-type]
        )
        for symbol in recordings:
            self.feed.add(symbol, self.events[symbol].append)

    async def open_stream(self, host: str, port: int, tls: bool) -> trio.abc.Stream:
        ours, theirs = memory_stream_pair()
        self.nursery.start_soon(self.simulator.handle, theirs)
        await trio.lowlevel.checkpoint()
        line = Line(ours)
        self.lines.append(line)
        return line

    async def cut_now_and_then(self) -> None:
        dice = random.Random(2)
        while True:
            await trio.sleep(dice.uniform(3, 9))
            self.lines[-1].is_cut = True

    async def play(self) -> None:
        """To the end of the tape, and until what is on its way has come."""
        self.nursery.start_soon(self.feed.run)
        await self.simulator.play()
        await trio.sleep(10)


def ids_of(events: list[MarketEvent]) -> list[int]:
    return [event.trade_id for event in events if isinstance(event, Trade)]


async def play_with_cuts(recordings: dict[str, Path]) -> int:
    """Play to the end with a cut every few seconds; returns how many reconnects there were."""
    history = RecordedHistory()
    for symbol, path in recordings.items():
        for event in whole_tape(path, symbol):
            history.see(symbol, event)
    async with trio.open_nursery() as nursery:
        harness = Harness(nursery, recordings, backfill=history)
        nursery.start_soon(harness.cut_now_and_then)
        await harness.play()
        nursery.cancel_scope.cancel()
    statistics = harness.feed.statistics()
    assert history.asked > 0
    for symbol, path in recordings.items():
        assert ids_of(harness.events[symbol]) == recorded_trades(symbol, path)
    assert statistics.lost_trades == 0
    assert statistics.missing_trades == statistics.late_trades
    return statistics.reconnects


async def test_cut_every_few_seconds(autojump_clock: MockClock, tmp_path: Path) -> None:
    """A dozen cuts in a minute: every trade id of both recordings, in order, each once."""
    assert await play_with_cuts(beginnings(tmp_path)) >= 8


def whole_tape(path: Path, symbol: str) -> list[Trade]:
    decode = msgspec.json.Decoder(Trade).decode
    marker = f"{symbol.lower()}@trade"
    reader = RecordingReader(path, lambda problem: None)
    return [decode(event.data) for event in reader if event.stream == marker]


def signals_of(events: list[MarketEvent]) -> list[Signal]:
    strategy = EmaCross("ETHUSDT", fast=3, slow=8)
    signals = [strategy.on_trade(event) for event in events if isinstance(event, Trade)]
    return [signal for signal in signals if signal is not None]


async def inline(work: object) -> None:
    await trio.lowlevel.checkpoint()
    assert callable(work)
    work()


async def play_twice(symbol: str, path: Path, again: Path) -> tuple[int, int]:
    """Record what is played, play the recording; returns how many bars and signals were equal."""
    clock = itertools.count(1_700_000_000_000_000_000, 1_000_000)
    with RecordingWriter(again, clock_ns=lambda: next(clock), offload=inline) as recorder:
        async with trio.open_nursery() as nursery:
            first = Harness(nursery, {symbol: path}, tap=recorder.take)
            await nursery.start(recorder.run)
            await first.play()
            nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        second = Harness(nursery, {symbol: again})
        await second.play()
        nursery.cancel_scope.cancel()
    ours, theirs = second.events[symbol], first.events[symbol]
    for kind in (Trade, Bar):
        assert [e for e in ours if isinstance(e, kind)] == [
            e for e in theirs if isinstance(e, kind)
        ]
    assert len(ids_of(ours)) == len(recorded_trades(symbol, path))
    assert signals_of(ours) == signals_of(theirs)
    assert recorder.statistics().dropped == 0
    return sum(isinstance(event, Bar) for event in ours), len(signals_of(ours))


async def test_a_recording_replays_to_the_same(autojump_clock: MockClock, tmp_path: Path) -> None:
    """What was recorded while it was played gives the same trades, bars and signals again."""
    path = beginnings(tmp_path)["ETHUSDT"]
    bars, signals = await play_twice("ETHUSDT", path, tmp_path / "again.gz")
    assert bars >= 1
    assert signals > 10
