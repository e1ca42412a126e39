"""Warm-up: which bars are asked for, and what an engine makes of them."""

import itertools
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from levitrio.app.wiring.warm_up import WarmUp
from levitrio.engine.engine import Engine
from levitrio.engine.inbox import Inbox
from levitrio.strategies import Signal, Strategy
from levitrio.trading.candles import next_open_time, open_time
from levitrio.trading.clock import TapeClock
from levitrio.trading.market import Bar
from tests.app.virtual import running_fleet, write_fleet

NOW_MS = 1_790_000_012_345


@attrs.define(eq=False)
class FakePast:
    """A venue with every candle of the past."""

    asked: list[tuple[str, int, int]] = attrs.field(factory=list)

    async def bars(
        self, symbol: str, interval: str, *, first_open_ms: int, last_open_ms: int
    ) -> list[Bar]:
        await trio.lowlevel.checkpoint()
        self.asked.append((interval, first_open_ms, last_open_ms))
        found = []
        opens = open_time(interval, first_open_ms)
        while opens <= last_open_ms:
            closes = next_open_time(interval, opens)
            if opens >= first_open_ms:
                found.append(
                    Bar.of(
                        symbol, 1, open_time=opens, interval=interval, interval_ms=closes - opens
                    )
                )
            opens = closes
        return found


def warm_up(past: FakePast, *intervals: str, now_ms: int = NOW_MS, count: int = 3) -> WarmUp:
    return WarmUp(
        symbol="BTCUSDT",
        intervals=intervals,
        count=count,
        past=past,
        market_ms=lambda: now_ms,
        wall_ms=lambda: NOW_MS,
        patience=5,
    )


@pytest.mark.parametrize("interval", ["1m", "4h", "1w", "1M"])
async def test_the_newest_closed_bars(autojump_clock: MockClock, interval: str) -> None:
    """So many of them, the last one closed just now, the open one left out."""
    bars = await warm_up(FakePast(), interval)()
    assert len(bars) == 3
    assert bars[-1].close_time_ms + 1 == open_time(interval, NOW_MS)
    assert all(a.close_time_ms + 1 == b.open_time_ms for a, b in itertools.pairwise(bars))


async def test_several_intervals_in_the_order_they_closed(autojump_clock: MockClock) -> None:
    """As they would have come from the feed."""
    bars = await warm_up(FakePast(), "1m", "5m", count=7)()
    closes = [bar.close_time_ms for bar in bars]
    assert closes == sorted(closes)
    assert {bar.interval for bar in bars} == {"1m", "5m"}


async def test_a_market_clock_that_does_not_go(autojump_clock: MockClock) -> None:
    """Warm-up waits for it for a while, then uses the wall clock."""
    began = trio.current_time()
    bars = await warm_up(FakePast(), "1m", now_ms=0)()
    assert trio.current_time() - began == pytest.approx(5)
    assert bars[-1].close_time_ms < NOW_MS


class Barred(Strategy):
    """Long on each bar."""

    def __init__(self, symbol: str) -> None:
        self.seen: list[int] = []

    def on_bar(self, bar: Bar) -> Signal:
        self.seen.append(bar.open_time_ms)
        return Signal(side="long")

    def state(self) -> list[int]:
        return self.seen

    def restore(self, state: list[int]) -> None:
        self.seen = state


async def run_engine(saved_state: object = None) -> tuple[list[Signal], object]:
    """An engine that warms up with three bars, and then gets the last of them and a new one."""
    signals: list[Signal] = []
    past = await warm_up(FakePast(), "1m")()
    inbox = Inbox()
    engine = Engine(
        symbol="BTCUSDT",
        make_strategy=lambda: Barred("BTCUSDT"),
        inbox=inbox,
        submit=signals.append,
        market_clock=TapeClock(),
        cycle_interval=1,
        longest_nap=1,
        saved_state=saved_state,
        past_bars=warm_up(FakePast(), "1m"),
    )
    inbox.put(past[-1])
    inbox.put(Bar.of("BTCUSDT", 2, open_time=past[-1].open_time_ms + 60_000))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.run, lambda: None)
        await trio.sleep(3)
        nursery.cancel_scope.cancel()
    return signals, engine.saved_state


async def test_an_engine_is_warm_before_its_first_signal(autojump_clock: MockClock) -> None:
    """It has seen the past without a signal, and a bar that comes twice only once."""
    signals, state = await run_engine()
    assert len(signals) == 1
    assert isinstance(state, list)
    assert len(state) == 4


async def test_an_engine_with_a_past_needs_none(autojump_clock: MockClock) -> None:
    """What was saved counts; the venue is not asked."""
    signals, state = await run_engine(saved_state=[1, 2])
    assert len(signals) == 2
    assert isinstance(state, list)
    assert state[:2] == [1, 2]
    assert len(state) == 4


async def test_the_simulator_knows_its_past(autojump_clock: MockClock, tmp_path: Path) -> None:
    """A fleet on the built-in exchange is warm as soon as it runs."""
    lines = 'warm_up = 30\nparams = { source = "bar", fast = 3, slow = 10 }'
    config = write_fleet(tmp_path, ("BTCUSDT",), engines={"BTCUSDT": lines})
    async with running_fleet(config) as fleet:
        await trio.sleep(10)
        assert fleet.row("BTCUSDT")["status"] == "running"
        state = fleet.assembly.slots["BTCUSDT"].saved_state
        assert state["seen"] == 30
        await trio.sleep(60)
        assert fleet.assembly.slots["BTCUSDT"].saved_state["seen"] == 31
