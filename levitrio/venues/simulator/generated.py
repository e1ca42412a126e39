"""The generated tape: the events of the made-up market that somebody listens to. Pure."""

from collections.abc import Sequence
from operator import attrgetter

import attrs

from levitrio.trading.candles import open_time
from levitrio.venues.simulator.generated_depth import GeneratedDepth
from levitrio.venues.simulator.generator import SLOT_MS, SymbolGenerator
from levitrio.venues.simulator.klines import KlineStream
from levitrio.venues.simulator.payloads import agg_trade_payload, quote_payload, trade_payload
from levitrio.venues.simulator.streams import StreamName, parse_stream
from levitrio.venues.simulator.tape import TapeEvent

_NS = 1_000_000

_BACKFILL_SLOTS = 3_600_000 // SLOT_MS
"""An hour, 7,200 trades, about 50 ms of work: an open candle of up to an hour is whole from the
first message on; a longer one begins an hour before somebody asked for it."""

_BY_TIME = attrgetter("time_ns")


@attrs.define(eq=False)
class _Listening:
    """What is wanted of one symbol. Its streams' names are kept ready for the hot path."""

    generator: SymbolGenerator
    trade: str = ""
    agg_trade: str = ""
    quote: str = ""
    klines: dict[str, KlineStream] = attrs.field(factory=dict)
    """By stream name."""
    depths: dict[str, StreamName] = attrs.field(factory=dict)
    """By stream name."""
    depth_slots: dict[str, int] = attrs.field(factory=dict)
    """By the name of a depth stream: the slot that its last event came up to."""
    depth: GeneratedDepth | None = None

    def is_empty(self) -> bool:
        return not (self.trade or self.agg_trade or self.quote or self.klines or self.depths)


@attrs.define(eq=False)
class GeneratedTape:
    """A market without end. One step is one slot of every symbol that somebody listens to."""

    seed: int
    _next_slot: int = attrs.field(default=0, init=False)
    _symbols: dict[str, _Listening] = attrs.field(factory=dict, init=False)
    _market_ms: int = attrs.field(default=0, init=False)

    @property
    def market_ms(self) -> int:
        """Where the last step ended, ms since 1970; 0 before the first."""
        return self._market_ms

    @property
    def horizon_ms(self) -> int:
        """The last ms of the next slot."""
        return (self._next_slot + 1) * SLOT_MS - 1

    def start(self, time_ms: int) -> None:
        """Go on with the first slot that begins at or after `time_ms`; never goes back."""
        slot = max(self._next_slot, -(-time_ms // SLOT_MS))
        for listening in self._symbols.values():
            for kline in listening.klines.values():
                skipped = range(max(self._next_slot, slot - _BACKFILL_SLOTS), slot)
                self._absorb(listening.generator, kline, skipped)
            for stream, last in listening.depth_slots.items():
                listening.depth_slots[stream] = max(last, slot - 2)
        self._next_slot = slot

    def step(self) -> Sequence[TapeEvent]:
        """The events of the next slot, by time; equal times keep the order of subscribing."""
        slot = self._next_slot
        self._next_slot = slot + 1
        start_ms = slot * SLOT_MS
        events: list[TapeEvent] = []
        for listening in self._symbols.values():
            self._slot_events(listening, slot, start_ms, events)
        events.sort(key=_BY_TIME)
        self._market_ms = start_ms + SLOT_MS - 1
        return events

    def subscribe(self, stream: str) -> None:
        """Make a stream from the next step on; a kline looks back to the start of its candle."""
        name = parse_stream(stream)
        if name is None:
            return
        listening = self._symbols.get(name.symbol)
        if listening is None:
            listening = _Listening(SymbolGenerator(self.seed, name.symbol))
            self._symbols[name.symbol] = listening
            # Made now, so that a thousand symbols do not all wait for the first step.
            listening.generator.tick(self._next_slot)
        match name.kind:
            case "trade":
                listening.trade = stream
            case "aggTrade":
                listening.agg_trade = stream
            case "bookTicker":
                listening.quote = stream
            case "depth":
                listening.depth = listening.depth or GeneratedDepth(listening.generator)
                listening.depths[stream] = name
                # A slot may have been stepped whose quote nobody has heard: the first event goes
                # back behind it, or a snapshot taken right now would not meet it.
                listening.depth_slots[stream] = self._next_slot - 2
            case _:
                listening.klines[stream] = self._kline(listening.generator, name)

    def unsubscribe(self, stream: str) -> None:
        """Stop making a stream; the symbol's market goes on unseen."""
        name = parse_stream(stream)
        if name is None or name.symbol not in self._symbols:
            return
        listening = self._symbols[name.symbol]
        match name.kind:
            case "trade":
                listening.trade = ""
            case "aggTrade":
                listening.agg_trade = ""
            case "bookTicker":
                listening.quote = ""
            case "depth":
                listening.depths.pop(stream, None)
                listening.depth_slots.pop(stream, None)
            case _:
                listening.klines.pop(stream, None)
        if listening.is_empty():
            del self._symbols[name.symbol]

    def _kline(self, generator: SymbolGenerator, name: StreamName) -> KlineStream:
        kline = KlineStream(name.symbol, name.interval)
        slot = self._next_slot
        opened = -(-open_time(name.interval, slot * SLOT_MS) // SLOT_MS)
        self._absorb(generator, kline, range(max(opened, slot - _BACKFILL_SLOTS), slot))
        return kline

    @staticmethod
    def _absorb(generator: SymbolGenerator, kline: KlineStream, slots: range) -> None:
        for slot in slots:
            kline.absorb(generator.tick(slot).trade)

    @staticmethod
    def _slot_events(
        listening: _Listening, slot: int, start_ms: int, events: list[TapeEvent]
    ) -> None:
        # A candle that is over is said to be at the first slot after it, ahead of its trade.
        for stream, kline in listening.klines.items():
            for payload in kline.advance(start_ms):
                events.append(TapeEvent(start_ms * _NS, stream, payload))  # noqa: PERF401
        tick = listening.generator.tick(slot)
        trade = tick.trade
        trade_ns = trade.time_ms * _NS
        if listening.quote:
            payload = quote_payload(tick.quote)
            events.append(TapeEvent(tick.quote_ms * _NS, listening.quote, payload))
        for stream, name in listening.depths.items():
            depth_payload = _depth_payload(listening, stream, name, slot)
            if depth_payload:
                events.append(TapeEvent(tick.quote_ms * _NS, stream, depth_payload))
        if listening.trade:
            events.append(TapeEvent(trade_ns, listening.trade, trade_payload(trade)))
        if listening.agg_trade:
            events.append(TapeEvent(trade_ns, listening.agg_trade, agg_trade_payload(trade)))
        for stream, kline in listening.klines.items():
            kline.absorb(trade)
            for payload in kline.after(trade.time_ms):
                events.append(TapeEvent(trade_ns, stream, payload))  # noqa: PERF401


def _depth_payload(listening: _Listening, stream: str, name: StreamName, slot: int) -> bytes:
    """What a depth stream sends at the quote of a slot; empty when it is not its turn.

    The fast ones speak in every slot, the others in every second one.
    """
    depth = listening.depth
    assert depth is not None, "made with the first depth stream"
    if slot % 2 and not name.is_fast:
        return b""
    if name.levels:
        return depth.snapshot(slot, name.levels)
    last = listening.depth_slots[stream]
    listening.depth_slots[stream] = slot
    return depth.payload(slot, slot - last)
