"""Feed and simulator over their real protocols: what is cut off is fetched by REST."""

import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import attrs
import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from levitrio.trading.market import Bar, MarketEvent, Trade
from levitrio.venues.binance.market_data.backfill import RestBackfill
from levitrio.venues.binance.market_data.feed import BinanceFeed
from levitrio.venues.binance.rest import RestClient
from levitrio.venues.simulator.exchange.faults import Faults
from levitrio.venues.simulator.server.simulator import Simulator

pytestmark = pytest.mark.long


STREAMS = ("trade", "bookTicker", "kline_1m", "depth@100ms")


@attrs.define(eq=False)
class Played:
    """A feed on the simulator in virtual time, and what came of it."""

    feed: BinanceFeed
    simulator: Simulator
    events: dict[str, list[MarketEvent]]
    arrivals: dict[str, list[float]]
    """When each event was delivered, by symbol."""
    attempts: list[float]
    """When each websocket was asked for."""


@asynccontextmanager
async def playing(
    symbols: Sequence[str], faults: Faults, streams: tuple[str, ...] = STREAMS
) -> AsyncIterator[Played]:
    """A fleet's feed on a generated market with faults, subscribed and running."""
    events: defaultdict[str, list[MarketEvent]] = defaultdict(list)
    arrivals: defaultdict[str, list[float]] = defaultdict(list)
    attempts: list[float] = []
    simulator = Simulator(
        seed=3, wall_clock=lambda: 1_790_000_000.0 + trio.current_time(), faults=faults
    )
    async with trio.open_nursery() as nursery:

        async def connect(host: str, port: int, tls: bool) -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            ours, theirs = memory_stream_pair()
            nursery.start_soon(simulator.handle, theirs)
            return ours

        async def connect_websocket(host: str, port: int, tls: bool) -> trio.abc.Stream:
            attempts.append(trio.current_time())
            return await connect(host, port, tls)

        feed = BinanceFeed(
            "ws://127.0.0.1:1",
            streams=streams,
            backoff=lambda attempt, chance: 3.0,
            chance=random.Random(1).random,
            on_event=lambda *_, **__: None,
            backfill=RestBackfill(RestClient("http://127.0.0.1:1", open_stream=connect)),
            open_stream=connect_websocket,
        )

        def deliver(event: MarketEvent) -> None:
            events[event.symbol].append(event)
            arrivals[event.symbol].append(trio.current_time())

        for symbol in symbols:
            feed.add(symbol, deliver)
        nursery.start_soon(simulator.play)
        await nursery.start(feed.run)
        yield Played(feed, simulator, events, arrivals, attempts)
        nursery.cancel_scope.cancel()


async def run(seconds: float, faults: Faults) -> Played:
    """Two symbols, for so many seconds; their books are live at the end."""
    async with playing(("BTCUSDT", "ETHUSDT"), faults) as played:
        await trio.sleep(seconds)
        order_books = [played.feed.order_book(symbol) for symbol in played.events]
        assert all(order_book is not None and order_book.is_live for order_book in order_books)
    return played


def is_complete(events: list[MarketEvent]) -> bool:
    """Whether trade ids and bars have neither hole nor repetition."""
    ids = [event.trade_id for event in events if isinstance(event, Trade)]
    bars = [event.open_time_ms for event in events if isinstance(event, Bar)]
    assert len(ids) > 100
    assert bars
    return ids == list(range(ids[0], ids[-1] + 1)) and bars == list(
        range(bars[0], bars[-1] + 1, 60_000)
    )


async def test_a_calm_market(autojump_clock: MockClock) -> None:
    """Without faults nothing is refused, missed or fetched."""
    played = await run(200, Faults())
    statistics = played.feed.statistics()
    assert (statistics.gaps, statistics.missing_bars, statistics.reconnects) == (0, 0, 0)
    assert statistics.dropped == {}
    assert all(is_complete(of_symbol) for of_symbol in played.events.values())


async def test_cut_every_seven_seconds(autojump_clock: MockClock) -> None:
    """The venue's own history fills every hole, in order, for every symbol."""
    played = await run(200, Faults(disconnect_every=7.0))
    statistics = played.feed.statistics()
    assert statistics.reconnects > 15
    assert statistics.late_trades > 10
    assert statistics.lost_trades == 0
    assert all(is_complete(of_symbol) for of_symbol in played.events.values())


async def test_gaps_and_repetitions(autojump_clock: MockClock) -> None:
    """Whatever the streams leave out or say twice, each trade and bar comes once, in order."""
    played = await run(400, Faults(gap_every=9, duplicate_every=5))
    statistics = played.feed.statistics()
    assert statistics.late_trades > 50
    assert statistics.dropped["duplicate"] > 50
    assert statistics.lost_trades == 0
    assert statistics.suspended == 0
    assert all(is_complete(of_symbol) for of_symbol in played.events.values())


async def test_the_daily_cut_is_not_noticed(autojump_clock: MockClock) -> None:
    """Announced shutdowns every 40 s: connections are handed over and nothing is fetched."""
    played = await run(200, Faults(cut_after=40.0, shutdown_notice=15.0))
    statistics = played.feed.statistics()
    assert statistics.renewals >= 5
    assert (statistics.reconnects, statistics.gaps, statistics.late_trades) == (0, 0, 0)
    for times in played.arrivals.values():
        assert max(later - earlier for earlier, later in pairwise(times)) < 1.0
    assert all(is_complete(of_symbol) for of_symbol in played.events.values())


async def test_a_thousand_symbols_after_a_mass_disconnect(autojump_clock: MockClock) -> None:
    """A venue that is away for 20 s: five connections, one bucket, all fresh in a minute."""
    symbols = [f"S{number}USDT" for number in range(1000)]
    refusing = Faults(disconnect_every=0.001, refuse=503)
    async with playing(symbols, Faults(), ("trade",)) as played:
        await trio.sleep(5)
        assert played.feed.statistics().connections == 5
        faults = played.simulator.venue.faults
        cut_at = trio.current_time()
        faults.replace(refusing)
        await trio.sleep(20)
        assert played.feed.statistics().connections == 0
        faults.replace(Faults())
        await trio.sleep(40)
        statistics = played.feed.statistics()
        assert statistics.connections == 5
        assert len(played.attempts) > 10, "it tried again while the venue was down"
        for symbol in symbols:
            first = next(at for at in played.arrivals[symbol] if at > cut_at + 20)
            assert first - cut_at < 60, symbol
        assert statistics.stale == 0
    assert min(later - earlier for earlier, later in pairwise(played.attempts)) >= 1.0
    assert max(sum(at <= t < at + 300 for t in played.attempts) for at in played.attempts) <= 250
