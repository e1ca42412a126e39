"""One candle file: CSV with a header, or the venue's own kline dump without one.

Columns by name: a time (`time`, `open_time`, `timestamp`, `date`, ...) in s, ms, us, ns or ISO
8601 UTC, then `open`, `high`, `low`, `close`, `volume`; `symbol` and `timeframe` may be there.
Without a header: time, open, high, low, close, volume, and of a dump also the number of trades.
"""

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import islice
from pathlib import Path

import attrs
import msgspec

from levitrio.errors import UsageError
from levitrio.trading.candles import FIXED_INTERVALS, INTERVALS, next_open_time
from levitrio.trading.market import normalize_symbol
from levitrio.venues.recordings.line_file import LineFile

_TIMES = ("time", "open_time", "open_time_s", "open_time_ms", "timestamp", "date", "datetime")
_PRICES = ("open", "high", "low", "close", "volume")
_ALIASES = {"interval": "timeframe", "pair": "symbol", **dict.fromkeys(_TIMES, "time")}
_PLAIN = ("time", *_PRICES)
_DUMP = (*_PLAIN, "close_time", "quote_volume", "trades")
_PROBED_ROWS = 2_000
_LENGTHS = {length: interval for interval, length in FIXED_INTERVALS.items()}
_YEAR_2100_MS = 4_102_444_800_000
_UNSOUND = (ValueError, InvalidOperation, IndexError, OverflowError)
"""What reading a bad row raises."""


class CandleRow(msgspec.Struct, gc=False):
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
        # What is refused is reported when the file is read as a whole.
        on_refused, self.on_refused = self.on_refused, lambda _: None
        if "timeframe" not in self.columns:
            self.interval = self._infer_interval()
        self._survey()
        self.on_refused = on_refused

    def rows(self, wanted: Container[str] | None = None) -> Iterator[CandleRow]:
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

    def _row(self, cells: Sequence[str], symbol: str) -> CandleRow:
        at = self.columns
        prices = tuple(_plain(cells[at[name]].strip()) for name in _PRICES)
        opened, high, low, close, volume = map(Decimal, prices)
        if not (0 < low <= min(opened, close) and max(opened, close) <= high and volume >= 0):
            raise ValueError(f"prices or volume {prices}")
        interval = self._interval_of(cells)
        trades = int(cells[at["trades"]]) if "trades" in at else int(volume > 0)
        return CandleRow(_time_ms(cells[at["time"]].strip()), symbol, interval, prices, trades)

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


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _plain(text: str) -> str:
    """A number without exponent; a price stays text until it is used in a computation."""
    if "e" in text or "E" in text:
        text = format(Decimal(text), "f")
    if len(text) > 64 or not _is_number(text):
        raise ValueError(f"the number {text[:40]!r}")
    return text


def _time_ms(text: str) -> int:
    """Return ms since 1970, from the unit that makes it a date of this century."""
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
