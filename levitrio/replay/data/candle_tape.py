"""Candle files as a tape.

A row becomes a bar that is delivered when it closes, and a quote around its close, so that an order
decided on the bar is filled near its close. A file in the order of time is streamed; one that
goes symbol by symbol is sorted in memory.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import attrs
import msgspec

from levitrio.errors import UsageError
from levitrio.replay.data.candle_file import CandleFile, CandleRow
from levitrio.replay.data.tape import SPREAD, quote_around
from levitrio.trading.candles import INTERVALS, next_open_time
from levitrio.trading.market import Bar, MarketEvent
from levitrio.trading.market_view import MarketView

_KEPT_REFUSALS = 10


@attrs.define(eq=False)
class CandleTape:
    """Implements `Tape`."""

    files: Sequence[tuple[Path, str]]
    """Each with the symbol it is about; empty where the file says it."""
    symbols: Sequence[str]
    """Of the fleet; nothing else is played."""
    intervals: Sequence[str]
    """Wanted of files that hold several."""
    spread: Decimal = SPREAD
    on_refused: Callable[[str], None] = lambda _: None
    quoted: set[str] = attrs.field(factory=set)
    eager: bool = False
    refused: int = 0
    bars: int = 0
    """Played so far."""
    _open: list[CandleFile] = attrs.field(init=False)
    _wanted: frozenset[str] = attrs.field(init=False)
    _now_ms: int = 0
    _newest: dict[str, Bar] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._open = [CandleFile(path, symbol, self._refuse) for path, symbol in self.files]
        found: set[str] = set()
        for file in self._open:
            for symbol in self.symbols:
                found |= file.found.get(symbol, set())
        if not found:
            there = sorted({symbol for file in self._open for symbol in file.found})
            raise UsageError(
                f"expected candles of {', '.join(self.symbols)}, "
                f"found those of {', '.join(there) or 'nothing'}"
            )
        wanted = found & set(self.intervals) or found
        if len(wanted) > 1 and not found & set(self.intervals):
            several = ", ".join(sorted(wanted, key=INTERVALS.index))
            raise UsageError(
                f"the files hold candles of {several}: say which, for example with "
                f"--set 'feed.streams=[\"kline_{max(wanted, key=INTERVALS.index)}\"]'"
            )
        self._wanted = frozenset(wanted)

    def now_ns(self) -> int:
        """When the newest event arrived, in ns since 1970. May run backwards."""
        return self._now_ms * 1_000_000

    def fraction(self) -> float:
        """How much of the tape was read, from 0 to 1."""
        whole = sum(file.lines.size for file in self._open)
        return sum(file.lines.position for file in self._open) / max(1, whole)

    def notes(self) -> list[str]:
        """Remarks on the data for the reader of the report, one line each."""
        played = ", ".join(sorted(self._wanted, key=INTERVALS.index))
        notes = [
            (
                f"candles of {played}: orders are decided when a bar closes and filled near its "
                f"close, bid and ask {self.spread / 2:%} below and above it"
            )
        ]
        if self.refused:
            notes.append(f"{self.refused} rows were refused")
        silent = [symbol for symbol in self.symbols if symbol not in self._newest]
        if silent:
            notes.append(f"no candles of {', '.join(silent)}")
        return notes

    def mark(self, views: Mapping[str, MarketView], symbols: Iterable[str]) -> None:
        """Write the newest quotes of these symbols into the views."""
        for symbol in symbols:
            bar, view = self._newest.get(symbol), views[symbol]
            if bar is None:
                continue
            if view.quote is None or view.quote.update_id != bar.close_time_ms:
                quote = quote_around(symbol, bar.close, self.spread)
                view.quote = msgspec.structs.replace(quote, update_id=bar.close_time_ms)

    def __iter__(self) -> Iterator[MarketEvent]:
        known = set(self.symbols)
        sources = [self._timed(file, known) for file in self._open]
        rows = sources[0] if len(sources) == 1 else heapq.merge(*sources, key=_closes)
        last: dict[tuple[str, str], int] = {}
        for closes, row in rows:
            key = row.symbol, row.interval
            if row.open_ms <= last.get(key, -1):
                self._refuse(f"{row.symbol}: expected each candle once, got {row.open_ms} again")
                continue
            last[key] = row.open_ms
            opened, high, low, close, volume = row.prices
            bar = Bar(
                symbol=row.symbol,
                interval=row.interval,
                open_time_ms=row.open_ms,
                close_time_ms=closes - 1,
                raw_open=opened,
                raw_high=high,
                raw_low=low,
                raw_close=close,
                raw_volume=volume,
                trades=row.trades,
            )
            self._newest[row.symbol] = bar
            self._now_ms = closes - 1
            self.bars += 1
            yield bar

    def _timed(self, file: CandleFile, known: set[str]) -> Iterator[tuple[int, CandleRow]]:
        wanted = self._wanted
        rows = (
            (next_open_time(row.interval, row.open_ms), row)
            for row in file.rows(known)
            if row.interval in wanted
        )
        return rows if file.is_sorted else iter(sorted(rows, key=_closes))

    def _refuse(self, problem: str) -> None:
        self.refused += 1
        if self.refused <= _KEPT_REFUSALS:
            self.on_refused(problem)


def _closes(timed: tuple[int, CandleRow]) -> int:
    return timed[0]
