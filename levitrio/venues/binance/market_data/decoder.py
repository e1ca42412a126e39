"""Frames of the market streams to typed values, and what came with them. Pure.

A frame is `{"stream": "btcusdt@trade", "data": {...}}`. It is decoded in one pass by a decoder
for its kind, guessed from its third last character: a trade's frame ends in a boolean, a quote's
in a text, a depth update's in a list, a kline's in an object. Whatever does not fit the guess
(another order of keys, blanks, answers to requests, garbage) is read again the careful way,
which finds out what it is. Nothing a venue can send makes `decode` raise.

`decode` is the rule, frame by frame. What one read of a socket brought is decoded by
`decode_batch`: the amounts of all its frames are judged together, in C, and when they are not
sound beyond doubt every frame of the batch is asked `decode`.
"""

from collections.abc import Sequence
from operator import lt

import msgspec

from levitrio.trading.market import Bar, Quote, Trade
from levitrio.trading.order_book import DepthUpdate
from levitrio.venues.binance.market_data.depth_decoder import STREAMS as DEPTH_STREAMS
from levitrio.venues.binance.market_data.depth_decoder import check_depth, decode_depth
from levitrio.venues.binance.market_data.messages import (
    Decoded,
    InvalidFrame,
    OpenCandle,
    Reply,
    ServerShutdown,
)
from levitrio.venues.binance.market_data.validation import (
    EARLIEST_MS,
    INTERVALS,
    LARGEST_ID,
    LATEST_MS,
    POSITIVE,
    RejectReason,
    check_bar,
    is_crossed,
    positive_numbers,
)

MAX_FRAME = 1 << 20
"""Characters. The largest frame of the streams we take has about 300."""


class _TradeFrame(msgspec.Struct, gc=False):
    stream: str
    data: Trade


class _QuoteFrame(msgspec.Struct, gc=False):
    stream: str
    data: Quote


class _CandleState(msgspec.Struct, gc=False):
    x: bool
    t: int


class _CandleData(msgspec.Struct, gc=False):
    s: str
    k: _CandleState


class _CandleFrame(msgspec.Struct, gc=False):
    stream: str
    data: _CandleData


class _BarData(msgspec.Struct, gc=False):
    k: Bar


class _BarFrame(msgspec.Struct, gc=False):
    data: _BarData


class _AnyFrame(msgspec.Struct):
    """Everything that may come, by what tells the kinds apart."""

    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw()  # a union with it is not decoded as raw
    id: int | str | msgspec.UnsetType | None = msgspec.UNSET
    result: object = None
    code: int | None = None
    msg: str | None = None
    error: object = None
    e: str | None = None


class _Event(msgspec.Struct):
    e: str | None = None


_trade_frame = msgspec.json.Decoder(_TradeFrame).decode
_quote_frame = msgspec.json.Decoder(_QuoteFrame).decode
_candle_frame = msgspec.json.Decoder(_CandleFrame).decode
_bar_frame = msgspec.json.Decoder(_BarFrame).decode
_any_frame = msgspec.json.Decoder(_AnyFrame).decode
_event = msgspec.json.Decoder(_Event).decode
_is_sound = POSITIVE.fullmatch

_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeError, IndexError)
"""What the decoder raises: RecursionError on nesting without end, UnicodeError on surrogates.
IndexError is a frame too short to have an end."""

_SHUTDOWN = "serverShutdown"


def stream_name(symbol: str, stream: str) -> str:
    """The venue's name for a stream of a symbol: `btcusdt@trade`.

    Raises ValueError for a stream we cannot decode.
    """
    interval = stream.removeprefix("kline_")
    if stream not in ("trade", "bookTicker", *DEPTH_STREAMS) and (
        interval == stream or interval not in INTERVALS
    ):
        raise ValueError(
            "expected trade, bookTicker, depth, depth@100ms or kline_INTERVAL (kline_1m), "
            f"got {stream[:64]!r}"
        )
    return f"{symbol.lower()}@{stream}"


class FrameDecoder:
    """Decodes the frames of the streams that were added to it."""

    def __init__(self) -> None:
        self.latest_ms = LATEST_MS
        """Event times from here on are refused; the feed monitor moves it along."""
        self._trades: dict[str, str] = {}
        self._quotes: dict[str, str] = {}
        self._candles: dict[str, tuple[str, str]] = {}
        """Stream -> symbol; for candles symbol and interval."""
        self._depths: dict[str, str] = {}

    def add(self, symbol: str, stream: str) -> str:
        """Expect a stream (`trade`, `bookTicker`, `kline_1m`); returns its name on the wire."""
        name = stream_name(symbol, stream)
        if stream == "trade":
            self._trades[name] = symbol
        elif stream == "bookTicker":
            self._quotes[name] = symbol
        elif stream in DEPTH_STREAMS:
            self._depths[name] = symbol
        else:
            self._candles[name] = (symbol, stream.removeprefix("kline_"))
        return name

    def discard(self, name: str) -> None:
        """Expect a stream no longer, by its name on the wire."""
        self._trades.pop(name, None)
        self._quotes.pop(name, None)
        self._candles.pop(name, None)
        self._depths.pop(name, None)

    def decode(self, frame: str | bytes) -> Decoded:
        """What a frame says; input that is refused is a value too."""
        if len(frame) > MAX_FRAME:
            return InvalidFrame(reason=RejectReason.OVERSIZED)
        try:
            end = frame[-3]
            if end == "e":
                trade = _trade_frame(frame)
                symbol = self._trades.get(trade.stream)
                if symbol is not None:
                    return self._check_trade(trade.data, symbol)
            elif end == '"':
                quote = _quote_frame(frame)
                symbol = self._quotes.get(quote.stream)
                if symbol is not None:
                    return self._check_quote(quote.data, symbol)
            elif end == "]":
                changes = decode_depth(frame)
                symbol = self._depths.get(changes.stream)
                if symbol is not None:
                    return self._check_depth(changes.data, symbol)
        except _UNREADABLE:
            pass  # the guess was wrong, or the frame is: the careful way tells
        return self._decode_carefully(frame)

    def decode_batch(self, frames: Sequence[str | bytes]) -> list[Decoded]:
        """The same as `decode` of each frame in turn, at less cost."""
        decoded: list[Decoded] = []
        amounts: list[str] = []
        bids: list[str] = []
        asks: list[str] = []
        trade_symbol, quote_symbol = self._trades.get, self._quotes.get
        take, judge = decoded.append, amounts.append
        latest_ms = self.latest_ms
        is_plain = sum(map(len, frames)) <= MAX_FRAME  # so none is oversized
        for frame in frames if is_plain else ():
            try:
                end = frame[-3]
                if end == "e":
                    parsed = _trade_frame(frame)
                    trade = parsed.data
                    if (
                        trade.symbol == trade_symbol(parsed.stream)
                        and EARLIEST_MS < trade.time_ms < latest_ms
                        and 0 <= trade.trade_id <= LARGEST_ID
                    ):
                        judge(trade.raw_price)
                        judge(trade.raw_quantity)
                        take(trade)
                        continue
                elif end == '"':
                    said = _quote_frame(frame)
                    quote = said.data
                    if (
                        quote.symbol == quote_symbol(said.stream)
                        and 0 <= quote.update_id <= LARGEST_ID
                    ):
                        judge(quote.raw_bid_quantity)
                        judge(quote.raw_ask_quantity)
                        bids.append(quote.raw_bid)
                        asks.append(quote.raw_ask)
                        take(quote)
                        continue
            except _UNREADABLE:
                pass
            take(self.decode(frame))
        if is_plain and positive_numbers(amounts) is not None and _in_order(bids, asks):
            return decoded
        return [self.decode(frame) for frame in frames]

    def _decode_carefully(self, frame: str | bytes) -> Decoded:
        if not isinstance(frame, str):
            return InvalidFrame(reason=RejectReason.BINARY)
        try:
            outer = _any_frame(frame)
        except _UNREADABLE:
            return InvalidFrame(reason=RejectReason.MALFORMED)
        stream = outer.stream
        if stream is None or not outer.data:
            return _not_market_data(outer)
        symbol: str | None = None
        try:
            if (symbol := self._trades.get(stream)) is not None:
                return self._check_trade(_trade_frame(frame).data, symbol)
            if (symbol := self._quotes.get(stream)) is not None:
                return self._check_quote(_quote_frame(frame).data, symbol)
            if (symbol := self._depths.get(stream)) is not None:
                return self._check_depth(decode_depth(frame).data, symbol)
            if (candle := self._candles.get(stream)) is not None:
                symbol = candle[0]
                return self._decode_candle(frame, *candle)
            if _event(outer.data).e == _SHUTDOWN:
                return ServerShutdown()
        except _UNREADABLE:
            return InvalidFrame(reason=RejectReason.MALFORMED, symbol=symbol)
        return InvalidFrame(reason=RejectReason.UNKNOWN_STREAM)

    def _check_trade(self, trade: Trade, symbol: str) -> Trade | InvalidFrame:
        if trade.symbol != symbol:
            reason = RejectReason.WRONG_SYMBOL
        elif not _is_sound(trade.raw_price):
            reason = RejectReason.PRICE
        elif not _is_sound(trade.raw_quantity):
            reason = RejectReason.QUANTITY
        elif not EARLIEST_MS < trade.time_ms < self.latest_ms:
            reason = RejectReason.TIME
        elif not 0 <= trade.trade_id <= LARGEST_ID:
            reason = RejectReason.SEQUENCE
        else:
            return trade
        return InvalidFrame(reason=reason, symbol=symbol)

    def _check_quote(self, quote: Quote, symbol: str) -> Quote | InvalidFrame:
        if quote.symbol != symbol:
            reason = RejectReason.WRONG_SYMBOL
        elif not (_is_sound(quote.raw_bid) and _is_sound(quote.raw_ask)):
            reason = RejectReason.PRICE
        elif not (_is_sound(quote.raw_bid_quantity) and _is_sound(quote.raw_ask_quantity)):
            reason = RejectReason.QUANTITY
        elif is_crossed(quote.raw_bid, quote.raw_ask):
            reason = RejectReason.CROSSED
        elif not 0 <= quote.update_id <= LARGEST_ID:
            reason = RejectReason.SEQUENCE
        else:
            return quote
        return InvalidFrame(reason=reason, symbol=symbol)

    def _check_depth(self, update: DepthUpdate, symbol: str) -> DepthUpdate | InvalidFrame:
        reason = check_depth(update, symbol, self.latest_ms)
        return update if reason is None else InvalidFrame(reason=reason, symbol=symbol)

    def _decode_candle(
        self, frame: str, symbol: str, interval: str
    ) -> Bar | OpenCandle | InvalidFrame:
        candle = _candle_frame(frame).data
        if candle.s != symbol:
            return InvalidFrame(reason=RejectReason.WRONG_SYMBOL, symbol=symbol)
        if not candle.k.x:
            if not EARLIEST_MS < candle.k.t < self.latest_ms:
                return InvalidFrame(reason=RejectReason.TIME, symbol=symbol)
            return OpenCandle(symbol=symbol, interval=interval, open_time_ms=candle.k.t)
        bar = _bar_frame(frame).data.k
        if bar.symbol != symbol:
            return InvalidFrame(reason=RejectReason.WRONG_SYMBOL, symbol=symbol)
        reason = check_bar(bar, interval, self.latest_ms)
        return bar if reason is None else InvalidFrame(reason=reason, symbol=symbol)


def _in_order(bids: Sequence[str], asks: Sequence[str]) -> bool:
    """Whether all are sound amounts, and each bid is below its ask, beyond doubt."""
    low, high = positive_numbers(bids), positive_numbers(asks)
    # A tie of floats may hide two prices in order: no proof, as in `is_crossed`.
    return low is not None and high is not None and all(map(lt, low, high))


def _not_market_data(frame: _AnyFrame) -> Reply | ServerShutdown | InvalidFrame:
    """A frame without stream and data: an answer, the announcement of a shutdown, or nothing."""
    if frame.e == _SHUTDOWN:
        return ServerShutdown()
    if isinstance(frame.id, msgspec.UnsetType):
        return InvalidFrame(reason=RejectReason.MALFORMED)
    error: str | None = None
    if frame.error is not None:
        error = str(frame.error)[:500]
    elif frame.code is not None or frame.msg is not None:
        error = f"{frame.code}: {frame.msg}"[:500]
    return Reply(id=frame.id, result=frame.result, error=error)
