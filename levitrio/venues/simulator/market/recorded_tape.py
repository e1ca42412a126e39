"""Plays recordings as the venue would have sent them. Pure but for reading the files.

Several files are merged by their local time, which paces them; candles are made by the exchange's
trade time. Streams that a recording lacks are made from its trades: klines of any interval and
aggTrade. The first lines decide what it lacks, so that a file of any size can be streamed.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import attrs
import msgspec

from levitrio.trading.market import Trade
from levitrio.venues.recordings.frames import TapeEvent
from levitrio.venues.recordings.reader import RecordingReader
from levitrio.venues.simulator.market.kline_stream import KlineStream
from levitrio.venues.simulator.market.stream_payloads import agg_trade_payload
from levitrio.venues.simulator.market.stream_protocol import parse_stream
from levitrio.venues.simulator.market.tape import merge

_LATE_MS = 2_000
"""How long the candle of a symbol that stopped trading stays open for a late last trade."""

_KEPT_REFUSALS = 10

_YEAR_2100_MS = 4_102_444_800_000
_ABSURD = Decimal(10) ** 15
"""More than any price or quantity in a real stream, few enough digits for eight decimals."""

_TRADE = "@trade"

_MADE = frozenset({"aggTrade", "kline"})
"""Kinds of streams made from trades where they were not recorded."""

_decode_trade = msgspec.json.Decoder(Trade).decode


@attrs.define(eq=False)
class RecordedTape:
    """Merged recordings. One step is one recorded frame and the events made from it.

    Raises UsageError when a file is missing or its first lines hold no frame. Its files stay
    open until the tape has ended, or until `close`.
    """

    paths: Sequence[Path]
    on_refused: Callable[[str], None]
    """Called with a text about each of the first refused lines."""
    refused: int = attrs.field(default=0, init=False)
    """Lines refused so far."""
    trades: int = attrs.field(default=0, init=False)
    """Trades played so far."""
    _frames: Iterator[TapeEvent] = attrs.field(init=False)
    _recorded: frozenset[str] = attrs.field(init=False)
    # Keyed by the name of the trade stream they are made from: one lookup per recorded frame.
    _agg_trades: dict[str, str] = attrs.field(factory=dict, init=False)
    _klines: dict[str, dict[str, KlineStream]] = attrs.field(factory=dict, init=False)
    _market_ms: int = attrs.field(default=0, init=False)
    _local_ns: int = attrs.field(default=0, init=False)
    _next_sweep_ms: int = attrs.field(default=0, init=False)
    _has_ended: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        readers = [RecordingReader(path, self._refuse) for path in self.paths]
        self._recorded = frozenset().union(*(reader.streams() for reader in readers))
        self._frames = merge(readers)

    @property
    def market_ms(self) -> int:
        """The newest trade time played, ms since 1970; 0 before the first."""
        return self._market_ms

    @property
    def horizon_ms(self) -> None:
        """None: no market time is reserved, a new start plays the recording again."""

    @property
    def recorded_streams(self) -> frozenset[str]:
        """The streams found in the first lines of the files."""
        return self._recorded

    def start(self, time_ms: int) -> None:
        """Do nothing: a recording has its own time, and waited meanwhile."""

    def step(self) -> Sequence[TapeEvent] | None:
        """The next recorded frame and the events made from it. None at the end of the tape."""
        if self._has_ended:
            return None
        frame = next(self._frames, None)
        if frame is None:
            self._has_ended = True
            return self._closed_candles(self._market_ms)
        self._local_ns = frame.time_ns
        stream = frame.stream
        if not stream.endswith(_TRADE):
            # A stream that first appears after the probed lines is being made already: never both.
            name = parse_stream(stream)
            is_made = name is not None and name.kind in _MADE and stream not in self._recorded
            return () if is_made else (frame,)
        self.trades += 1
        return self._trade_events(frame)

    def subscribe(self, stream: str) -> None:
        """Make the stream from trades from the next step on, unless it was recorded."""
        name = parse_stream(stream)
        if name is None or stream in self._recorded:
            return
        source = name.symbol.lower() + _TRADE
        if name.kind == "aggTrade":
            self._agg_trades[source] = stream
        elif name.kind == "kline":
            klines = self._klines.setdefault(source, {})
            klines.setdefault(stream, KlineStream(name.symbol, name.interval))

    def unsubscribe(self, stream: str) -> None:
        """Stop making an aggTrade stream; candles go on, so that they stay whole."""
        name = parse_stream(stream)
        if name is not None and name.kind == "aggTrade":
            self._agg_trades.pop(name.symbol.lower() + _TRADE, None)

    def close(self) -> None:
        """Close the files; idempotent."""
        self._has_ended = True
        self._frames.close()  # type: ignore[attr-defined]

    def _trade_events(self, frame: TapeEvent) -> list[TapeEvent]:
        klines = self._klines.get(frame.stream)
        agg_trade = self._agg_trades.get(frame.stream)
        try:
            trade = _decode_trade(frame.data)
            if klines is not None:
                _check_for_candles(trade)
        except (ValueError, ArithmeticError) as error:
            # Played as it came: clients have to cope with it, as on the real venue.
            self._refuse(f"{frame.stream}: expected a trade to make candles of, got: {error}")
            return [frame]
        time_ns = frame.time_ns
        events: list[TapeEvent] = []
        if trade.time_ms > self._market_ms:
            self._market_ms = trade.time_ms
            if trade.time_ms >= self._next_sweep_ms:
                self._next_sweep_ms = trade.time_ms // 1000 * 1000 + 1000
                events = self._closed_candles(trade.time_ms - _LATE_MS)
        if klines is not None:
            for stream, kline in klines.items():
                events += [TapeEvent(time_ns, stream, data) for data in kline.before(trade)]
        events.append(frame)
        if agg_trade is not None:
            events.append(TapeEvent(time_ns, agg_trade, agg_trade_payload(trade)))
        if klines is not None:
            for stream, kline in klines.items():
                after = kline.after(trade.time_ms)
                events += [TapeEvent(time_ns, stream, data) for data in after]
        return events

    def _closed_candles(self, market_ms: int) -> list[TapeEvent]:
        """Close the finished candles of all symbols; some may not trade again."""
        return [
            TapeEvent(self._local_ns, stream, payload)
            for klines in self._klines.values()
            for stream, kline in klines.items()
            for payload in kline.advance(market_ms)
        ]

    def _refuse(self, problem: str) -> None:
        self.refused += 1
        if self.refused <= _KEPT_REFUSALS:
            self.on_refused(problem)


def _check_for_candles(trade: Trade) -> None:
    if not 0 < trade.time_ms < _YEAR_2100_MS:
        raise ValueError(f"trade time {trade.time_ms}")
    for value in (trade.price, trade.quantity):
        if not (value.is_finite() and 0 < value < _ABSURD):
            raise ValueError(f"{value} as a price or quantity")
