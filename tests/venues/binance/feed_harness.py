"""A feed with a venue in memory, and everything it delivered and reported."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

import attrs
import trio
from trio.testing import MockClock

from levitrio.errors import VenueError
from levitrio.trading.market import Bar, MarketEvent, Trade
from levitrio.trading.order_book import DepthSnapshot
from levitrio.venues.binance.market_data.feed import BinanceFeed
from tests.venues.binance.fake_venue import FakeVenue


class FeedHarness:
    """A feed with a venue, what was delivered and what was reported."""

    def __init__(self, nursery: trio.Nursery, symbols: list[str], **options: object) -> None:
        self.venue = FakeVenue(nursery)
        self.delivered: defaultdict[str, list[MarketEvent]] = defaultdict(list)
        self.events: list[tuple[str, str]] = []
        self.delays: list[int] = []
        self.feed = BinanceFeed(
            "ws://venue.example",
            backoff=self.backoff,
            chance=lambda: 0.5,
            on_event=self.hear,
            open_stream=self.venue.open_stream,
            **options,  # type: ignore[arg-type]
        )
        for symbol in symbols:
            self.add(symbol)

    def hear(self, kind: str, text: str, /, *, engine: str | None = None) -> None:
        self.events.append((kind, text))
        if engine is not None:
            assert text.startswith(f"{engine}: ")

    def backoff(self, attempt: int, chance: float) -> float:
        """None at first, then doubled up to a minute, as the restart policy's."""
        self.delays.append(attempt)
        return min(60.0, 2.0 ** min(attempt, 10)) if attempt else 0.0

    def add(self, symbol: str) -> None:
        self.feed.add(symbol, self.delivered[symbol].append)

    def texts(self, kind: str) -> list[str]:
        return [text for event_kind, text in self.events if event_kind == kind]


def with_harness(
    *symbols: str, **options: object
) -> Callable[[Callable[[FeedHarness], Awaitable[None]]], Callable[[MockClock], Awaitable[None]]]:
    """Run a test with a desk whose feed has started."""

    def decorate(
        test: Callable[[FeedHarness], Awaitable[None]],
    ) -> Callable[[MockClock], Awaitable[None]]:
        async def run(autojump_clock: MockClock) -> None:
            async with trio.open_nursery() as nursery:
                harness = FeedHarness(nursery, list(symbols), **options)
                await nursery.start(harness.feed.run)
                await test(harness)
                nursery.cancel_scope.cancel()

        run.__name__ = test.__name__
        run.__doc__ = test.__doc__
        return run

    return decorate


@attrs.define(eq=False)
class FakeBackfill:
    """A venue's history: answers after `delay`, fails while `trouble`, knows what it is given."""

    delay: float = 0.1
    trouble: str | None = None
    known_trades: dict[int, Trade] = attrs.field(factory=dict)
    known_bars: dict[int, Bar] = attrs.field(factory=dict)
    snapshots: list[DepthSnapshot] = attrs.field(factory=list)
    asked: list[object] = attrs.field(factory=list)

    async def trades(
        self, symbol: str, ids: Sequence[int], *, since_ms: int, until_ms: int
    ) -> list[Trade]:
        await self._answer(list(ids))
        return [self.known_trades[number] for number in ids if number in self.known_trades]

    async def bars(
        self, symbol: str, interval: str, *, first_open_ms: int, last_open_ms: int
    ) -> list[Bar]:
        await self._answer((interval, first_open_ms, last_open_ms))
        known = sorted(self.known_bars)
        return [self.known_bars[n] for n in known if first_open_ms <= n <= last_open_ms]

    async def depth(self, symbol: str) -> DepthSnapshot:
        await self._answer("depth")
        return self.snapshots.pop(0)

    async def _answer(self, what: object) -> None:
        self.asked.append(what)
        await trio.sleep(self.delay)
        if self.trouble is not None:
            raise VenueError(self.trouble)
