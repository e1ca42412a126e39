"""Generates the market events of the streams that clients listen to. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any

import attrs

from levitrio.trading.candles import open_time
from levitrio.venues.recordings.frames import TapeEvent
from levitrio.venues.simulator.market.generated_depth import GeneratedDepth
from levitrio.venues.simulator.market.kline_stream import KlineStream
from levitrio.venues.simulator.market.price_generator import SLOT_MS, SymbolGenerator
from levitrio.venues.simulator.market.stream_payloads import (
    agg_trade_payload,
    quote_payload,
    trade_payload,
)
from levitrio.venues.simulator.market.stream_protocol import StreamName, parse_stream

_NS = 1_000_000

_BACKFILL_SLOTS = 3_600_000 // SLOT_MS
"""An hour, 7,200 trades, about 50 ms of work: an open candle of up to an hour is whole from the
first message on; a longer one begins an hour before it was subscribed."""


@attrs.frozen(kw_only=True)
class _Wanted:
    """The subscribed streams of one symbol, by name. Replaced, never changed."""

    trade: str = ""
    agg_trade: str = ""
    quote: str = ""
    klines: Mapping[str, KlineStream] = attrs.field(factory=dict)
    depths: Mapping[str, StreamName] = attrs.field(factory=dict)

    def is_empty(self) -> bool:
        return not (self.trade or self.agg_trade or self.quote or self.klines or self.depths)


@attrs.define(eq=False)
class _Subscribed:
    """One symbol with at least one subscribed stream."""

    generator: SymbolGenerator
    wanted: _Wanted = attrs.field(factory=_Wanted)
    depth_slots: dict[str, int] = attrs.field(factory=dict)
    """Name of a depth stream -> the last slot that its events cover."""
    depth: GeneratedDepth | None = None


_Make = Callable[[_Subscribed, _Wanted, int, int], Iterable[TapeEvent]]
"""_Make(subscribed, wanted, slot, time_ms): the events of a symbol at a moment of a slot."""

_Moment = tuple[int, _Make, _Subscribed, _Wanted]
"""A market time in ms since 1970, and the events to make then."""

_BY_TIME = itemgetter(0)


@attrs.define(eq=False)
class GeneratedTape:
    """A market without end. One step is one slot of every subscribed symbol."""

    seed: int
    _next_slot: int = attrs.field(default=0, init=False)
    _symbols: dict[str, _Subscribed] = attrs.field(factory=dict, init=False)
    _market_ms: int = attrs.field(default=0, init=False)

    @property
    def market_ms(self) -> int:
        """Market time at the end of the last step, ms since 1970; 0 before the first."""
        return self._market_ms

    @property
    def horizon_ms(self) -> int:
        """The last ms of the next slot."""
        return (self._next_slot + 1) * SLOT_MS - 1

    def start(self, time_ms: int) -> None:
        """Go on with the first slot that begins at or after `time_ms`; never goes back."""
        slot = max(self._next_slot, -(-time_ms // SLOT_MS))
        for subscribed in self._symbols.values():
            for kline in subscribed.wanted.klines.values():
                skipped = range(max(self._next_slot, slot - _BACKFILL_SLOTS), slot)
                self._absorb(subscribed.generator, kline, skipped)
            for stream, last in subscribed.depth_slots.items():
                subscribed.depth_slots[stream] = max(last, slot - 2)
        self._next_slot = slot

    def step(self) -> Iterable[TapeEvent]:
        """The events of the next slot, by time; equal times keep the order of subscribing.

        The step decides which events there are; each payload is made when it is iterated over: a
        thousand symbols' payloads at once would block the loop for 40 ms, twice a second. To be
        read to its end before the next step.
        """
        slot = self._next_slot
        self._next_slot = slot + 1
        start_ms = slot * SLOT_MS
        self._market_ms = start_ms + SLOT_MS - 1
        moments: list[_Moment] = []
        for subscribed in self._symbols.values():
            wanted, draw = subscribed.wanted, subscribed.generator.draw(slot)
            trade_ms = start_ms + draw.offset_ms
            if any(kline.is_over(start_ms) for kline in wanted.klines.values()):
                moments.append((start_ms, _closed, subscribed, wanted))
            if wanted.quote or wanted.depths:
                moments.append((trade_ms - draw.lead_ms, _quoted, subscribed, wanted))
            if wanted.trade or wanted.agg_trade or wanted.klines:
                moments.append((trade_ms, _traded, subscribed, wanted))
        moments.sort(key=_BY_TIME)
        return _events(slot, moments) if moments else ()

    def subscribe(self, stream: str) -> None:
        """Make a stream from the next step on; a kline looks back to the start of its candle."""
        name = parse_stream(stream)
        if name is None:
            return
        subscribed = self._symbols.get(name.symbol)
        if subscribed is None:
            subscribed = _Subscribed(SymbolGenerator(self.seed, name.symbol))
            self._symbols[name.symbol] = subscribed
            # Drawn now, so that the first step does not compute a thousand symbols at once.
            subscribed.generator.tick(self._next_slot)
        wanted = subscribed.wanted
        match name.kind:
            case "trade":
                wanted = attrs.evolve(wanted, trade=stream)
            case "aggTrade":
                wanted = attrs.evolve(wanted, agg_trade=stream)
            case "bookTicker":
                wanted = attrs.evolve(wanted, quote=stream)
            case "depth":
                subscribed.depth = subscribed.depth or GeneratedDepth(subscribed.generator)
                wanted = attrs.evolve(wanted, depths={**wanted.depths, stream: name})
                # The newest slot's quote may not have been sent yet: the first event covers it too,
                # or a snapshot taken right now would not connect to it.
                subscribed.depth_slots[stream] = self._next_slot - 2
            case _:
                kline = self._kline(subscribed.generator, name)
                wanted = attrs.evolve(wanted, klines={**wanted.klines, stream: kline})
        subscribed.wanted = wanted

    def unsubscribe(self, stream: str) -> None:
        """Stop making a stream; the symbol's prices go on without events."""
        name = parse_stream(stream)
        if name is None or name.symbol not in self._symbols:
            return
        subscribed = self._symbols[name.symbol]
        wanted = subscribed.wanted
        match name.kind:
            case "trade":
                wanted = attrs.evolve(wanted, trade="")
            case "aggTrade":
                wanted = attrs.evolve(wanted, agg_trade="")
            case "bookTicker":
                wanted = attrs.evolve(wanted, quote="")
            case "depth":
                wanted = attrs.evolve(wanted, depths=_without(wanted.depths, stream))
                subscribed.depth_slots.pop(stream, None)
            case _:
                wanted = attrs.evolve(wanted, klines=_without(wanted.klines, stream))
        subscribed.wanted = wanted
        if wanted.is_empty():
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


def _without(streams: Mapping[str, Any], stream: str) -> dict[str, Any]:
    return {name: value for name, value in streams.items() if name != stream}


def _events(slot: int, moments: Iterable[_Moment]) -> Iterator[TapeEvent]:
    for time_ms, make, subscribed, wanted in moments:
        yield from make(subscribed, wanted, slot, time_ms)
        subscribed.generator.draw(slot + 1)  # cached for the next step


def _closed(_: _Subscribed, wanted: _Wanted, __: int, start_ms: int) -> Iterable[TapeEvent]:
    """A finished candle is sent closed at the start of the next slot, before its trade."""
    return [
        TapeEvent(start_ms * _NS, stream, payload)
        for stream, kline in wanted.klines.items()
        for payload in kline.advance(start_ms)
    ]


def _quoted(
    subscribed: _Subscribed, wanted: _Wanted, slot: int, quote_ms: int
) -> Iterable[TapeEvent]:
    if wanted.quote:
        payload = quote_payload(subscribed.generator.tick(slot).quote)
        yield TapeEvent(quote_ms * _NS, wanted.quote, payload)
    for stream, name in wanted.depths.items():
        depth_payload = _depth_payload(subscribed, stream, name, slot)
        if depth_payload:
            yield TapeEvent(quote_ms * _NS, stream, depth_payload)


def _traded(
    subscribed: _Subscribed, wanted: _Wanted, slot: int, trade_ms: int
) -> Iterable[TapeEvent]:
    trade, time_ns = subscribed.generator.tick(slot).trade, trade_ms * _NS
    if wanted.trade:
        yield TapeEvent(time_ns, wanted.trade, trade_payload(trade))
    if wanted.agg_trade:
        yield TapeEvent(time_ns, wanted.agg_trade, agg_trade_payload(trade))
    for stream, kline in wanted.klines.items():
        kline.absorb(trade)
        for payload in kline.after(trade_ms):
            yield TapeEvent(time_ns, stream, payload)


def _depth_payload(subscribed: _Subscribed, stream: str, name: StreamName, slot: int) -> bytes:
    """The payload of a depth stream at the quote of a slot; empty when none is due.

    The fast streams send in every slot, the others in every second one.
    """
    depth = subscribed.depth
    assert depth is not None, "made with the first depth stream"
    if slot % 2 and not name.is_fast:
        return b""
    if name.levels:
        return depth.snapshot(slot, name.levels)
    last = subscribed.depth_slots.get(stream)
    if last is None:
        return b""  # unsubscribed since the slot was stepped
    subscribed.depth_slots[stream] = slot
    return depth.payload(slot, slot - last)
