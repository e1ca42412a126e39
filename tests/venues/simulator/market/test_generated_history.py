"""The present and the past of the generated market, against its own tape."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from levitrio.trading.candles import CandleBuilder, next_open_time, open_time
from levitrio.venues.simulator.market.generated_depth import GeneratedDepth
from levitrio.venues.simulator.market.generated_tape import GeneratedTape
from levitrio.venues.simulator.market.market import (
    DAY_MS,
    LISTED_DAYS,
    GeneratedMarket,
    assets_of,
    generated_market,
)
from levitrio.venues.simulator.market.price_generator import SLOT_MS, SymbolGenerator

SEED = 7
SYMBOL = "BTCUSDT"
NOW_MS = 1_763_800_000_123
FOREVER_MS = 2**62


def market(now_ms: int = NOW_MS) -> GeneratedMarket:
    return generated_market(SEED, clock=lambda: now_ms, first_ms=NOW_MS)


def trades_between(start_ms: int, end_ms: int) -> Iterator[Any]:
    generator = SymbolGenerator(SEED, SYMBOL)
    for slot in range(start_ms // SLOT_MS, end_ms // SLOT_MS + 1):
        trade = generator.tick(slot).trade
        if start_ms <= trade.time_ms <= end_ms:
            yield trade


@pytest.mark.parametrize("interval", ["1s", "1m", "5m", "1h"])
def test_candles_equal_those_made_of_trades(interval: str) -> None:
    """The newest three, the open one as far as it is: every field is that of a builder."""
    candles = market().candles(SYMBOL, interval, start_ms=None, end_ms=FOREVER_MS, limit=3)
    assert len(candles) == 3
    builder = CandleBuilder(SYMBOL, interval)
    made = []
    for trade in trades_between(candles[0].open_time_ms, NOW_MS):
        made += builder.add(trade)
    current = builder.current()
    assert current is not None
    assert [*made, current] == candles


def test_ranges_of_candles() -> None:
    """From a start on the oldest first; up to an end the newest; both bounds included."""
    venue = market()
    opens = open_time("1m", NOW_MS) - 10 * 60_000

    def found(start_ms: int | None, end_ms: int, limit: int) -> list[int]:
        candles = venue.candles(SYMBOL, "1m", start_ms=start_ms, end_ms=end_ms, limit=limit)
        return [(candle.open_time_ms - opens) // 60_000 for candle in candles]

    assert found(opens, FOREVER_MS, 3) == [0, 1, 2]
    assert found(opens, FOREVER_MS, 1_000) == list(range(11))
    assert found(None, opens, 3) == [-2, -1, 0]
    assert found(opens, opens + 120_000, 1_000) == [0, 1, 2]
    assert found(opens + 1, opens + 119_999, 1_000) == [1]
    assert found(NOW_MS + 60_000, FOREVER_MS, 5) == []


@pytest.mark.parametrize("interval", ["1d", "1w", "1M"])
def test_the_market_opened_not_long_ago(interval: str) -> None:
    """Asked from 1970 on, or for a thousand candles, it gives what there is since the listing."""
    venue = market()
    listed_ms = NOW_MS // DAY_MS * DAY_MS - LISTED_DAYS * DAY_MS
    # Up to the first hours only: a whole day is seconds of work.
    venue.clock = lambda: listed_ms + 3_600_000
    for start_ms in (0, None):
        candles = venue.candles(SYMBOL, interval, start_ms=start_ms, end_ms=FOREVER_MS, limit=1_000)
        assert sum(candle.trades for candle in candles) in {7_200, 7_201}
    newest = venue.candles(SYMBOL, interval, start_ms=None, end_ms=FOREVER_MS, limit=1)[-1]
    assert newest.first_trade_id == listed_ms // SLOT_MS
    assert newest.close_time_ms == next_open_time(interval, newest.open_time_ms) - 1


def test_preparing_comes_in_small_pieces_and_changes_nothing() -> None:
    """The same sum afterwards, and nothing left to add up."""
    venue, other = market(), market()
    start_ms = NOW_MS - 30 * 60_000
    assert len(list(venue.prepare(SYMBOL, start_ms))) >= 5
    assert list(venue.prepare(SYMBOL, start_ms)) == []
    assert venue.total(SYMBOL, start_ms) == other.total(SYMBOL, start_ms)


def test_trades_of_the_past() -> None:
    """By id, by time, or the newest; none of the future."""
    venue = market()
    newest = venue.trades(SYMBOL, from_id=None, start_ms=None, end_ms=FOREVER_MS, limit=5)
    assert newest == list(trades_between(NOW_MS - 10_000, NOW_MS))[-5:]
    first_id = newest[0].trade_id

    def ids(**where: Any) -> list[int]:
        found = venue.trades(
            SYMBOL, **{"from_id": None, "start_ms": None, "end_ms": FOREVER_MS, "limit": 3, **where}
        )
        return [trade.trade_id - first_id for trade in found]

    assert ids(from_id=first_id - 100) == [-100, -99, -98]
    assert ids(from_id=first_id + 4) == [4]
    assert ids(from_id=first_id + 5) == []
    assert ids(start_ms=newest[1].time_ms) == [1, 2, 3]
    assert ids(start_ms=newest[1].time_ms + 1) == [2, 3, 4]
    assert ids(end_ms=newest[1].time_ms - 1) == [-2, -1, 0]
    assert ids(from_id=0)[0] == venue.listed_ms // SLOT_MS - first_id


def test_the_touch_is_the_newest_quote() -> None:
    """Before the slot's own quote it is still the one before."""
    generator = SymbolGenerator(SEED, SYMBOL)
    slot = NOW_MS // SLOT_MS
    tick = generator.tick(slot)
    assert market(tick.quote_ms).quote(SYMBOL) == tick.quote
    assert market(tick.quote_ms - 1).quote(SYMBOL) == generator.tick(slot - 1).quote
    depth = market(tick.quote_ms).depth(SYMBOL, 5)
    assert depth.bids[0] == (tick.quote.bid, tick.quote.bid_quantity)
    assert depth.asks[0] == (tick.quote.ask, tick.quote.ask_quantity)
    assert depth.update_id == tick.quote.update_id


def test_books_are_sorted_and_never_crossed() -> None:
    """A hundred levels a side, best first, every quantity above zero."""
    for symbol in (SYMBOL, "DOGEUSDT", "ZZZUSDT"):
        depth = GeneratedDepth(SymbolGenerator(SEED, symbol))
        for slot in range(NOW_MS // SLOT_MS, NOW_MS // SLOT_MS + 50):
            bids, asks = depth.at(slot)
            assert list(bids) == sorted(bids, reverse=True)
            assert list(asks) == sorted(asks)
            assert max(bids) < min(asks)
            assert all(steps > 0 for steps in (*bids.values(), *asks.values()))
            assert 90 <= len(bids) <= 100
            assert len(asks) == 100


@pytest.mark.parametrize("stream", ["btcusdt@depth@100ms", "btcusdt@depth"])
@pytest.mark.parametrize("snapshot_age", [0, 1, 2])
def test_a_book_can_be_synced_from_any_snapshot(stream: str, snapshot_age: int) -> None:
    """Snapshot, then events as the venue's procedure has it: equal to the book at every id."""
    tape = GeneratedTape(SEED)
    start_slot = NOW_MS // SLOT_MS
    tape.start(start_slot * SLOT_MS)
    tape.subscribe("btcusdt@trade")
    tape.step()
    tape.subscribe(stream)
    depth = GeneratedDepth(SymbolGenerator(SEED, SYMBOL))
    events = [
        json.loads(event.data) for _ in range(12) for event in tape.step() if event.stream == stream
    ]
    first_id = events[0]["U"]
    # What a client may get right after subscribing, or a little later.
    snapshot_slot = start_slot + snapshot_age
    last_id = snapshot_slot * 4
    assert last_id >= first_id - 1
    order_book = as_text(depth, snapshot_slot)
    applied = 0
    for event in events:
        if event["u"] <= last_id:
            continue
        assert event["U"] <= last_id + 1 <= event["u"]
        for side, changes in zip(order_book, (event["b"], event["a"]), strict=True):
            for price, quantity in changes:
                if Decimal(quantity):
                    side[price] = quantity
                else:
                    side.pop(price, None)
        last_id = event["u"]
        assert order_book == as_text(depth, last_id // 4)
        applied += 1
    assert applied >= 4


def as_text(depth: GeneratedDepth, slot: int) -> list[dict[str, str]]:
    of = depth.generator
    return [
        {of.price_text(price): of.quantity_text(steps) for price, steps in side.items()}
        for side in depth.at(slot)
    ]


def test_partial_depth() -> None:
    """The best levels whole, each time."""
    tape = GeneratedTape(SEED)
    tape.start(NOW_MS)
    tape.subscribe("btcusdt@depth5@100ms")
    (event,) = tape.step()
    payload = json.loads(event.data)
    assert (len(payload["bids"]), len(payload["asks"])) == (5, 5)
    tape.unsubscribe("btcusdt@depth5@100ms")
    assert [*tape.step()] == []


@pytest.mark.parametrize(
    ("symbol", "assets"),
    [
        ("BTCUSDT", ("BTC", "USDT")),
        ("ETHBTC", ("ETH", "BTC")),
        ("USDT", None),
        ("FOOBAR", None),
        ("A.BUSDT", None),
    ],
)
def test_which_symbols_there_are(symbol: str, assets: tuple[str, str] | None) -> None:
    """Anything against a known quote asset."""
    assert assets_of(symbol) == assets
    assert (market().rules(symbol) is None) is (assets is None)


def test_a_symbol_that_was_asked_for_is_listed() -> None:
    """The usual ones first, then those that were asked for."""
    venue = market()
    venue.quote("ZZZUSDT")
    assert venue.symbols()[0] == "BTCUSDT"
    assert venue.symbols()[-1] == "ZZZUSDT"
