"""What a symbol's events say about each other: duplicates, gaps, and ids that began anew.

Pure. Trade ids of a symbol are consecutive, so a jump is proof of loss. The ids of quotes only
grow, and a candle is closed once.
"""

import attrs

from levitrio.trading.market import Bar, Quote, Trade

RESTART_MARGIN_MS = 60_000
"""A repeated trade carries the time it first had, and trades of different ids are milliseconds
apart from being sorted by time. A low id this much later than the last trade is no repetition:
the venue's ids began anew, as a testnet's do about once a month."""


DUPLICATE = -1
"""Verdict on a trade: it was delivered before."""
RESTARTED = -2
"""Verdict on a trade: it is new, and the ids before it count no more."""


@attrs.define(eq=False)
class SymbolSequence:
    """The newest of each kind that was delivered, for one symbol."""

    _trade_id: int = -1
    _trade_ms: int = 0
    _quote_id: int = -1
    _bars: dict[str, int] = attrs.field(factory=dict)
    """Interval -> open time in ms of the last closed candle."""

    def judge_trade(self, trade: Trade) -> int:
        """How many trades are missing before this one; `DUPLICATE` or `RESTARTED` below zero."""
        last = self._trade_id
        trade_id = trade.trade_id
        if trade_id <= last and trade.time_ms <= self._trade_ms + RESTART_MARGIN_MS:
            return DUPLICATE
        self._trade_id = trade_id
        self._trade_ms = trade.time_ms
        if trade_id <= last:
            return RESTARTED
        return trade_id - last - 1 if last >= 0 else 0

    def is_old_quote(self, quote: Quote) -> bool:
        """Whether a newer quote came over the same connection before."""
        if quote.update_id < self._quote_id:
            return True
        self._quote_id = quote.update_id
        return False

    def is_old_bar(self, bar: Bar) -> bool:
        """Whether this candle, or a later one of its interval, was delivered before."""
        if bar.open_time_ms <= self._bars.get(bar.interval, -1):
            return True
        self._bars[bar.interval] = bar.open_time_ms
        return False

    def reconnected(self) -> None:
        """Forget the quote: another server may answer, and any quote is newer than silence."""
        self._quote_id = -1
