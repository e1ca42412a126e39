"""The kit with which users test their strategies."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from levitrio.strategies import Signal, Strategy
from levitrio.strategies.ema_cross import EmaCross
from levitrio.testing import (
    START,
    bar,
    bars,
    fill,
    play_strategy,
    quote,
    run_strategy,
    trade,
    trades,
)
from levitrio.trading.market import Bar, MarketEvent, Quote, Trade
from levitrio.trading.orders import Fill


class Everything(Strategy):
    """Notes each event, and buys on a fill."""

    def __init__(self, symbol: str) -> None:
        self.events: list[str] = []

    async def on_trade(self, trade: Trade) -> None:
        await trio.sleep(10)
        self.events.append(f"trade {trade.price}")

    def on_quote(self, quote: Quote) -> None:
        self.events.append(f"quote {quote.bid}")

    def on_bar(self, bar: Bar) -> None:
        self.events.append(f"bar {bar.close}")

    def on_cycle(self, now: datetime) -> None:
        self.events.append(f"cycle {(now - START).total_seconds():g}")

    def on_fill(self, fill: Fill) -> Signal:
        self.events.append(f"fill {fill.position}")
        return Signal(side="long", prob_up=0.7)

    def state(self) -> list[str]:
        return self.events

    def restore(self, state: Any) -> None:
        self.events = [*state, "restored"]


def test_every_event_arrives_in_order() -> None:
    """Plain and async methods, cycles when they are due, fills, and the state at the end."""
    events: list[MarketEvent | Fill] = [
        trade("1.5"),
        quote(1, 2),
        trade(3, time=START + timedelta(seconds=2.5)),
        fill("buy", 3, position=1),
        bar(4, open_time=START),
    ]
    outcome = run_strategy(lambda: Everything("BTCUSDT"), events, state=["before"])
    assert outcome.state == [
        "before",
        "restored",
        "trade 1.5",
        "quote 1",
        "cycle 2",
        "trade 3",
        "fill 1",
        "cycle 59",
        "bar 4",
    ]
    assert outcome.cycles == 2
    assert outcome.sides == ["long"]
    (timed,) = outcome.timed_signals
    assert (timed.number, timed.signal.prob_up) == (3, 0.7)
    assert timed.time_ms == round((START + timedelta(seconds=2.5)).timestamp() * 1000)


def test_a_built_in_strategy() -> None:
    """A rise after a fall makes the averages cross once."""
    prices = [100 - n for n in range(30)] + [70 + 2 * n for n in range(30)]
    outcome = run_strategy(EmaCross("BTCUSDT", fast=3, slow=10), trades(prices))
    assert outcome.sides == ["flat", "long"]
    assert outcome.signals[1] == Signal(side="long")


def test_what_a_strategy_raises_leaves() -> None:
    """A test sees the error itself, not a group; a wrong answer is an error as in a fleet."""

    class Broken(Strategy):
        def on_trade(self, trade: Trade) -> Any:
            if trade.trade_id == 2:
                raise LookupError("two")
            return "long"

    with pytest.raises(LookupError, match="two"):
        run_strategy(Broken("BTCUSDT"), [trade(1, trade_id=2)])
    with pytest.raises(TypeError, match="on_trade: expected a Signal or None, got str"):
        run_strategy(Broken("BTCUSDT"), [trade(1)])


async def test_inside_an_async_test(autojump_clock: MockClock) -> None:
    """The async form, for a test that has a loop already."""
    outcome = await play_strategy(Everything("BTCUSDT"), trades([1, 2]))
    assert outcome.state == ["trade 1", "trade 2"]
    assert outcome.cycles == 0


def test_bars_follow_one_another() -> None:
    """Each opens at the close before it, and its high and low hold both."""
    first, second = bars([10, "9.5"], interval="5m")
    assert (first.open, first.close) == (Decimal(10), Decimal(10))
    assert (second.open, second.high, second.low) == (Decimal(10), Decimal(10), Decimal("9.5"))
    assert second.open_time - first.open_time == timedelta(minutes=5)
    assert first.close_time_ms + 1 == second.open_time_ms
    assert bars([]) == []
