"""Feed and simulator over their real protocols: what is cut off is fetched by REST."""

import random
from collections import defaultdict

import trio
from trio.testing import MockClock, memory_stream_pair

from levitrio.trading.market import Bar, MarketEvent, Trade
from levitrio.venues.binance.backfill import RestBackfill
from levitrio.venues.binance.feed import BinanceFeed
from levitrio.venues.binance.rest import RestClient
from levitrio.venues.simulator.faults import Faults
from levitrio.venues.simulator.server import Simulator

STREAMS = ("trade", "bookTicker", "kline_1m", "depth@100ms")


async def run(seconds: float, faults: Faults) -> tuple[BinanceFeed, dict[str, list[MarketEvent]]]:
    """A fleet's feed on a generated market with faults, for so many seconds."""
    events: defaultdict[str, list[MarketEvent]] = defaultdict(list)
    async with trio.open_nursery() as nursery:
        simulator = Simulator(
            seed=3, wall_clock=lambda: 1_790_000_000.0 + trio.current_time(), faults=faults
        )

        async def connect(host: str, port: int, tls: bool) -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            ours, theirs = memory_stream_pair()
            nursery.start_soon(simulator.handle, theirs)
            return ours

        feed = BinanceFeed(
            "ws://127.0.0.1:1",
            streams=STREAMS,
            backoff=lambda attempt, chance: 3.0,
            chance=random.Random(1).random,
            on_event=lambda *_, **__: None,
            backfill=RestBackfill(RestClient("http://127.0.0.1:1", open_stream=connect)),
            open_stream=connect,
        )
        for symbol in ("BTCUSDT", "ETHUSDT"):
            feed.add(symbol, events[symbol].append)
        nursery.start_soon(simulator.play)
        await nursery.start(feed.run)
        await trio.sleep(seconds)
        books = [feed.book(symbol) for symbol in events]
        assert all(book is not None and book.is_live for book in books)
        nursery.cancel_scope.cancel()
    return feed, dict(events)


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
    feed, events = await run(200, Faults())
    statistics = feed.statistics()
    assert (statistics.gaps, statistics.missing_bars, statistics.reconnects) == (0, 0, 0)
    assert statistics.dropped == {}
    assert all(is_complete(of_symbol) for of_symbol in events.values())


async def test_cut_every_seven_seconds(autojump_clock: MockClock) -> None:
    """The venue's own history fills every hole, in order, for every symbol."""
    feed, events = await run(200, Faults(disconnect_every=7.0))
    statistics = feed.statistics()
    assert statistics.reconnects > 15
    assert statistics.late_trades > 10
    assert statistics.lost_trades == 0
    assert all(is_complete(of_symbol) for of_symbol in events.values())


async def test_gaps_and_repetitions(autojump_clock: MockClock) -> None:
    """Whatever the streams leave out or say twice, each trade and bar comes once, in order."""
    feed, events = await run(400, Faults(gap_every=9, duplicate_every=5))
    statistics = feed.statistics()
    assert statistics.late_trades > 50
    assert statistics.dropped["duplicate"] > 50
    assert statistics.lost_trades == 0
    assert statistics.suspended == 0
    assert all(is_complete(of_symbol) for of_symbol in events.values())


async def test_the_daily_cut_is_not_noticed(autojump_clock: MockClock) -> None:
    """Announced shutdowns every 40 s: connections are handed over and nothing is fetched."""
    feed, events = await run(200, Faults(cut_after=40.0, shutdown_notice=15.0))
    statistics = feed.statistics()
    assert statistics.renewals >= 5
    assert (statistics.reconnects, statistics.gaps, statistics.late_trades) == (0, 0, 0)
    assert all(is_complete(of_symbol) for of_symbol in events.values())
