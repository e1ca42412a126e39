"""The exchange's market when a recording is played: what was played so far. Pure.

A recording holds no tick and step sizes, so those of the generated market are used. Its order
book is the best bid and ask alone.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

import attrs
import msgspec

from levitrio.trading.candles import Candle, CandleBuilder
from levitrio.trading.market import Quote, Trade
from levitrio.trading.venue_orders import Depth
from levitrio.venues.recordings.frames import TapeEvent
from levitrio.venues.simulator.market.market import assets_of
from levitrio.venues.simulator.market.price_generator import SimulatedMarket, market_of

_KEPT_TRADES = 20_000
"""Trades kept per symbol: some minutes of a busy pair."""

_decode_trade = msgspec.json.Decoder(Trade).decode
_decode_quote = msgspec.json.Decoder(Quote).decode


@attrs.define(eq=False)
class _Played:
    """The newest quote and trades of one symbol."""

    quote: Quote | None = None
    trades: deque[Trade] = attrs.field(factory=lambda: deque(maxlen=_KEPT_TRADES))


@attrs.define(eq=False)
class RecordedMarket:
    """Implements `VenueMarket` for the symbols of a recording, from the events played so far."""

    streams: Sequence[str]
    """The recording's trade and bookTicker streams."""
    clock: Callable[[], int]
    """Market time, ms since 1970."""
    _played: dict[str, _Played] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        names = dict.fromkeys(stream.partition("@")[0].upper() for stream in self.streams)
        self._played = {name: _Played() for name in names if assets_of(name) is not None}

    def see(self, event: TapeEvent) -> Trade | Quote | None:
        """Take in one event of `streams`; None if it is malformed or of an unknown symbol."""
        symbol, _, kind = event.stream.partition("@")
        played = self._played.get(symbol.upper())
        if played is None:
            return None
        try:
            if kind == "trade":
                trade = _decode_trade(event.data)
                if not _all_positive(trade.price, trade.quantity):
                    return None
                played.trades.append(trade)
                return trade
            quote = _decode_quote(event.data)
            if not _all_positive(quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity):
                return None
            played.quote = quote
        except (ValueError, ArithmeticError):
            # Clients get it as it came; the exchange cannot match against it.
            return None
        return quote

    def now_ms(self) -> int:
        """Market time, ms since 1970."""
        return self.clock()

    def symbols(self) -> tuple[str, ...]:
        """What exchangeInfo lists: the usual symbols, and those that clients have asked for."""
        return tuple(self._played)

    def rules(self, symbol: str) -> SimulatedMarket | None:
        """Tick, step and magnitude; None for a symbol the venue does not have."""
        return market_of(symbol) if symbol in self._played else None

    def quote(self, symbol: str) -> Quote | None:
        """The best bid and ask; None while there are none."""
        return self._played[symbol].quote

    def depth(self, symbol: str, levels: int) -> Depth | None:
        """The order book, up to so many levels on each side, the best first."""
        quote = self._played[symbol].quote
        return None if quote is None or not levels else Depth.of(quote)

    def trades(
        self, symbol: str, *, from_id: int | None, start_ms: int | None, end_ms: int, limit: int
    ) -> list[Trade]:
        """Trades, oldest first: from an id or a time on, else the newest up to `end_ms`."""
        made = self._played[symbol].trades
        is_newest = limit == 1 and from_id is None and start_ms is None
        if is_newest and made and made[-1].time_ms <= end_ms:
            return [made[-1]]
        found = [
            trade
            for trade in made
            if (from_id is None or trade.trade_id >= from_id)
            and (start_ms is None or trade.time_ms >= start_ms)
            and trade.time_ms <= end_ms
        ]
        return found[-limit:] if from_id is None and start_ms is None else found[:limit]

    def candles(
        self, symbol: str, interval: str, *, start_ms: int | None, end_ms: int, limit: int
    ) -> list[Candle]:
        """Candles, oldest first: from a time on, else the newest up to `end_ms`."""
        builder = CandleBuilder(symbol, interval)
        made = [candle for trade in self._played[symbol].trades for candle in builder.add(trade)]
        current = builder.current()
        if current is not None:
            made.append(current)
        found = [
            candle
            for candle in made
            if (start_ms is None or candle.open_time_ms >= start_ms)
            and candle.open_time_ms <= end_ms
        ]
        return found[-limit:] if start_ms is None else found[:limit]

    def total(self, symbol: str, start_ms: int) -> Candle | None:
        # A month is longer than any window asked for; a recording rarely crosses one.
        """One candle over everything since a time; None without a trade."""
        builder = CandleBuilder(symbol, "1M")
        for trade in self._played[symbol].trades:
            if trade.time_ms >= start_ms:
                builder.add(trade)
        return builder.current()

    def prepare(self, symbol: str, start_ms: int) -> Iterator[None]:
        """Do nothing: everything is in memory."""
        yield from ()


def _all_positive(*values: Decimal) -> bool:
    return all(value.is_finite() and value > 0 for value in values)
