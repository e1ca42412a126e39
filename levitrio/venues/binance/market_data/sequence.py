"""What a symbol's events say about each other: duplicates, gaps, and ids that began anew.

Pure. Trade ids of a symbol are consecutive, so a jump is proof of loss. The ids of quotes only
grow, and a candle is closed once.
"""

from collections.abc import Sequence

import attrs

from levitrio.trading.candles import FIXED_INTERVALS, MONTH, next_open_time, open_time
from levitrio.trading.market import Bar, Quote, Trade

RESTART_MARGIN_MS = 60_000
"""A repeated trade carries the time it first had, and trades of different ids are milliseconds
apart from being sorted by time. A low id this much later than the last trade is no repetition:
the venue's ids began anew, as a testnet's do about once a month."""


RESTART_QUOTES = 3
RESTART_SILENCE = 10.0
"""Quotes carry no time. So many in a row with low ids that rise, when for so many seconds no higher
one came, are the market: two connections that overlap are never that far apart."""

DUPLICATE = -1
"""Verdict on a trade or a quote: it was delivered before."""
RESTARTED = -2
"""Verdict on a trade or a quote: it is new, and the ids before it count no more."""
ABSURD = -3
"""Verdict on a trade: its id lies too far ahead, and believing it would make us deaf."""

OLD = -4
"""Verdict on a quote: a newer one was delivered before."""

LEAP = 10_000_000
"""Ids: days of the busiest pair. A longer jump is believed once the next id follows it."""


@attrs.define(eq=False)
class SymbolSequence:
    """The newest of each kind that was delivered, for one symbol."""

    _trade_id: int = -1
    _trade_ms: int = 0
    _leap_id: int = -1
    _quote_id: int = -1
    _quote_at: float = 0.0
    _low_id: int = -1
    _low_quotes: int = 0
    """Quotes in a row below `_quote_id` that rise among themselves."""
    _bars: dict[str, int] = attrs.field(factory=dict)
    """Interval -> open time in ms of the last closed candle."""

    def judge_trade(self, trade: Trade) -> int:
        """How many trades are missing before this one; a verdict by name when below zero."""
        last = self._trade_id
        trade_id = trade.trade_id
        if trade_id <= last and trade.time_ms <= self._trade_ms + RESTART_MARGIN_MS:
            return DUPLICATE
        if trade_id - last > LEAP and last >= 0 and trade_id != self._leap_id + 1:
            self._leap_id = trade_id
            return ABSURD
        self._trade_id = trade_id
        self._trade_ms = trade.time_ms
        if trade_id <= last:
            return RESTARTED
        return trade_id - last - 1 if last >= 0 else 0

    def judge_quote(self, quote: Quote, now: float) -> int:
        """0 for a quote that is new, else a verdict by name. `now` is monotonic, in seconds."""
        last, update_id = self._quote_id, quote.update_id
        if update_id <= last:
            if update_id == last:
                return DUPLICATE
            self._low_quotes = self._low_quotes + 1 if update_id > self._low_id else 1
            self._low_id = update_id
            if self._low_quotes < RESTART_QUOTES or now - self._quote_at < RESTART_SILENCE:
                return OLD
        self._quote_id, self._quote_at = update_id, now
        self._low_quotes = 0
        return RESTARTED if update_id < last else 0

    @property
    def trade_ms(self) -> int:
        """Market time of the newest trade, ms since 1970; 0 before the first."""
        return self._trade_ms

    def is_old_bar(self, bar: Bar) -> bool:
        """Whether this candle, or a later one of its interval, was judged before."""
        return bar.open_time_ms <= self._bars.get(bar.interval, -1)

    def judge_bar(self, bar: Bar) -> Sequence[int]:
        """Open times of the bars that are missing before this one, which is not old."""
        missing = self._skipped(bar.interval, bar.open_time_ms)
        self._bars[bar.interval] = bar.open_time_ms
        return missing

    def judge_candle(self, interval: str, open_time_ms: int) -> Sequence[int]:
        """Open times of closed bars that did not come, known from the candle open now.

        The first candle ever received is the first whose closed bar is expected.
        """
        if interval not in self._bars:
            self._bars[interval] = (
                open_time(MONTH, open_time_ms - 1)
                if interval == MONTH
                else open_time_ms - FIXED_INTERVALS[interval]
            )
            return ()
        missing = self._skipped(interval, open_time_ms)
        if missing:
            self._bars[interval] = missing[-1]
        return missing

    def _skipped(self, interval: str, open_time_ms: int) -> Sequence[int]:
        last = self._bars.get(interval)
        if last is None:
            return ()
        expected = next_open_time(interval, last)
        if interval != MONTH:
            return range(expected, open_time_ms, FIXED_INTERVALS[interval])
        months: list[int] = []
        while expected < open_time_ms:
            months.append(expected)
            expected = next_open_time(interval, expected)
        return months

    def reconnected(self) -> None:
        """Forget the quote: another server may answer, and any quote is newer than silence."""
        self._quote_id = -1
