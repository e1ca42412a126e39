"""Generates the prices, trades and quotes of a symbol from a seed. Pure.

The market is a function of (seed, symbol, market time): time is cut into slots of half a second
since 1970, and each slot holds exactly one trade per symbol, at a hashed moment inside it, with
one quote right before it. The slot's number is the trade's id. So a later start goes on with
higher ids, and any part of the past can be computed again at any time.

Prices: every five minutes a point within 0.6 % of the symbol's anchor, the points joined by a
Brownian bridge, a random walk with a given end. The five minutes begin at a different moment for
each symbol, so that they are not all computed at once.
"""

from collections.abc import Callable
from decimal import Decimal
from itertools import accumulate
from random import Random

import attrs
import msgspec

from levitrio.trading.market import Quote, Trade

SLOT_MS = 500
"""Two trades a second; two neighbours are never a second apart."""

_SEGMENT_SLOTS = 600
"""Slots between two points: five minutes."""

_REACH = 0.006
"""How far a point may lie from the anchor, as a fraction of it."""

_SLOT_DEVIATION = 0.001 / 120**0.5
"""Standard deviation of one slot's step: 0.1 % a minute, which has 120 slots."""

_MAX_QUOTE_LEAD_MS = 20
UPDATES_PER_SLOT = 4
"""Order book update ids per slot. The quote has the first; the depth event that leads to the quote
ends with it and begins after the one before, so that ids have no gap."""

_E8 = 10**8

_USUAL: dict[str, tuple[str, str, str]] = {
    "BTCUSDT": ("60000", "0.01", "0.00001"),
    "ETHUSDT": ("3000", "0.01", "0.0001"),
    "SOLUSDT": ("150", "0.01", "0.001"),
    "BNBUSDT": ("600", "0.01", "0.001"),
    "XRPUSDT": ("0.6", "0.0001", "0.1"),
    "ADAUSDT": ("0.45", "0.0001", "0.1"),
    "DOGEUSDT": ("0.12", "0.00001", "1"),
    "AVAXUSDT": ("30", "0.01", "0.01"),
    "DOTUSDT": ("6", "0.001", "0.01"),
    "LINKUSDT": ("14", "0.001", "0.01"),
    "LTCUSDT": ("80", "0.01", "0.001"),
    "TRXUSDT": ("0.15", "0.00001", "1"),
    "ATOMUSDT": ("7", "0.001", "0.01"),
    "UNIUSDT": ("9", "0.001", "0.01"),
    "XLMUSDT": ("0.1", "0.00001", "1"),
}

USUAL_SYMBOLS = tuple(_USUAL)
"""The symbols the venue lists before clients have asked for others."""


@attrs.frozen(kw_only=True)
class SimulatedMarket:
    """Price level and step sizes of one symbol on the simulator."""

    anchor: Decimal
    """What the price reverts to, in the quote asset."""
    tick: Decimal
    """Every price is a multiple of it."""
    step: Decimal
    """Every quantity is a multiple of it, in the base asset."""


def market_of(symbol: str) -> SimulatedMarket:
    """The market of any symbol: realistic for the usual ones, a hashed magnitude for others."""
    if symbol in _USUAL:
        anchor, tick, step = map(Decimal, _USUAL[symbol])
        return SimulatedMarket(anchor=anchor, tick=tick, step=step)
    random = Random(f"market:{symbol}")
    exponent = int(random.random() * 6) - 2
    digits = 10 + int(random.random() * 90)
    # Five digits of a price move, as with most real pairs; a trade is worth about a thousand.
    return SimulatedMarket(
        anchor=Decimal(digits).scaleb(exponent - 1),
        tick=Decimal(1).scaleb(exponent - 4),
        step=Decimal(1).scaleb(min(-exponent, 0)),
    )


class Tick(msgspec.Struct, frozen=True, gc=False):
    """Quote and trade of one slot of one symbol."""

    quote_ms: int
    """When the quote goes out, ms since 1970; before the trade, in the same slot."""
    quote: Quote
    trade: Trade
    """At the bid or the ask of the quote."""


class Draw(msgspec.Struct, frozen=True, gc=False):
    """The random draw of one slot, in ticks and steps: a `Tick` without its texts."""

    offset_ms: int
    lead_ms: int
    bid: int
    spread: int
    is_sale: bool
    quantity: int
    bid_quantity: int
    ask_quantity: int

    @property
    def price(self) -> int:
        """The trade's price in ticks."""
        return self.bid if self.is_sale else self.bid + self.spread


def _near_normal(random: Random) -> float:
    """Mean 0, deviation 1. A sum of uniforms, because logarithms differ between C libraries."""
    return 2.0 * (random.random() + random.random() + random.random()) - 3.0


@attrs.define(eq=False)
class SymbolGenerator:
    """Generates the market of one symbol. Its only state is a cache."""

    seed: int
    symbol: str
    market: SimulatedMarket = attrs.field(init=False)
    _phase: int = attrs.field(init=False)
    _tick_e8: int = attrs.field(init=False)
    _step_e8: int = attrs.field(init=False)
    anchor_ticks: int = attrs.field(init=False)
    usual_steps: int = attrs.field(init=False)
    """A trade of this many steps is worth about a thousand."""
    # The newest two: a request for the last minutes does not evict the present.
    _segments: dict[int, "_Segment"] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.market = market_of(self.symbol)
        self._phase = int(Random(f"phase:{self.symbol}").random() * _SEGMENT_SLOTS)
        self._tick_e8 = int(self.market.tick * _E8)
        self._step_e8 = int(self.market.step * _E8)
        self.anchor_ticks = int(self.market.anchor / self.market.tick)
        self.usual_steps = max(1, int(1000 / self.market.anchor / self.market.step))

    def draw(self, slot: int) -> Draw:
        """A slot in ticks and steps; cheaper than `tick`, for sums over thousands of slots."""
        number, index = divmod(slot + self._phase, _SEGMENT_SLOTS)
        segment = self._segments.get(number)
        if segment is None:
            segment = self._segment(number)
            if len(self._segments) >= 2:
                del self._segments[next(iter(self._segments))]
            self._segments[number] = segment
        draws = segment.draws
        while len(draws) <= index:
            draws.append(segment.next_draw())
        return draws[index]

    def tick(self, slot: int) -> Tick:
        """The quote and the trade of a slot; slots are half seconds since 1970."""
        draw = self.draw(slot)
        time_ms = slot * SLOT_MS + draw.offset_ms
        bid = self.price_text(draw.bid)
        ask = self.price_text(draw.bid + draw.spread)
        quote = Quote(
            symbol=self.symbol,
            update_id=slot * UPDATES_PER_SLOT,
            raw_bid=bid,
            raw_bid_quantity=self.quantity_text(draw.bid_quantity),
            raw_ask=ask,
            raw_ask_quantity=self.quantity_text(draw.ask_quantity),
        )
        trade = Trade(
            symbol=self.symbol,
            trade_id=slot,
            raw_price=bid if draw.is_sale else ask,
            raw_quantity=self.quantity_text(draw.quantity),
            time_ms=time_ms,
            buyer_is_maker=draw.is_sale,
        )
        return Tick(time_ms - draw.lead_ms, quote, trade)

    def price_text(self, ticks: int) -> str:
        """A price in ticks as the venue writes it."""
        return _text(ticks * self._tick_e8)

    def quantity_text(self, steps: int) -> str:
        """A quantity in steps as the venue writes it."""
        return _text(steps * self._step_e8)

    def _point(self, segment: int) -> float:
        """The price where a segment begins, in ticks."""
        chance = Random(f"{self.seed}:{self.symbol}:point:{segment}").random()
        return self.anchor_ticks * (1.0 + _REACH * (2.0 * chance - 1.0))

    def _segment(self, number: int) -> "_Segment":
        start, end = self._point(number), self._point(number + 1)
        random = Random(f"{self.seed}:{self.symbol}:{number}")
        scale = self.anchor_ticks * _SLOT_DEVIATION
        walk = list(accumulate(_near_normal(random) * scale for _ in range(_SEGMENT_SLOTS)))
        slope = (end - start - walk[-1]) / _SEGMENT_SLOTS
        return _Segment(start, slope, walk, self.usual_steps, random.random)


@attrs.define(eq=False)
class _Segment:
    """Five minutes of one symbol.

    Slots are drawn one by one as they are reached: all at once would block the loop for 3 ms.
    """

    start: float
    """Price at its begin, in ticks."""
    slope: float
    """Ticks added per slot, so that the walk ends at the next point."""
    walk: list[float]
    usual_steps: int
    chance: Callable[[], float]
    """The segment's own random numbers; each draw takes seven."""
    draws: list[Draw] = attrs.field(factory=list, init=False)
    """The slots drawn so far."""

    def next_draw(self) -> Draw:
        """The first slot that is not in `draws` yet."""
        index, chance = len(self.draws), self.chance
        middle = int(self.start + self.walk[index] + self.slope * (index + 1))
        spread = 1 + int(chance() * 3)
        lead = 1 + int(chance() * _MAX_QUOTE_LEAD_MS)
        return Draw(
            lead + int(chance() * (SLOT_MS - lead)),
            lead,
            max(1, middle - spread // 2),
            spread,
            chance() < 0.5,
            self._steps(chance(), 0.05, 2.0),
            self._steps(chance(), 1.0, 20.0),
            self._steps(chance(), 1.0, 20.0),
        )

    def _steps(self, chance: float, least: float, most: float) -> int:
        """A quantity between `least` and `most` times the usual one, in steps."""
        return max(1, int(self.usual_steps * (least + (most - least) * chance)))


def _text(value_e8: int) -> str:
    return f"{value_e8 // _E8}.{value_e8 % _E8:08d}"
