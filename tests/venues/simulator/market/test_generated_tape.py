"""The generated tape: what is sent, when, and that it is the market's own truth."""

import json
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest

from levitrio.trading.candles import FIXED_INTERVALS, open_time
from levitrio.venues.recordings.frames import TapeEvent
from levitrio.venues.simulator.market.generated_tape import GeneratedTape
from levitrio.venues.simulator.market.price_generator import SLOT_MS, SymbolGenerator

START = 1_750_000_030_250  # inside a minute, inside a slot
SEED = 7


def tape_with(*streams: str, start: int = START) -> GeneratedTape:
    tape = GeneratedTape(SEED)
    tape.start(start)
    for stream in streams:
        tape.subscribe(stream)
    return tape


def steps(tape: GeneratedTape, number: int) -> list[TapeEvent]:
    return [event for _ in range(number) for event in tape.step()]


def payloads(events: list[TapeEvent], stream: str) -> list[Any]:
    return [json.loads(event.data) for event in events if event.stream == stream]


def test_nothing_is_made_without_a_listener() -> None:
    """Without subscriptions a step is empty; other streams of a symbol stay silent."""
    tape = tape_with()
    assert steps(tape, 3) == []
    tape.subscribe("btcusdt@trade")
    tape.subscribe("btcusdt@miniTicker")
    assert {event.stream for event in steps(tape, 3)} == {"btcusdt@trade"}
    tape.unsubscribe("btcusdt@trade")
    assert steps(tape, 3) == []


def test_the_same_seed_gives_the_same_bytes() -> None:
    """Two tapes of one seed agree on every event, whenever each was asked."""
    streams = ("btcusdt@trade", "ethusdt@bookTicker", "btcusdt@kline_1m", "ethusdt@aggTrade")
    assert steps(tape_with(*streams), 300) == steps(tape_with(*streams), 300)


def test_events_come_in_the_order_of_time_and_inside_the_horizon() -> None:
    """Over many symbols and steps, time only ascends, and no step passes what it announced."""
    tape = tape_with(*(f"s{n}usdt@{kind}" for n in range(9) for kind in ("trade", "bookTicker")))
    latest = START * 1_000_000
    for _ in range(20):
        horizon = tape.horizon_ms
        events = tape.step()
        assert tape.market_ms == horizon
        for event in events:
            assert latest <= event.time_ns <= horizon * 1_000_000
            latest = event.time_ns


def test_trades_are_consecutive_and_each_has_its_quote_before_it() -> None:
    """Ids ascend by one; the trade happens at the bid or the ask just sent."""
    tape = tape_with("btcusdt@trade", "btcusdt@bookTicker", "btcusdt@aggTrade")
    events = steps(tape, 50)
    trades = payloads(events, "btcusdt@trade")
    assert [trade["t"] for trade in trades] == list(range(trades[0]["t"], trades[0]["t"] + 50))
    assert trades[0]["t"] * SLOT_MS >= START
    kinds = [event.stream.partition("@")[2] for event in events]
    assert kinds == ["bookTicker", "trade", "aggTrade"] * 50
    for quote, trade in zip(payloads(events, "btcusdt@bookTicker"), trades, strict=True):
        assert trade["p"] == (quote["b"] if trade["m"] else quote["a"])
    for agg, trade in zip(payloads(events, "btcusdt@aggTrade"), trades, strict=True):
        assert (agg["a"], agg["f"], agg["l"]) == (trade["t"],) * 3
        assert (agg["p"], agg["q"], agg["T"], agg["m"]) == (
            trade["p"],
            trade["q"],
            trade["T"],
            trade["m"],
        )


def test_a_later_start_goes_on_with_higher_ids() -> None:
    """Whatever was played before `start_after` is not played again."""
    first = payloads(steps(tape_with("btcusdt@trade"), 10), "btcusdt@trade")
    again = tape_with("btcusdt@trade", start=first[-1]["T"] + 1)
    assert payloads(steps(again, 1), "btcusdt@trade")[0]["t"] == first[-1]["t"] + 1


def test_starting_never_goes_back() -> None:
    """A clock that was set back does not repeat the market."""
    tape = tape_with("btcusdt@trade")
    steps(tape, 10)
    position = tape.horizon_ms
    tape.start(START - 60_000)
    assert tape.horizon_ms == position


@pytest.mark.parametrize("interval", ["1s", "1m", "3m"])
def test_candles_are_those_of_the_markets_trades(interval: str) -> None:
    """Every closed candle, also the first, equals a sum over all trades of its interval."""
    name = f"btcusdt@kline_{interval}"
    tape = tape_with(name, "btcusdt@trade")
    length = FIXED_INTERVALS[interval]
    events = steps(tape, max(2_000, 3 * length) // SLOT_MS)
    closed = [data["k"] for data in payloads(events, name) if data["k"]["x"]]
    assert [candle["t"] for candle in closed] == [
        open_time(interval, START + SLOT_MS) + number * length for number in range(len(closed))
    ]
    assert len(closed) >= 2
    generator = SymbolGenerator(SEED, "BTCUSDT")
    for candle in closed:
        slots = range(candle["t"] // SLOT_MS, (candle["T"] + 1) // SLOT_MS)
        trades = [generator.tick(slot).trade for slot in slots]
        prices = [trade.price for trade in trades]
        assert candle["n"] == len(trades)
        assert (candle["f"], candle["L"]) == (trades[0].trade_id, trades[-1].trade_id)
        assert Decimal(candle["o"]) == prices[0]
        assert Decimal(candle["c"]) == prices[-1]
        assert Decimal(candle["h"]) == max(prices)
        assert Decimal(candle["l"]) == min(prices)
        assert Decimal(candle["v"]) == sum(trade.quantity for trade in trades)


def test_a_candle_closes_before_any_trade_of_the_next() -> None:
    """The closing frame comes first, once, and the open candle is sent every two seconds."""
    tape = tape_with("btcusdt@kline_1m", "btcusdt@trade")
    opened: defaultdict[int, list[bool]] = defaultdict(list)
    newest_trade = 0
    for event in steps(tape, 400):
        data = json.loads(event.data)
        if data["e"] == "trade":
            newest_trade = data["T"]
            continue
        candle = data["k"]
        if candle["x"]:
            assert newest_trade <= candle["T"]
        opened[candle["t"]].append(candle["x"])
    whole = list(opened.values())[1:-1]
    assert len(whole) >= 2
    assert all(updates == [False] * 30 + [True] for updates in whole)


def test_time_that_passed_before_the_start_is_in_the_first_candle() -> None:
    """Waiting for the other subscribers costs the candle no trade."""
    early, late = START, START + 20_000
    waited = tape_with("btcusdt@kline_1m", start=early)
    waited.start(late)
    at_once = tape_with("btcusdt@kline_1m", start=late)
    assert steps(waited, 200) == steps(at_once, 200)


def test_a_long_candle_begins_at_most_an_hour_back() -> None:
    """The work of looking back is bounded; the candle still says when it opened."""
    tape = tape_with("btcusdt@kline_1M")
    data = payloads(steps(tape, 1), "btcusdt@kline_1M")[0]
    assert data["k"]["t"] <= open_time("1M", START) + 32 * 86_400_000
    assert data["k"]["n"] == 7_201


def test_each_kind_of_stream_stops_when_it_is_left() -> None:
    """Leaving one stream of a symbol leaves the others alone; leaving all forgets the symbol."""
    names = ["btcusdt@aggTrade", "btcusdt@bookTicker", "btcusdt@kline_1s", "btcusdt@trade"]
    tape = tape_with(*names)
    for number, name in enumerate(names):
        assert {event.stream for event in steps(tape, 4)} == set(names[number:])
        tape.unsubscribe(name)
    assert steps(tape, 4) == []
    tape.unsubscribe("ethusdt@trade")


def test_who_comes_and_goes_within_a_slot_is_seen_from_the_next() -> None:
    """A step's events are made while they are read; what they are was decided before."""
    left, joined = "btcusdt@kline_1s", "btcusdt@trade"
    streams = (left, "btcusdt@depth", "ethusdt@bookTicker", "btcusdt@bookTicker")
    alone = steps(tape_with(*streams), 1)
    tape = tape_with(*streams)
    events = iter(tape.step())
    seen = [next(events)]
    tape.subscribe(joined)
    tape.unsubscribe(left)
    seen += events
    assert seen == alone
    assert {event.stream for event in steps(tape, 4)} == {joined, *streams[1:]}


def test_a_depth_stream_left_within_a_slot_is_silent_at_once() -> None:
    """Where its book stood is forgotten with it."""
    tape = tape_with("btcusdt@depth@100ms")
    events = iter(tape.step())
    tape.unsubscribe("btcusdt@depth@100ms")
    assert [*events] == []
