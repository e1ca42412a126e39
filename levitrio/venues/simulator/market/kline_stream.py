"""When the venue sends a candle of a kline stream. Pure.

While an interval trades, its candle is sent every 2 s of market time (every second for `1s`);
once it is over it is sent one last time, closed, and before any trade of the next.
"""

import attrs

from levitrio.trading.candles import CandleBuilder
from levitrio.trading.market import Trade
from levitrio.venues.simulator.market.stream_payloads import kline_payload


@attrs.define(eq=False)
class KlineStream:
    """One `<symbol>@kline_<interval>`."""

    symbol: str
    interval: str
    _builder: CandleBuilder = attrs.field(init=False)
    _every_ms: int = attrs.field(init=False)
    _next_update_ms: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._builder = CandleBuilder(self.symbol, self.interval)
        self._every_ms = 1_000 if self.interval == "1s" else 2_000

    def absorb(self, trade: Trade) -> None:
        """Add a trade from before the subscription to the candle; nothing is sent."""
        self._builder.add(trade)

    def is_over(self, market_ms: int) -> bool:
        """Whether `advance` would close a candle at that market time."""
        return market_ms >= self._builder.next_open_time_ms

    def advance(self, market_ms: int) -> list[bytes]:
        """Close the candles that are over at that market time; their payloads, oldest first."""
        if not self.is_over(market_ms):
            return []
        return [
            kline_payload(candle, event_ms=market_ms, is_closed=True)
            for candle in self._builder.advance(market_ms)
        ]

    def before(self, trade: Trade) -> list[bytes]:
        """Add a trade; returns the payloads to send before it."""
        return [
            kline_payload(candle, event_ms=trade.time_ms, is_closed=True)
            for candle in self._builder.add(trade)
        ]

    def after(self, market_ms: int) -> list[bytes]:
        """The payload of the open candle to send after a trade at `market_ms`, if one is due."""
        if market_ms < self._next_update_ms:
            return []
        candle = self._builder.current()
        if candle is None:
            return []
        self._next_update_ms = (market_ms // self._every_ms + 1) * self._every_ms
        return [kline_payload(candle, event_ms=market_ms, is_closed=False)]
