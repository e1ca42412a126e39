"""The market the simulator's exchange trades in: present and past of each symbol. Pure.

`VenueMarket` is what the exchange calls. `GeneratedMarket` computes everything from the seed and
the time; a recording's market answers from what was played (`recorded_market`).
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import attrs

from levitrio.trading.candles import FIXED_INTERVALS, MONTH, Candle, open_time
from levitrio.trading.market import SYMBOL, Quote, Trade
from levitrio.trading.venue_orders import Depth
from levitrio.venues.simulator.market.generated_depth import GeneratedDepth
from levitrio.venues.simulator.market.generated_history import GeneratedHistory, Sum
from levitrio.venues.simulator.market.price_generator import (
    SLOT_MS,
    UPDATES_PER_SLOT,
    USUAL_SYMBOLS,
    SimulatedMarket,
    SymbolGenerator,
    market_of,
)

DAY_MS = 24 * 3_600_000

LISTED_DAYS = 2
"""Whole days of history before the day of the start: summing up one day takes half a second, so
each symbol was listed not long ago, and the venue says so."""

QUOTE_ASSETS = ("USDT", "USDC", "FDUSD", "BTC", "ETH", "BNB", "EUR", "TRY")
"""Endings of a symbol; the first that fits is its quote asset."""


def assets_of(symbol: str) -> tuple[str, str] | None:
    """Base and quote asset of a symbol; None for one that cannot be traded here."""
    if not SYMBOL.match(symbol) or not symbol.isalnum():
        return None
    for quote in QUOTE_ASSETS:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol.removesuffix(quote), quote
    return None


class VenueMarket(Protocol):
    """The market as the exchange sees it, always at the present market time."""

    def now_ms(self) -> int:
        """Market time, ms since 1970."""

    def symbols(self) -> tuple[str, ...]:
        """What exchangeInfo lists: the usual symbols, and those that clients have asked for."""

    def rules(self, symbol: str) -> SimulatedMarket | None:
        """Tick, step and magnitude; None for a symbol the venue does not have."""

    def quote(self, symbol: str) -> Quote | None:
        """The best bid and ask; None while there are none."""

    def depth(self, symbol: str, levels: int) -> Depth | None:
        """The order book, up to so many levels on each side, the best first."""

    def trades(
        self, symbol: str, *, from_id: int | None, start_ms: int | None, end_ms: int, limit: int
    ) -> list[Trade]:
        """Trades, oldest first: from an id or a time on, else the newest up to `end_ms`.

        Args:
            symbol: one of `symbols`.
            from_id: the first trade id wanted.
            start_ms: the first trade time wanted, ms since 1970.
            end_ms: the last trade time wanted.
            limit: at most so many.
        """

    def candles(
        self, symbol: str, interval: str, *, start_ms: int | None, end_ms: int, limit: int
    ) -> list[Candle]:
        """Candles, oldest first: from a time on, else the newest up to `end_ms`.

        Args:
            symbol: one of `symbols`.
            interval: such as `1m`.
            start_ms: the first opening time wanted, ms since 1970.
            end_ms: the last opening time wanted.
            limit: at most so many.
        """

    def total(self, symbol: str, start_ms: int) -> Candle | None:
        """One candle over everything since a time; None without a trade."""

    def prepare(self, symbol: str, start_ms: int) -> Iterator[None]:
        """Compute in small pieces what a request about the time since `start_ms` needs."""


@attrs.define(eq=False)
class _Symbol:
    """One symbol of the generated market.

    Present and past have a generator each, because a generator caches only the time it was asked
    about last.
    """

    present: SymbolGenerator
    depth: GeneratedDepth
    history: GeneratedHistory


@attrs.define(eq=False, kw_only=True)
class GeneratedMarket:
    """Implements `VenueMarket`: the market that `GeneratedTape` of the same seed plays."""

    seed: int
    clock: Callable[[], int]
    """Market time, ms since 1970."""
    listed_ms: int
    """Market time of the first trade, ms since 1970."""
    _symbols: dict[str, _Symbol] = attrs.field(factory=dict, init=False)

    def now_ms(self) -> int:
        """Market time, ms since 1970."""
        return self.clock()

    def symbols(self) -> tuple[str, ...]:
        """What exchangeInfo lists: the usual symbols, and those that clients have asked for."""
        return (*USUAL_SYMBOLS, *(name for name in self._symbols if name not in USUAL_SYMBOLS))

    def rules(self, symbol: str) -> SimulatedMarket | None:
        """Tick, step and magnitude; None for a symbol the venue does not have."""
        return None if assets_of(symbol) is None else market_of(symbol)

    def quote(self, symbol: str) -> Quote:
        """The best bid and ask; None while there are none."""
        return self._of(symbol).present.tick(self._quote_slot(symbol)).quote

    def depth(self, symbol: str, levels: int) -> Depth:
        """The order book, up to so many levels on each side, the best first."""
        slot = self._quote_slot(symbol)
        of = self._of(symbol)
        bids, asks = of.depth.at(slot)
        tick, step = of.present.market.tick, of.present.market.step
        return Depth(
            bids=[(price * tick, steps * step) for price, steps in list(bids.items())[:levels]],
            asks=[(price * tick, steps * step) for price, steps in list(asks.items())[:levels]],
            update_id=slot * UPDATES_PER_SLOT,
        )

    def trades(
        self, symbol: str, *, from_id: int | None, start_ms: int | None, end_ms: int, limit: int
    ) -> list[Trade]:
        """Trades, oldest first: from an id or a time on, else the newest up to `end_ms`."""
        generator = self._of(symbol).present
        end_ms = min(end_ms, self.now_ms())
        last = end_ms // SLOT_MS
        if generator.tick(last).trade.time_ms > end_ms:
            last -= 1
        if from_id is not None:
            first = from_id
        elif start_ms is not None:
            first = start_ms // SLOT_MS
            if generator.tick(first).trade.time_ms < start_ms:
                first += 1
        else:
            first = last - limit + 1
        first = max(first, -(-self.listed_ms // SLOT_MS))
        return [generator.tick(slot).trade for slot in range(first, min(first + limit, last + 1))]

    def candles(
        self, symbol: str, interval: str, *, start_ms: int | None, end_ms: int, limit: int
    ) -> list[Candle]:
        """Candles, oldest first: from a time on, else the newest up to `end_ms`."""
        now_ms = self.now_ms()
        end_ms = min(end_ms, now_ms)
        first_ms = start_ms
        length = FIXED_INTERVALS.get(interval, 28 * DAY_MS)
        if first_ms is None:
            # Months differ in length: to begin too early does no harm, the newest are taken below.
            spare = 4 * DAY_MS * limit if interval == MONTH else 0
            first_ms = end_ms - (limit + 1) * length - spare
        else:
            first_ms = max(first_ms, open_time(interval, self.listed_ms))
            if interval != MONTH:
                end_ms = min(end_ms, first_ms + limit * length)
        of = self._of(symbol)
        sums = of.history.candles(interval, first_ms, end_ms, now_ms)
        chosen = sums[:limit] if start_ms is not None else sums[-limit:]
        return [_candle(of.present, interval, each) for each in chosen]

    def total(self, symbol: str, start_ms: int) -> Candle | None:
        """One candle over everything since a time; None without a trade."""
        of = self._of(symbol)
        found = of.history.sum(start_ms, self.now_ms() + 1)
        return None if found is None else _candle(of.present, "", found)

    def prepare(self, symbol: str, start_ms: int) -> Iterator[None]:
        """Compute in small pieces what a request about the time since `start_ms` needs."""
        yield from self._of(symbol).history.prepare(start_ms, self.now_ms())

    def _quote_slot(self, symbol: str) -> int:
        now_ms = self.now_ms()
        slot = now_ms // SLOT_MS
        return slot if self._of(symbol).present.tick(slot).quote_ms <= now_ms else slot - 1

    def _of(self, symbol: str) -> _Symbol:
        found = self._symbols.get(symbol)
        if found is None:
            present = SymbolGenerator(self.seed, symbol)
            past = SymbolGenerator(self.seed, symbol)
            history = GeneratedHistory(past, self.listed_ms)
            found = self._symbols[symbol] = _Symbol(present, GeneratedDepth(present), history)
        return found


def _candle(generator: SymbolGenerator, interval: str, total: Sum) -> Candle:
    tick, step = generator.market.tick, generator.market.step
    return Candle(
        symbol=generator.symbol,
        interval=interval,
        open_time_ms=total.open_ms,
        close_time_ms=total.close_ms,
        open=total.open * tick,
        high=total.high * tick,
        low=total.low * tick,
        close=total.close * tick,
        volume=total.quantity * step,
        quote_volume=total.amount * (tick * step),
        taker_volume=total.taker_quantity * step,
        taker_quote_volume=total.taker_amount * (tick * step),
        trades=total.trades,
        first_trade_id=total.first_id,
        last_trade_id=total.last_id,
    )


def generated_market(seed: int, *, clock: Callable[[], int], first_ms: int) -> GeneratedMarket:
    """The market of a venue that starts at market time `first_ms`."""
    return GeneratedMarket(
        seed=seed, clock=clock, listed_ms=first_ms // DAY_MS * DAY_MS - LISTED_DAYS * DAY_MS
    )
