"""Sums up the past of one generated symbol: candles and averages. Pure.

Sums of whole minutes (120 slots) are cached, because a minute that is over never changes.
Everything is counted in whole ticks and steps, so that sums are exact in any order.
"""

from collections.abc import Iterator

import attrs
import msgspec

from levitrio.trading.candles import next_open_time, open_time
from levitrio.venues.simulator.market.price_generator import SLOT_MS, SymbolGenerator

MINUTE_MS = 60_000

_KEPT_MINUTES = 6_000
"""Minutes cached per symbol: four days, about 1.5 MB."""

_MINUTES_PER_TURN = 5
"""About 3 ms of work between two checkpoints."""


class Sum(msgspec.Struct, gc=False):
    """Trades of a period: prices in ticks, quantities in steps, amounts in ticks x steps."""

    open_ms: int
    close_ms: int
    """The last ms that belongs to it."""
    open: int
    high: int
    low: int
    close: int
    quantity: int = 0
    amount: int = 0
    taker_quantity: int = 0
    """Bought by takers."""
    taker_amount: int = 0
    trades: int = 0
    first_id: int = 0
    last_id: int = 0


@attrs.define(eq=False)
class GeneratedHistory:
    """Sums over the past of one symbol, which has no trades before `listed_ms`."""

    generator: SymbolGenerator
    """Not shared: looking far back would evict the present from its cache."""
    listed_ms: int
    _minutes: dict[int, Sum] = attrs.field(factory=dict, init=False)

    def candles(self, interval: str, start_ms: int, end_ms: int, now_ms: int) -> list[Sum]:
        """The candles that open within `[start_ms, end_ms]`, with the unfinished one up to now.

        Args:
            interval: such as `1m`.
            start_ms: the first opening time, ms since 1970.
            end_ms: the last opening time.
            now_ms: market time; later trades are left out.
        """
        found = []
        opens = open_time(interval, max(start_ms, self.listed_ms))
        if opens < start_ms:
            opens = next_open_time(interval, opens)
        while opens <= min(end_ms, now_ms):
            closes = next_open_time(interval, opens)
            total = self.sum(opens, min(closes, now_ms + 1))
            if total is not None:
                total.open_ms, total.close_ms = opens, closes - 1
                found.append(total)
            opens = closes
        return found

    def sum(self, start_ms: int, end_ms: int) -> Sum | None:
        """All trades within `[start_ms, end_ms)`; None when there are none."""
        start_ms = max(start_ms, self.listed_ms)
        total: Sum | None = None
        at = start_ms
        while at < end_ms:
            whole = at % MINUTE_MS == 0 and at + MINUTE_MS <= end_ms
            until = at + MINUTE_MS if whole else min(end_ms, (at // MINUTE_MS + 1) * MINUTE_MS)
            part = self._minute(at // MINUTE_MS) if whole else self._slots(at, until)
            total = _joined(total, part)
            at = until
        return total

    def prepare(self, start_ms: int, end_ms: int) -> Iterator[None]:
        """Fill the cache for `sum`, a few ms of work at a time."""
        first = max(start_ms, self.listed_ms) // MINUTE_MS
        # More minutes than the cache holds would be summed up in vain.
        first = max(first, end_ms // MINUTE_MS - _KEPT_MINUTES)
        for minute in range(first, end_ms // MINUTE_MS):
            if minute not in self._minutes:
                self._minute(minute)
                if minute % _MINUTES_PER_TURN == 0:
                    yield

    def _minute(self, minute: int) -> Sum:
        found = self._minutes.get(minute)
        if found is None:
            part = self._slots(minute * MINUTE_MS, (minute + 1) * MINUTE_MS)
            assert part is not None, "each slot has a trade"
            if len(self._minutes) >= _KEPT_MINUTES:
                del self._minutes[next(iter(self._minutes))]
            found = self._minutes[minute] = part
        return found

    def _slots(self, start_ms: int, end_ms: int) -> Sum | None:
        total: Sum | None = None
        draw_of = self.generator.draw
        for slot in range(start_ms // SLOT_MS, -(-end_ms // SLOT_MS)):
            draw = draw_of(slot)
            if not start_ms <= slot * SLOT_MS + draw.offset_ms < end_ms:
                continue
            price, quantity = draw.price, draw.quantity
            if total is None:
                total = Sum(start_ms, end_ms - 1, price, price, price, price, first_id=slot)
            elif price > total.high:
                total.high = price
            elif price < total.low:
                total.low = price
            total.close = price
            total.quantity += quantity
            total.amount += price * quantity
            if not draw.is_sale:
                total.taker_quantity += quantity
                total.taker_amount += price * quantity
            total.trades += 1
            total.last_id = slot
        return total


def _joined(earlier: Sum | None, later: Sum | None) -> Sum | None:
    if later is None:
        return earlier
    if earlier is None:
        # A copy: the caller changes its times, and the minute stays in the cache.
        return msgspec.structs.replace(later)
    earlier.high = max(earlier.high, later.high)
    earlier.low = min(earlier.low, later.low)
    earlier.close = later.close
    earlier.close_ms = later.close_ms
    earlier.quantity += later.quantity
    earlier.amount += later.amount
    earlier.taker_quantity += later.taker_quantity
    earlier.taker_amount += later.taker_amount
    earlier.trades += later.trades
    earlier.last_id = later.last_id
    return earlier
