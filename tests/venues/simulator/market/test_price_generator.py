"""The made-up market: the same for the same seed, and plausible for every seed."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levitrio.venues.simulator.market.price_generator import SLOT_MS, SymbolGenerator, market_of

SLOT = 3_500_000_000
# A segment of 600 slots is made at once: the first tick costs more than the ones after it.
patient = settings(deadline=None, max_examples=40)

USUAL = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "TRXUSDT", "XLMUSDT"]

symbols = st.sampled_from(USUAL) | st.from_regex(r"[A-Z0-9]{2,8}USDT", fullmatch=True)


@patient
@given(st.integers(), symbols, st.lists(st.integers(0, 10**10), min_size=1, max_size=5))
def test_a_tick_depends_on_nothing_but_seed_symbol_and_slot(
    seed: int, symbol: str, slots: list[int]
) -> None:
    """Asking in another order, or another generator, gives the same ticks."""
    one, other = SymbolGenerator(seed, symbol), SymbolGenerator(seed, symbol)
    there = [one.tick(slot) for slot in slots]
    back = [other.tick(slot) for slot in reversed(slots)]
    assert there == back[::-1]


def test_seeds_and_symbols_differ() -> None:
    """Another seed is another market; so is another symbol."""
    prices = {
        SymbolGenerator(seed, symbol).tick(SLOT).trade.raw_price
        for seed in (1, 2)
        for symbol in ("BTCUSDT", "ETHUSDT")
    }
    assert len(prices) == 4


def test_the_tape_of_a_seed_never_changes() -> None:
    """A version that changed these numbers would break every seeded test of every user."""
    tick = SymbolGenerator(7, "BTCUSDT").tick(SLOT)
    assert (tick.quote_ms, tick.trade.time_ms) == (1750000000215, 1750000000217)
    assert (tick.quote.raw_bid, tick.quote.raw_ask) == ("59888.63000000", "59888.65000000")
    assert (tick.trade.raw_price, tick.trade.raw_quantity) == ("59888.65000000", "0.00346000")


@patient
@given(st.integers(), symbols, st.integers(0, 10**10))
def test_every_tick_is_a_possible_one(seed: int, symbol: str, first: int) -> None:
    """Quote before trade, one trade a slot, bid under ask, trade at the touch, all on the grid."""
    generator = SymbolGenerator(seed, symbol)
    market = generator.market
    before = generator.tick(first)
    for slot in range(first + 1, first + 30):
        tick = generator.tick(slot)
        trade, quote = tick.trade, tick.quote
        assert trade.trade_id == slot
        assert slot * SLOT_MS <= tick.quote_ms < trade.time_ms < (slot + 1) * SLOT_MS
        assert 0 < trade.time_ms - before.trade.time_ms <= 2_000
        assert quote.update_id > before.quote.update_id
        ticks = (quote.ask - quote.bid) / market.tick
        assert 1 <= ticks <= 3
        assert trade.price == (quote.bid if trade.buyer_is_maker else quote.ask)
        for price in (quote.bid, quote.ask):
            assert price > 0
            assert price % market.tick == 0
        for quantity in (quote.bid_quantity, quote.ask_quantity, trade.quantity):
            assert quantity > 0
            assert quantity % market.step == 0
        for text in (trade.raw_price, trade.raw_quantity, quote.raw_bid_quantity):
            assert len(text.partition(".")[2]) == 8
        before = tick


@pytest.mark.parametrize("symbol", ["BTCUSDT", "XLMUSDT", "FOOUSDT"])
def test_prices_stay_near_the_anchor_and_move(symbol: str) -> None:
    """An hour of prices lies within three percent of the anchor, and is not flat."""
    generator = SymbolGenerator(3, symbol)
    anchor = generator.market.anchor
    prices = [generator.tick(slot).trade.price for slot in range(SLOT, SLOT + 7_200, 7)]
    assert all(abs(price / anchor - 1) < Decimal("0.03") for price in prices)
    assert max(prices) / min(prices) > Decimal("1.002")


def test_segments_join_without_a_jump() -> None:
    """From one slot to the next the price moves less than a thousandth, across every joint."""
    generator = SymbolGenerator(3, "ETHUSDT")
    prices = [generator.tick(slot).trade.price for slot in range(SLOT, SLOT + 3_000)]
    steps = pairwise(prices)
    assert max(abs(after / before - 1) for before, after in steps) < Decimal("0.001")


@given(symbols)
def test_any_symbol_has_a_market_that_eight_decimals_can_tell(symbol: str) -> None:
    """Anchor, tick and step are positive, and a tick is small against the price."""
    market = market_of(symbol)
    assert market == market_of(symbol)
    assert market.anchor / market.tick >= 1_000
    for value in (market.tick, market.step):
        assert value > 0
        assert value == value.quantize(Decimal("0.00000001"))
