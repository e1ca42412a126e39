"""Fetches what is missing, and lets go what waits for it in time.

A gap may close by itself: while one connection takes over from another, what is missing on the
one is on its way over the other. So it is given a moment; then the venue's history is asked.
What comes within the bound is delivered in order, before anything newer. What comes later is
reported and not delivered: a strategy never sees time run backwards.
"""

from collections.abc import Awaitable, Callable, Sequence

import trio

from levitrio.errors import VenueError
from levitrio.trading.market import Bar, Trade
from levitrio.trading.order_book import OrderBook
from levitrio.venues.binance.market_data.backfill import Backfill
from levitrio.venues.binance.market_data.counters import FeedCounters
from levitrio.venues.binance.market_data.gaps import Event, Gap
from levitrio.venues.binance.market_data.subscription import Subscription

SETTLE = 0.25
"""Seconds in which a gap may close by itself: the difference between two connections."""
HOLD = 2.0
"""Seconds that newer trades wait for missing ones, at most; an answer takes a fifth of one."""
FETCH_WITHIN = 45.0
"""Seconds after which a gap is not worth filling. After an outage of a whole fleet the venue's
weight limit spreads a thousand questions over most of a minute."""
RETRIES = (0.5, 2.0, 8.0)
"""Seconds between attempts, while the venue fails."""

ORDER_BOOK_RETRIES = (0.0, 1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds before each snapshot; the last one again and again."""

Fetch = Callable[[Sequence[int]], Awaitable[Sequence[Event]]]


class BackfillGapFiller:
    """Implements `GapFiller`. Start `run` in a nursery; before that gaps are not held."""

    def __init__(self, backfill: Backfill | None, counters: FeedCounters) -> None:
        self._backfill = backfill
        self._counters = counters
        self._nursery: trio.Nursery | None = None
        self._syncing: set[str] = set()
        self.overlaps = 0
        """How many connections are handing over right now."""

    @property
    def can_wait(self) -> bool:
        """Whether anything may still come; otherwise nothing is held back."""
        return self._nursery is not None and (self._backfill is not None or self.overlaps > 0)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Repair until cancelled; what waits behind a gap then is not delivered."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                # Gaps found from here on are repaired.
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def repair_trades(self, subscription: Subscription, gap: Gap[Trade]) -> None:
        """Fill a gap of trades, and let go what waits behind it, in bounded time."""
        assert self._nursery is not None
        self._nursery.start_soon(self._repair_trades, subscription, gap)

    def repair_bars(self, subscription: Subscription, interval: str, gap: Gap[Bar]) -> None:
        """Fill a gap of bars, and let go what waits behind it, in bounded time."""
        assert self._nursery is not None
        self._nursery.start_soon(self._repair_bars, subscription, interval, gap)

    def sync_order_book(self, symbol: str, order_book: OrderBook) -> None:
        """Fetch a snapshot for a book that waits for one; asked again while it does."""
        if self._nursery is None or self._backfill is None or symbol in self._syncing:
            return
        self._syncing.add(symbol)
        self._nursery.start_soon(self._sync_order_book, self._backfill, symbol, order_book)

    async def _repair_trades(self, subscription: Subscription, gap: Gap[Trade]) -> None:
        backfill = self._backfill

        async def fetch(ids: Sequence[int]) -> list[Trade]:
            assert backfill is not None
            return await backfill.trades(
                subscription.symbol, ids, since_ms=gap.since_ms, until_ms=gap.until_ms
            )

        trouble = await self._repair(
            gap, None if backfill is None else fetch, lambda: subscription.let_go_trades(gap)
        )
        subscription.late_trades += gap.found_in_time
        subscription.lost_trades += gap.found_too_late + len(gap.missing)
        self._report(subscription.symbol, "trades", gap, trouble)

    async def _repair_bars(self, subscription: Subscription, interval: str, gap: Gap[Bar]) -> None:
        backfill = self._backfill

        async def fetch(open_times: Sequence[int]) -> list[Bar]:
            assert backfill is not None
            return await backfill.bars(
                subscription.symbol,
                interval,
                first_open_ms=open_times[0],
                last_open_ms=open_times[-1],
            )

        trouble = await self._repair(
            gap,
            None if backfill is None else fetch,
            lambda: subscription.let_go_bars(interval, gap),
        )
        self._report(subscription.symbol, f"bars of {interval}", gap, trouble)

    async def _repair(
        self, gap: Gap[Event], fetch: Fetch[Event] | None, release: Callable[[], None]
    ) -> str:
        """Fill a gap as far as possible; returns what went wrong, in words."""
        trouble = ""
        await trio.sleep(SETTLE)
        if fetch is not None and gap.is_open and not gap.is_whole:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_release_in_time, release)
                with trio.move_on_after(FETCH_WITHIN):
                    trouble = await self._fetch(gap, fetch, release)
                nursery.cancel_scope.cancel()
        release()
        return trouble

    async def _fetch(
        self, gap: Gap[Event], fetch: Fetch[Event], release: Callable[[], None]
    ) -> str:
        asked: set[int] = set()
        # A gap grows while it is open, so what was missed meanwhile is asked for as well.
        while todo := sorted(gap.missing - asked):
            for pause in (*RETRIES, None):
                try:
                    events = await fetch(todo)
                except VenueError as error:
                    if pause is None:
                        return str(error)
                    await trio.sleep(pause)
                else:
                    break
            asked.update(todo)
            for event in events:
                gap.find(event)
            if gap.is_whole:
                release()
        return ""

    def _report(self, symbol: str, what: str, gap: Gap[Event], trouble: str) -> None:
        late, lost = gap.found_too_late, len(gap.missing)
        if gap.found_in_time:
            text = f"{symbol}: {gap.found_in_time} missing {what} fetched and delivered"
            self._counters.tell("feed_repaired", text, symbol)
        if late:
            text = f"{symbol}: {late} missing {what} came too late to be delivered"
            self._counters.tell("feed_lost", text, symbol)
        if lost:
            why = f": {trouble}" if trouble else ""
            text = f"{symbol}: {lost} missing {what} could not be fetched{why}"
            self._counters.tell("feed_lost", text, symbol)

    async def _sync_order_book(
        self, backfill: Backfill, symbol: str, order_book: OrderBook
    ) -> None:
        try:
            attempt = 0
            while not order_book.is_live:
                await trio.sleep(ORDER_BOOK_RETRIES[min(attempt, len(ORDER_BOOK_RETRIES) - 1)])
                try:
                    order_book.load(await backfill.depth(symbol))
                except VenueError as error:
                    if attempt == 0:
                        text = f"{symbol}: no order book yet: {error}"
                        self._counters.tell("feed_lost", text, symbol)
                attempt += 1
        finally:
            self._syncing.discard(symbol)


async def _release_in_time(release: Callable[[], None]) -> None:
    await trio.sleep(HOLD - SETTLE)
    release()
