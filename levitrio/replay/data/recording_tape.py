"""Recordings as a tape: lines of `<local ns> <JSON frame>`, in file order.

Frames of streams the fleet does not listen to are passed over unread. The rest goes through the
decoder of the live feed, with all its checks. Several files are merged by their local time; each
keeps its own order, and a clock that stepped back inside one stands still meanwhile.

A recording without a kline stream gets its bars from the trades; one without quotes gets quotes
around the trades.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import cast

import attrs

from levitrio.replay.data.tape import SPREAD, quote_around
from levitrio.replay.data.trade_bars import LATE_MS, TradeBars
from levitrio.replay.data.trade_blocks import TradeBlocks
from levitrio.trading.market import Bar, MarketEvent, Quote, Trade
from levitrio.trading.market_view import MarketView
from levitrio.venues.binance.market_data.decoder import FrameDecoder
from levitrio.venues.binance.market_data.messages import OpenCandle
from levitrio.venues.recordings.frames import (
    FRAME_AT,
    NAME_AT,
    TIME_DIGITS,
    blocks_of,
    normalize_line,
    payload_at,
    streams_in,
)
from levitrio.venues.recordings.line_file import LineFile

_NEVER = 2**63
_KEPT_REFUSALS = 10

_TRADE, _QUOTE, _CANDLE, _IGNORED = range(4)


def _forget(_: Trade) -> None:
    pass


@attrs.define(eq=False)
class _Route:
    """What becomes of the frames of one stream."""

    kind: int
    symbol: str = ""
    bars: TradeBars | None = None
    last_id: int = -1
    payload_at: int = 0
    """Of a usual line."""
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
    """Called with a text for each of the first refused lines."""
    quoted: set[str] = attrs.field(factory=set)
    eager: bool = False
    lines: int = 0
    """Read so far; those of ignored streams too."""
    refused: int = 0
    repeated: int = 0
    """Trades that came twice: a recording may hold an overlap of two connections."""
    _line: str = "0"
    """Of the newest event."""
    _now_ns: int = 0
    _files: list[LineFile] = attrs.field(init=False)
    _routes: dict[str, _Route] = attrs.field(factory=dict, init=False)
    _decoder: FrameDecoder = attrs.field(factory=FrameDecoder, init=False)
    _unread: dict[str, str] = attrs.field(factory=dict, init=False)
    """Symbol -> line of its newest quote."""
    _bars: list[TradeBars] = attrs.field(factory=list, init=False)
    _due_ms: int = attrs.field(default=_NEVER, init=False)
    """When the next bar may have to close, in market ms."""
    _decode_trades: TradeBlocks = attrs.field(init=False)
    _unquoted: frozenset[str] = attrs.field(default=frozenset(), init=False)

    def __attrs_post_init__(self) -> None:
        self._decode_trades = TradeBlocks(self._decoder)
        self._files = [LineFile(path, self._refuse) for path in self.paths]
        found: set[str] = set()
        for file in self._files:
            found |= streams_in(file)
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
                payload_at=payload_at(f"{name}@trade"),
                keep=_forget if bars is None else bars.waiting.append,
            )
            self._routes[f"{name}@bookTicker"] = _Route(_QUOTE, symbol)
            for interval in self.intervals:
                kind = _IGNORED if interval in missing else _CANDLE
                self._routes[f"{name}@kline_{interval}"] = _Route(kind, symbol)
        has_trades = {s for s in self.symbols if f"{s.lower()}@trade" in found}
        self._unquoted = frozenset(s for s in has_trades if f"{s.lower()}@bookTicker" not in found)

    def now_ns(self) -> int:
        # A damaged time before a sound frame: checking the time of each line would cost more.
        """When the newest event arrived, in ns since 1970. May run backwards."""
        with suppress(ValueError):
            self._now_ns = int(self._line[:TIME_DIGITS])
        return self._now_ns

    def fraction(self) -> float:
        """How much of the tape was read, from 0 to 1."""
        whole = sum(file.size for file in self._files)
        return sum(file.position for file in self._files) / max(1, whole)

    def notes(self) -> list[str]:
        """Remarks on the data for the reader of the report, one line each."""
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
        """Write the newest quotes of these symbols into the views."""
        unread = self._unread
        for symbol in symbols:
            line = unread.pop(symbol, None)
            if line is not None:
                quote = self._decoder.decode(line[FRAME_AT:])
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
        for block in blocks_of(self._files, self._refuse):
            self.lines += len(block)
            found = [routes.get(line[NAME_AT : line.find('"', NAME_AT)]) for line in block]
            if None in found:
                self._normalize(block, found)
            routed = cast(list[_Route], found)
            next_trade = self._trades(block, routed).__next__
            for line, route in zip(block, routed, strict=True):
                kind = route.kind
                if kind == _QUOTE:
                    symbol = route.symbol
                    if not (self.eager or symbol in quoted):
                        unread[symbol] = line
                        continue
                    self._line = line
                    unread.pop(symbol, None)
                    quote = decode(line[FRAME_AT:])
                    if type(quote) is Quote:
                        yield quote
                    else:
                        self._refuse_frame(line)
                elif kind == _TRADE:
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
                elif kind == _CANDLE:
                    bar = decode(line[FRAME_AT:])
                    if type(bar) is Bar:
                        self._line = line
                        yield bar
                    elif type(bar) is not OpenCandle:
                        self._refuse_frame(line)
            for bars in self._bars:
                bars.shorten()
        yield from self._sweep(latest_ms)

    def _normalize(self, block: list[str], found: list[_Route | None]) -> None:
        """Find the routes of lines that do not begin as expected, and put the lines right.

        A stream that no engine wants is remembered as such: its lines are usual from then on.
        """
        for number, route in enumerate(found):
            if route is None:
                found[number] = _NOWHERE
                normalized = normalize_line(block[number], self._refuse)
                if normalized is not None:
                    block[number] = normalized[0]
                    found[number] = self._routes.setdefault(normalized[1], _NOWHERE)

    def _trades(self, block: Sequence[str], routes: Sequence[_Route]) -> Iterator[Trade | None]:
        """The trades of a block; None for one to refuse."""
        pairs = [pair for pair in zip(block, routes, strict=True) if pair[1].kind == _TRADE]
        return self._decode_trades(
            [line[route.payload_at : -1] for line, route in pairs],
            [route.symbol for _, route in pairs],
            lambda: [line for line, _ in pairs],
        )

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

    def _refuse_frame(self, line: str) -> None:
        self._refuse(f"expected a sound frame, got: {line[:200]}")

    def _refuse(self, problem: str) -> None:
        self.refused += 1
        if self.refused <= _KEPT_REFUSALS:
            self.on_refused(problem)


_NOWHERE = _Route(_IGNORED)
