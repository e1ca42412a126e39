"""Generates the order book behind the quote, from seed, symbol and slot alone. Pure.

Best bid and ask are the slot's quote. Behind them lie levels at fixed prices, a ten-thousandth of
the anchor apart, so that the next slot shares most of them; each level changes its quantity every
half minute, at its own moment. The order book after the depth event that ends with update id `u`
has the best bid and ask of the quote with id `u`.
"""

from random import Random

import attrs

from levitrio.venues.simulator.market.price_generator import UPDATES_PER_SLOT, SymbolGenerator

LEVELS = 100
"""Levels on each side, the best among them."""

_SPACINGS = 10_000
"""Levels lie 1/10,000 of the anchor apart, or a tick where that is more."""

_STEADY_SLOTS = 64
"""Slots for which a level keeps its quantity."""

Levels = dict[int, int]
"""Price in ticks -> quantity in steps; the best first."""


@attrs.define(eq=False)
class GeneratedDepth:
    """The order book of one symbol at any slot."""

    generator: SymbolGenerator
    _spacing: int = attrs.field(init=False)
    _salt: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        generator = self.generator
        self._spacing = max(1, generator.anchor_ticks // _SPACINGS)
        self._salt = Random(f"{generator.seed}:{generator.symbol}:depth").getrandbits(61)

    def at(self, slot: int) -> tuple[Levels, Levels]:
        """Bids and asks after the quote of the slot."""
        draw = self.generator.draw(slot)
        spacing = self._spacing
        bids = {draw.bid: draw.bid_quantity}
        best = (draw.bid - 1) // spacing * spacing
        for price in range(best, max(0, best - (LEVELS - 1) * spacing), -spacing):
            bids[price] = self._steps(price, slot)
        ask = draw.bid + draw.spread
        asks = {ask: draw.ask_quantity}
        best = (ask // spacing + 1) * spacing
        for price in range(best, best + (LEVELS - 1) * spacing, spacing):
            asks[price] = self._steps(price, slot)
        return bids, asks

    def change(self, slot: int, slots: int) -> tuple[Levels, Levels]:
        """The levels to set so that the order book of any of the `slots` before becomes `slot`'s.

        A quantity of 0 removes a level. It fits any of them, because a client's snapshot may be
        from the middle of the slots that an event covers.
        """
        bids, asks = self.at(slot)
        bid_changes: Levels = {}
        ask_changes: Levels = {}
        for earlier in range(slot - slots, slot):
            old_bids, old_asks = self.at(earlier)
            bid_changes |= _difference(old_bids, bids)
            ask_changes |= _difference(old_asks, asks)
        return bid_changes, ask_changes

    def payload(self, slot: int, slots: int) -> bytes:
        """The `depthUpdate` event that ends at the quote of a slot and covers `slots` slots."""
        bids, asks = self.change(slot, slots)
        generator = self.generator
        last_id = slot * UPDATES_PER_SLOT
        event_ms = generator.tick(slot).quote_ms
        return (
            f'{{"e":"depthUpdate","E":{event_ms},"s":"{generator.symbol}",'
            f'"U":{last_id - slots * UPDATES_PER_SLOT + 1},"u":{last_id},'
            f'"b":[{self._rows(bids)}],"a":[{self._rows(asks)}]}}'
        ).encode()

    def snapshot(self, slot: int, levels: int) -> bytes:
        """The best levels after the quote of a slot, as a partial depth stream sends them."""
        bids, asks = self.at(slot)
        best_bids = dict(list(bids.items())[:levels])
        best_asks = dict(list(asks.items())[:levels])
        return (
            f'{{"lastUpdateId":{slot * UPDATES_PER_SLOT},'
            f'"bids":[{self._rows(best_bids)}],"asks":[{self._rows(best_asks)}]}}'
        ).encode()

    def _rows(self, levels: Levels) -> str:
        price, quantity = self.generator.price_text, self.generator.quantity_text
        return ",".join(
            f'["{price(ticks)}","{quantity(steps)}"]' for ticks, steps in levels.items()
        )

    def _steps(self, price: int, slot: int) -> int:
        # A multiplicative hash: a `Random` for each of two hundred levels would take milliseconds.
        mixed = price * 0x9E3779B97F4A7C15 ^ (slot + price) // _STEADY_SLOTS * 0xC2B2AE3D27D4EB4F
        chance = ((mixed + self._salt) * 0xD6E8FEB86659FD93 >> 24 & 0xFFFF) / 0x10000
        return max(1, int(self.generator.usual_steps * (1.0 + 19.0 * chance)))


def _difference(old: Levels, new: Levels) -> Levels:
    changed = {price: 0 for price in old if price not in new}
    changed.update((price, steps) for price, steps in new.items() if old.get(price) != steps)
    return changed
