"""Candle files as a tape: CSV with a header, or the venue's own kline dump without one.

Columns by name: a time (`time`, `open_time`, `timestamp`, `date`, ...) in s, ms, us, ns or ISO
8601 UTC, then `open`, `high`, `low`, `close`, `volume`; `symbol` and `timeframe` may be there.
Without a header: time, open, high, low, close, volume, and of a dump also the number of trades.

A row becomes a bar that is told when it closes, and a quote around its close, so that an order
decided on the bar is filled near its close. A file in the order of time is streamed; one that
goes symbol by symbol is sorted in memory.
"""

import csv
import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import islice
from pathlib import Path

import attrs
import msgspec

from levitrio.errors import UsageError
from levitrio.replay.lines import LineFile
from levitrio.replay.tape import SPREAD, quote_around
from levitrio.trading.candles import FIXED_INTERVALS, INTERVALS, next_open_time
from levitrio.trading.market import Bar, MarketEvent, normalize_symbol
from levitrio.trading.market_view import MarketView

_TIMES = ("time", "open_time", "open_time_s", "open_time_ms", "timestamp", "date", "datetime")
_PRICES = ("open", "high", "low", "close", "volume")
_ALIASES = {"interval": "timeframe", "pair": "symbol", **dict.fromkeys(_TIMES, "time")}
_PLAIN = ("time", *_PRICES)
_DUMP = (*_PLAIN, "close_time", "quote_volume", "trades")
_PROBED_ROWS = 2_000
_KEPT_REFUSALS = 10
_LENGTHS = {length: interval for interval, length in FIXED_INTERVALS.items()}
_YEAR_2100_MS = 4_102_444_800_000
_UNSOUND = (ValueError, InvalidOperation, IndexError, OverflowError)
"""What reading a bad row raises."""


class _Row(msgspec.Struct, gc=False):
    """One candle as it stands in the file."""

    open_ms: int
    symbol: str
    interval: str
    prices: tuple[str, ...]
    trades: int


@attrs.define(eq=False)
class CandleFile:
    """One file. Raises UsageError when it is not there, or no candle file of the fleet."""

    path: Path
    symbol: str
    """Of files that do not say it; empty: the file must."""
    on_refused: Callable[[str], None]
    lines: LineFile = attrs.field(init=False)
    columns: dict[str, int] = attrs.field(init=False)
    """Name -> position in a row."""
    has_header: bool = attrs.field(init=False)
    interval: str = ""
    """Of files without such a column, found from the times."""
    found: dict[str, set[str]] = attrs.field(factory=lambda: defaultdict(set))
    """Symbol -> intervals."""
    is_sorted: bool = True
    _normalized: dict[str, str] = attrs.field(factory=dict)
    """Symbols by how the file writes them."""

    def __attrs_post_init__(self) -> None:
        self.lines = LineFile(self.path, self.on_refused)
        first = next(csv.reader(islice(self.lines.lines(), 1)), [])
        names = [cell.strip().lower() for cell in first]
        self.has_header = not _is_number(first[0]) if first else False
        if self.has_header:
            named = [_ALIASES.get(name, name) for name in names]
            self.columns = {name: number for number, name in enumerate(named)}
        else:
            layout = _DUMP if len(first) >= len(_DUMP) else _PLAIN
            self.columns = {name: number for number, name in enumerate(layout)}
        missing = [name for name in _PLAIN if name not in self.columns]
        if missing or len(first) < len(_PLAIN):
            raise UsageError(
                f"{self.path}: expected a recording, or a CSV of time, open, high, low, close,"
                f" volume, got a first line {','.join(first)[:80]!r}"
            )
        if "symbol" not in self.columns and not self.symbol:
            raise UsageError(
                f"{self.path}: expected a column `symbol`, or --recording SYMBOL={self.path.name}"
            )
        # Whatever is refused is told when the file is read for good.
        tell, self.on_refused = self.on_refused, lambda _: None
        if "timeframe" not in self.columns:
            self.interval = self._infer_interval()
        self._survey()
        self.on_refused = tell

    def rows(self, wanted: Container[str] | None = None) -> Iterator[_Row]:
        """The sound rows in file order, of the wanted symbols or of all."""
        for number, cells in self._cells():
            try:
                symbol = self._symbol_of(cells)
                if wanted is None or symbol in wanted:
                    yield self._row(cells, symbol)
            except _UNSOUND as error:
                self.on_refused(f"{self.path}:{number}: expected a candle, got: {error}")

    def _cells(self) -> Iterator[tuple[int, list[str]]]:
        """Line numbers and rows, without the header and empty lines."""
        numbered = enumerate(csv.reader(self.lines.lines()), start=1)
        return (
            (number, cells)
            for number, cells in islice(numbered, int(self.has_header), None)
            if cells
        )

    def _symbol_of(self, cells: Sequence[str]) -> str:
        if "symbol" not in self.columns:
            return self.symbol
        text = cells[self.columns["symbol"]]
        symbol = self._normalized.get(text)
        if symbol is None:
            symbol = self._normalized[text] = normalize_symbol(text)
        return symbol

    def _interval_of(self, cells: Sequence[str]) -> str:
        if "timeframe" not in self.columns:
            return self.interval
        interval = cells[self.columns["timeframe"]].strip()
        if interval not in INTERVALS:
            raise ValueError(f"the interval {interval[:20]!r}")
        return interval

    def _row(self, cells: Sequence[str], symbol: str) -> _Row:
        at = self.columns
        prices = tuple(_plain(cells[at[name]].strip()) for name in _PRICES)
        opened, high, low, close, volume = map(Decimal, prices)
        if not (0 < low <= min(opened, close) and max(opened, close) <= high and volume >= 0):
            raise ValueError(f"prices or volume {prices}")
        interval = self._interval_of(cells)
        trades = int(cells[at["trades"]]) if "trades" in at else int(volume > 0)
        return _Row(_time_ms(cells[at["time"]].strip()), symbol, interval, prices, trades)

    def _infer_interval(self) -> str:
        """The smallest step between two rows; holes only make it larger."""
        times: dict[str, int] = {}
        steps = []
        for row in islice(self.rows(), _PROBED_ROWS):
            if row.symbol in times and row.open_ms > times[row.symbol]:
                steps.append(row.open_ms - times[row.symbol])
            times[row.symbol] = row.open_ms
        step = min(steps, default=0)
        if step not in _LENGTHS:
            raise UsageError(
                f"{self.path}: expected candles of {', '.join(FIXED_INTERVALS)}, "
                f"got times that are {step / 1000:g} s apart"
            )
        return _LENGTHS[step]

    def _survey(self) -> None:
        """Which candles there are, and whether they stand in the order of time; not if sound."""
        at, latest = self.columns, 0
        for _, cells in self._cells():
            try:
                interval = self._interval_of(cells)
                closes = next_open_time(interval, _time_ms(cells[at["time"]].strip()))
                self.found[self._symbol_of(cells)].add(interval)
            except _UNSOUND:
                continue
            self.is_sorted = self.is_sorted and closes >= latest
            latest = closes


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
        return self._now_ms * 1_000_000

    def fraction(self) -> float:
        whole = sum(file.lines.size for file in self._open)
        return sum(file.lines.position for file in self._open) / max(1, whole)

    def notes(self) -> list[str]:
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

    def _timed(self, file: CandleFile, known: set[str]) -> Iterator[tuple[int, _Row]]:
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


def _closes(timed: tuple[int, _Row]) -> int:
    return timed[0]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _plain(text: str) -> str:
    """A number without exponent; a price is text until somebody computes with it."""
    if "e" in text or "E" in text:
        text = format(Decimal(text), "f")
    if len(text) > 64 or not _is_number(text):
        raise ValueError(f"the number {text[:40]!r}")
    return text


def _time_ms(text: str) -> int:
    """ms since 1970, from whatever unit makes it a date of this century."""
    if _is_number(text):
        value = Decimal(text)
        for scale in (1000, 1, Decimal("0.001"), Decimal("0.000001")):
            if 0 < value * scale < _YEAR_2100_MS:
                return int(value * scale)
        raise ValueError(f"the time {text!r}")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
