"""Builds candles from trades: the open candle of an interval, and the closed ones.

The rules, those of the venue:

* A candle covers `[open time, close time]`, both milliseconds UTC that belong to it. All
  intervals count from 1970, except that weeks open on Monday and months on the first.
* A candle closes when its interval is over, whether or not anything traded; each closes once.
* A quiet interval closes as a filler: every price the last close, no trades.
* Before the first trade there is no price, so there is no candle.
"""

from datetime import UTC, datetime
from decimal import Decimal

import attrs

from levitrio.trading.market import Bar, Trade

_SECOND = 1_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR

# 1970-01-05 was the first Monday of the era.
_FIRST_MONDAY = 4 * _DAY

MONTH = "1M"

FIXED_INTERVALS: dict[str, int] = {
    "1s": _SECOND,
    "1m": _MINUTE,
    "3m": 3 * _MINUTE,
    "5m": 5 * _MINUTE,
    "15m": 15 * _MINUTE,
    "30m": 30 * _MINUTE,
    "1h": _HOUR,
    "2h": 2 * _HOUR,
    "4h": 4 * _HOUR,
    "6h": 6 * _HOUR,
    "8h": 8 * _HOUR,
    "12h": 12 * _HOUR,
    "1d": _DAY,
    "3d": 3 * _DAY,
    "1w": 7 * _DAY,
}
"""Interval -> length in ms; a month (`1M`) has none."""

INTERVALS = (*FIXED_INTERVALS, MONTH)
"""Every interval of the venue, shortest first; case matters."""

MAX_FILLERS = 1_440
"""A day of minutes: a longer silence is a hole in the data, not a quiet market."""


def open_time(interval: str, time_ms: int) -> int:
    """Open time, ms since 1970, of the candle that `time_ms` belongs to.

    Raises:
        KeyError: The interval is not in `INTERVALS`.
    """
    if interval == MONTH:
        return _month_start(time_ms, months_on=0)
    length = FIXED_INTERVALS[interval]
    start = _FIRST_MONDAY if interval == "1w" else 0
    return (time_ms - start) // length * length + start


def next_open_time(interval: str, open_time_ms: int) -> int:
    """Open time of the candle after the one that opened at `open_time_ms`, ms since 1970."""
    if interval == MONTH:
        return _month_start(open_time_ms, months_on=1)
    return open_time_ms + FIXED_INTERVALS[interval]


def _month_start(time_ms: int, *, months_on: int) -> int:
    date = datetime.fromtimestamp(time_ms / 1000, UTC)
    month = date.month - 1 + months_on
    start = datetime(date.year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return int(start.timestamp()) * 1000


@attrs.frozen(kw_only=True)
class Candle:
    """One interval of one symbol, as it stood at some moment or when it closed."""

    symbol: str
    interval: str
    open_time_ms: int
    """First ms that belongs to it."""
    close_time_ms: int
    """Last ms that belongs to it."""
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    """In the base asset."""
    quote_volume: Decimal
    """In the quote asset."""
    taker_volume: Decimal
    """The part of `volume` that takers bought."""
    taker_quote_volume: Decimal
    """The part of `quote_volume` that takers bought."""
    trades: int
    """0 marks a filler."""
    first_trade_id: int
    """-1 in a filler."""
    last_trade_id: int
    """-1 in a filler."""

    def bar(self) -> Bar:
        """The candle as a strategy receives it; meaningful for a closed candle only."""
        return Bar(
            symbol=self.symbol,
            interval=self.interval,
            open_time_ms=self.open_time_ms,
            close_time_ms=self.close_time_ms,
            raw_open=str(self.open),
            raw_high=str(self.high),
            raw_low=str(self.low),
            raw_close=str(self.close),
            raw_volume=str(self.volume),
            trades=self.trades,
        )


_ZERO = Decimal(0)


@attrs.define(eq=False)
class CandleBuilder:
    """Builds the candles of one symbol and interval, trade by trade, in trade order.

    It knows no clock; the caller passes the market time to `advance`.
    """

    symbol: str
    interval: str
    late: int = attrs.field(default=0, init=False)
    """Trades ignored because their candle had closed already."""
    _open_time: int = attrs.field(default=0, init=False)
    # Nothing can close before the first trade: `advance` compares with this on every event.
    _next_open_time: int = attrs.field(default=2**63, init=False)
    _open: Decimal = attrs.field(default=_ZERO, init=False)
    _high: Decimal = attrs.field(default=_ZERO, init=False)
    _low: Decimal = attrs.field(default=_ZERO, init=False)
    _close: Decimal = attrs.field(default=_ZERO, init=False)
    _volume: Decimal = attrs.field(default=_ZERO, init=False)
    _quote_volume: Decimal = attrs.field(default=_ZERO, init=False)
    _taker_volume: Decimal = attrs.field(default=_ZERO, init=False)
    _taker_quote_volume: Decimal = attrs.field(default=_ZERO, init=False)
    _trades: int = attrs.field(default=0, init=False)
    _first_id: int = attrs.field(default=-1, init=False)
    _last_id: int = attrs.field(default=-1, init=False)
    _started: bool = attrs.field(default=False, init=False)

    @property
    def next_open_time_ms(self) -> int:
        """Open time of the next candle, ms since 1970; 2**63 before the first trade."""
        return self._next_open_time

    def add(self, trade: Trade) -> list[Candle]:
        """Add a trade; returns the candles that ended before it, oldest first."""
        time_ms = trade.time_ms
        closed = self.advance(time_ms) if time_ms >= self._next_open_time else []
        if not self._started:
            self._started = True
            self._begin(open_time(self.interval, time_ms))
        elif time_ms < self._open_time:
            self.late += 1
            return closed
        price, quantity = trade.price, trade.quantity
        notional = price * quantity
        if self._trades == 0:
            self._open = self._high = self._low = price
            self._first_id = trade.trade_id
        elif price > self._high:
            self._high = price
        elif price < self._low:
            self._low = price
        self._close = price
        self._last_id = trade.trade_id
        self._trades += 1
        self._volume += quantity
        self._quote_volume += notional
        if not trade.buyer_is_maker:
            self._taker_volume += quantity
            self._taker_quote_volume += notional
        return closed

    def advance(self, time_ms: int) -> list[Candle]:
        """Close the candles that end by market time `time_ms`; returns them, oldest first.

        After a silence of more than `MAX_FILLERS` intervals it closes only the first candle and
        makes no fillers.
        """
        closed: list[Candle] = []
        while time_ms >= self._next_open_time:
            closed.append(self._candle())
            following = self._next_open_time
            if len(closed) > MAX_FILLERS:
                del closed[1:]
                following = open_time(self.interval, time_ms)
            self._begin(following)
        return closed

    def current(self) -> Candle | None:
        """The open candle so far; None before the first trade."""
        return self._candle() if self._started else None

    def _begin(self, open_time_ms: int) -> None:
        """Open the candle of an interval at the last close; the first trade resets its prices."""
        self._open_time = open_time_ms
        self._next_open_time = next_open_time(self.interval, open_time_ms)
        self._open = self._high = self._low = self._close
        self._volume = self._quote_volume = _ZERO
        self._taker_volume = self._taker_quote_volume = _ZERO
        self._trades = 0
        self._first_id = self._last_id = -1

    def _candle(self) -> Candle:
        return Candle(
            symbol=self.symbol,
            interval=self.interval,
            open_time_ms=self._open_time,
            close_time_ms=self._next_open_time - 1,
            open=self._open,
            high=self._high,
            low=self._low,
            close=self._close,
            volume=self._volume,
            quote_volume=self._quote_volume,
            taker_volume=self._taker_volume,
            taker_quote_volume=self._taker_quote_volume,
            trades=self._trades,
            first_trade_id=self._first_id,
            last_trade_id=self._last_id,
        )
