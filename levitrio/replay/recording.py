"""Recordings as a tape: lines of `<local ns> <JSON frame>`, in file order.

Frames of streams the fleet does not listen to are passed over unread. The rest goes through the
decoder of the live feed, with all its checks. Several files are merged by their local time; each
keeps its own order, and a clock that stepped back inside one stands still meanwhile.

A recording without a kline stream gets its bars from the trades; one without quotes gets quotes
around the trades.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import cast

import attrs
import msgspec

from levitrio.errors import UsageError
from levitrio.replay.bars import LATE_MS, TradeBars
from levitrio.replay.lines import LineFile
from levitrio.replay.tape import SPREAD, quote_around
from levitrio.trading.market import Bar, MarketEvent, Quote, Trade
from levitrio.trading.market_view import MarketView
from levitrio.venues.binance.checks import EARLIEST_MS, LARGEST_ID, POSITIVE
from levitrio.venues.binance.messages import Heard
from levitrio.venues.binance.wire import FrameDecoder

PROBED_LINES = 20_000
"""Of each file: some minutes of a busy pair. A kline stream speaks every 2 s."""

_TIME = 19
"""Digits of a time in ns until the year 2286."""
_JSON = _TIME + 1
_NAME = _JSON + len('{"stream":"')
_NEVER = 2**63
_KEPT_REFUSALS = 10
_MERGED = 4_096
_MOST_SOUND = 65_536

_TRADE, _QUOTE, _CANDLE, _IGNORED = range(4)


class _Stream(msgspec.Struct, gc=False):
    stream: str | None = None


_stream_of = msgspec.json.Decoder(_Stream).decode
_decode_trades = msgspec.json.Decoder(Trade).decode_lines

_SYMBOL, _PRICE, _QUANTITY, _TIME_MS, _ID = map(
    attrgetter, ("symbol", "raw_price", "raw_quantity", "time_ms", "trade_id")
)


def _forget(_: Trade) -> None:
    pass


@attrs.define(eq=False)
class _Route:
    """What becomes of the frames of one stream."""

    kind: int
    symbol: str = ""
    bars: TradeBars | None = None
    last_id: int = -1
    data_at: int = 0
    """Where the payload begins in a line as the venue writes it; its last character is before
    the end."""
    keep: Callable[[Trade], None] = _forget
    """Takes each trade in, for the bars."""


@attrs.define(eq=False)
class RecordingTape:
    """Implements `Tape`. Raises UsageError for a file that is missing, or holds no frame."""

    paths: Sequence[Path]
    symbols: Sequence[str]
    """Of the fleet; nothing else is read."""
    intervals: Sequence[str]
    """Of the bars strategies want."""
    spread: Decimal = SPREAD
    on_refused: Callable[[str], None] = lambda _: None
    """Told about each of the first refused lines."""
    quoted: set[str] = attrs.field(factory=set)
    eager: bool = False
    lines: int = 0
    """Read so far; those of ignored streams too."""
    refused: int = 0
    repeated: int = 0
    """Trades that came twice: a recording may hold an overlap of two connections."""
    _line: str = "0"
    _files: list[LineFile] = attrs.field(init=False)
    _routes: dict[str, _Route] = attrs.field(factory=dict, init=False)
    _decoder: FrameDecoder = attrs.field(factory=FrameDecoder, init=False)
    _unread: dict[str, str] = attrs.field(factory=dict, init=False)
    """Symbol -> line of its newest quote."""
    _bars: list[TradeBars] = attrs.field(factory=list, init=False)
    _due_ms: int = attrs.field(default=_NEVER, init=False)
    """When the next bar may have to close, in market ms."""
    _sound: set[str] = attrs.field(factory=set, init=False)
    """Amounts that were checked before."""
    _unquoted: frozenset[str] = attrs.field(default=frozenset(), init=False)

    def __attrs_post_init__(self) -> None:
        self._files = [LineFile(path, self._refuse) for path in self.paths]
        found: set[str] = set()
        for file in self._files:
            streams = _streams_in(islice(file.lines(), PROBED_LINES))
            if not streams:
                raise UsageError(
                    f"{file.path}: expected lines of `<local ns> <JSON frame>`, found not one"
                )
            found |= streams
        for symbol in self.symbols:
            name = symbol.lower()
            for stream in ("trade", "bookTicker", *(f"kline_{i}" for i in self.intervals)):
                self._decoder.add(symbol, stream)
            missing = [i for i in self.intervals if f"{name}@kline_{i}" not in found]
            bars = TradeBars(symbol, missing) if missing else None
            if bars is not None:
                self._bars.append(bars)
            self._routes[f"{name}@trade"] = _Route(
                _TRADE,
                symbol,
                bars,
                data_at=_NAME + len(f'{name}@trade","data":'),
                keep=_forget if bars is None else bars.waiting.append,
            )
            self._routes[f"{name}@bookTicker"] = _Route(_QUOTE, symbol)
            for interval in self.intervals:
                kind = _IGNORED if interval in missing else _CANDLE
                self._routes[f"{name}@kline_{interval}"] = _Route(kind, symbol)
        has_trades = {s for s in self.symbols if f"{s.lower()}@trade" in found}
        self._unquoted = frozenset(s for s in has_trades if f"{s.lower()}@bookTicker" not in found)

    def now_ns(self) -> int:
        return int(self._line[:_TIME])

    def fraction(self) -> float:
        whole = sum(file.size for file in self._files)
        return sum(file.position for file in self._files) / max(1, whole)

    def notes(self) -> list[str]:
        notes = []
        if self.refused:
            notes.append(f"{self.refused} lines or frames were refused")
        if self.repeated:
            notes.append(f"{self.repeated} trades came twice and were told once")
        if self._unquoted:
            notes.append(
                f"no quotes were recorded of {', '.join(sorted(self._unquoted))}: bid and ask are "
                f"put around the last trade, {self.spread / 2:%} below and above it"
            )
        silent = [s for s in self.symbols if self._routes[f"{s.lower()}@trade"].last_id < 0]
        if silent:
            notes.append(f"no trades of {', '.join(silent)}")
        return notes

    def mark(self, views: Mapping[str, MarketView], symbols: Iterable[str]) -> None:
        unread = self._unread
        for symbol in symbols:
            line = unread.pop(symbol, None)
            if line is not None:
                quote = self._decoder.decode(line[_JSON:])
                if type(quote) is Quote:
                    views[symbol].quote = quote
                else:
                    self._refuse_frame(line)
            elif symbol in self._unquoted and (trade := views[symbol].trade) is not None:
                views[symbol].quote = quote_around(symbol, trade.price, self.spread)

    def __iter__(self) -> Iterator[MarketEvent]:
        routes, decode, unread = self._routes, self._decoder.decode, self._unread
        quoted, has_bars = self.quoted, bool(self._bars)
        latest_ms = 0
        for block in self._blocks():
            self.lines += len(block)
            found = [routes.get(line[_NAME : line.find('"', _NAME)]) for line in block]
            if None in found:
                pairs = [
                    (line, route) if route is not None else self._look_closer(line)
                    for line, route in zip(block, found, strict=True)
                ]
                block, found = [line for line, _ in pairs], [route for _, route in pairs]
            next_trade = self._trades(block, cast(list[_Route], found)).__next__
            for line, route in zip(block, cast(list[_Route], found), strict=True):
                kind = route.kind
                if kind == _TRADE:
                    trade = next_trade()
                    if trade is None:
                        self._refuse_frame(line)
                        continue
                    if trade.trade_id <= route.last_id:
                        self.repeated += 1
                        continue
                    is_first = route.last_id < 0
                    route.last_id = trade.trade_id
                    self._line = line
                    if has_bars:
                        latest_ms = trade.time_ms
                        if latest_ms >= self._due_ms or is_first:
                            yield from self._bars_before(route.bars, latest_ms)
                        route.keep(trade)
                    yield trade
                elif kind == _QUOTE:
                    symbol = route.symbol
                    if self.eager or symbol in quoted:
                        self._line = line
                        unread.pop(symbol, None)
                        quote = decode(line[_JSON:])
                        if type(quote) is Quote:
                            yield quote
                        else:
                            self._refuse_frame(line)
                    else:
                        unread[symbol] = line
                elif kind == _CANDLE:
                    bar = decode(line[_JSON:])
                    if type(bar) is Bar:
                        self._line = line
                        yield bar
                    elif type(bar) is not Heard:
                        self._refuse_frame(line)
            for bars in self._bars:
                bars.shorten()
        yield from self._sweep(latest_ms)

    def _trades(self, block: Sequence[str], routes: Sequence[_Route]) -> Iterator[Trade | None]:
        """The trades of a block, all decoded and checked in one go; None for one to refuse.

        Where one of them is not as usual, each is read by itself, which finds out which.
        """
        texts, symbols = [], []
        for line, route in zip(block, routes, strict=True):
            if route.kind == _TRADE:
                texts.append(line[route.data_at : -1])
                symbols.append(route.symbol)
        if not texts:
            return iter(())
        try:
            trades = _decode_trades("\n".join(texts))
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            trades = []
        if list(map(_SYMBOL, trades)) == symbols and self._are_sound(trades):
            return iter(trades)
        decode = self._decoder.decode
        one_by_one = (
            decode(line[_JSON:].rstrip())
            for line, route in zip(block, routes, strict=True)
            if route.kind == _TRADE
        )
        return (each if type(each) is Trade else None for each in one_by_one)

    def _are_sound(self, trades: Sequence[Trade]) -> bool:
        """The checks of the live feed, on all at once: most texts were seen before."""
        sound = self._sound
        new = {*map(_PRICE, trades), *map(_QUANTITY, trades)} - sound
        if not all(map(POSITIVE.fullmatch, new)):
            return False
        if len(sound) > _MOST_SOUND:
            sound.clear()
        sound |= new
        times, ids = list(map(_TIME_MS, trades)), list(map(_ID, trades))
        in_time: bool = min(times) > EARLIEST_MS and max(times) < self._decoder.latest_ms
        return in_time and bool(min(ids) >= 0 and max(ids) <= LARGEST_ID)

    def _bars_before(self, bars: TradeBars | None, time_ms: int) -> list[Bar]:
        """What is over before a trade at that time, of its own symbol and of silent ones."""
        closed = self._sweep(time_ms - LATE_MS)
        if bars is not None and time_ms >= bars.closes_ms:
            closed += bars.next(time_ms)
        self._due_ms = min(
            (bars.closes_ms for bars in self._bars if bars.closes_ms > 0), default=_NEVER
        )
        return closed

    def _sweep(self, time_ms: int) -> list[Bar]:
        """Bars that are over by then, of every symbol: some may not trade again."""
        closed = []
        for bars in self._bars:
            if time_ms >= bars.closes_ms > 0:
                closed += bars.advance(time_ms)
        return closed

    def _blocks(self) -> Iterator[list[str]]:
        if len(self._files) == 1:
            return self._files[0].blocks()
        return self._merged()

    def _merged(self) -> Iterator[list[str]]:
        # All times have the same number of digits, so lines compare as their times do.
        merged = heapq.merge(*(self._whole_lines(file) for file in self._files))
        while block := list(islice(merged, _MERGED)):
            yield block

    def _whole_lines(self, file: LineFile) -> Iterator[str]:
        """Lines that begin with a time: any other would spoil the order of the rest."""
        for line in file.lines():
            if line[_TIME:_JSON] == " ":
                yield line
            elif line.strip():
                yield self._look_closer(line)[0]

    def _look_closer(self, line: str) -> tuple[str, _Route]:
        """A line that does not begin as expected: a stream nobody wants, other blanks, garbage."""
        time, _, text = line.partition(" ")
        try:
            if not time.isdigit() or len(time) > _TIME:
                raise ValueError("no local time in ns before the JSON")
            name = _stream_of(text).stream
        except ValueError as error:
            if line.strip():
                self._refuse(f"expected `<local ns> <JSON frame>`, got: {error}, in {line[:60]!r}")
            return f"{0:0>{_TIME}} {{}}", _NOWHERE
        route = _NOWHERE if name is None else self._routes.setdefault(name, _NOWHERE)
        return f"{time:0>{_TIME}} {text.strip()}", route

    def _refuse_frame(self, line: str) -> None:
        self._refuse(f"expected a sound frame, got: {line[:200]}")

    def _refuse(self, problem: str) -> None:
        self.refused += 1
        if self.refused <= _KEPT_REFUSALS:
            self.on_refused(problem)


_NOWHERE = _Route(_IGNORED)


def _streams_in(lines: Iterable[str]) -> set[str]:
    found = set()
    for line in lines:
        try:
            name = _stream_of(line.partition(" ")[2]).stream
        except ValueError:
            continue
        if name is not None:
            found.add(name)
    return found
