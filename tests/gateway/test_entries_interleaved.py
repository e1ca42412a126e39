"""A resting entry under any sequence of events: our position is the venue's."""

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from levitrio.gateway.order_decision import EntryRules
from levitrio.records.journal.folding import fold
from levitrio.strategies import Signal
from levitrio.trading.market import Quote
from levitrio.trading.orders import OrderType
from levitrio.trading.risk import Permission, RiskRules, TradingState
from tests.gateway.harness import FLAT, LONG, SHORT, Harness
from tests.gateway.model_journal import ModelDisk, ModelJournal
from tests.gateway.resting_venue import RestingVenue
from tests.gateway.venue_model import ModelVenue

SYMBOL = "BTCUSDT"

TIMEOUT = 5.0

ROOMY = RiskRules(
    max_orders_per_minute=100_000,
    max_daily_loss=Decimal(1),
    max_drawdown=Decimal(1),
    price_band=Decimal(1),
)


@attrs.define(eq=False)
class EntryHarness:
    """One symbol between its engine, its operator and its venue."""

    harness: Harness
    venue: RestingVenue
    disk: ModelDisk
    submit: Callable[[Signal], None]
    incarnation: int = 1
    was_deaf: bool = False
    placed: dict[str, float] = attrs.field(factory=dict)
    """When an order was first seen at the venue."""

    async def do(self, what: str, size: int) -> None:
        """One thing happens."""
        gateway, venue = self.harness.gateway, self.venue
        match what:
            case "long" | "flat" | "short":
                self.submit({"long": LONG, "flat": FLAT, "short": SHORT}[what])
            case "part" | "whole":
                if venue.open:
                    venue.fill(Decimal(size) if what == "part" else None)
            case "pause":
                gateway.permit(SYMBOL, Permission.EXITS)
            case "resume":
                gateway.permit(SYMBOL, Permission.ALL)
            case "crash":
                gateway.permit(SYMBOL, Permission.NONE)
                self.incarnation += 1
                self.submit = self.harness.admit(incarnation=self.incarnation)
            case "reduce" | "halt" | "trade":
                state = {"reduce": "REDUCING", "halt": "HALTED", "trade": "ACTIVE"}[what]
                await gateway.set_trading_state(TradingState[state], "drill")
            case "flatten":
                gateway.flatten(SYMBOL)
            case "deaf":
                venue.is_deaf = self.was_deaf = True
            case "hear":
                venue.is_deaf = False
            case "move":
                bid = 95 + size
                self.harness.symbol_state.market.see(Quote.of(SYMBOL, str(bid), str(bid + 1)))
        self.look()

    def look(self) -> None:
        """What holds at every moment."""
        state, now = self.harness.symbol_state, trio.current_time()
        assert len(self.venue.open) <= 1
        assert state.entering >= 0
        for order in self.venue.open:
            began = self.placed.setdefault(order.client_id, now)
            assert order.type is not OrderType.MARKET
            assert not order.is_exit
            assert self.was_deaf or now - began <= TIMEOUT + 1


def play(
    steps: list[tuple[str, int, float]], *, delay: float, tells: bool, is_maker: bool
) -> tuple[EntryHarness, int]:
    """Let the steps happen, then halt; returns the floor and how many orders still rest."""

    async def main() -> tuple[EntryHarness, int]:
        disk, venue = ModelDisk(), RestingVenue(delay=delay, tells=tells)
        journal: Any = ModelJournal(disk, ModelVenue(random.Random(1)))
        kind = OrderType.LIMIT_MAKER if is_maker else OrderType.LIMIT
        harness = Harness(
            venue=venue,
            journal=journal,
            risk=ROOMY,
            entry=EntryRules(type=kind, timeout=TIMEOUT),
        )
        harness.symbol_state.market.see(Quote.of(SYMBOL, "100", "101"))
        async with harness.running():
            floor = EntryHarness(harness, venue, disk, harness.admit())
            for what, size, pause in steps:
                await floor.do(what, size)
                await trio.sleep(pause)
                floor.look()
            venue.is_deaf = False
            await harness.gateway.set_trading_state(TradingState.HALTED, "the end")
            await trio.sleep(1)
            left = len(venue.open)
            with trio.fail_after(60):
                await harness.gateway.drain()
            await trio.sleep(30)
        return floor, left

    return trio.run(main, clock=MockClock(autojump_threshold=0))


def judge(floor: EntryHarness, left: int) -> None:
    """Nothing rests a second after a halt; every fill counts once, here and in the journal."""
    harness, venue = floor.harness, floor.venue
    assert left == 0
    assert harness.symbol_state.in_flight is None
    assert harness.symbol_state.position.quantity == venue.position
    for order in venue.orders.values():
        assert venue.filled(order.client_id) <= order.quantity
    history = fold(floor.disk.entries)
    assert history.open_orders == ()
    assert sorted(fill.trade_id or 0 for fill in history.fills) == [
        fill.trade_id for fill in venue.fills
    ]
    applied = [fill.trade_id for fill in harness.fills]
    assert len(applied) == len(set(applied))


WORDS = (
    *("long", "long", "long", "flat", "short", "part", "part", "whole"),
    *("pause", "resume", "resume", "crash", "reduce", "halt", "trade", "trade", "trade"),
    *("flatten", "deaf", "hear", "hear", "move"),
)

step_lists = st.lists(
    st.tuples(
        st.sampled_from(WORDS),
        st.integers(1, 9),
        st.sampled_from([0.0, 0.001, 0.01, 0.02, 0.05, 0.3, 1.0, TIMEOUT]),
    ),
    min_size=2,
    max_size=25,
)


@given(step_lists, st.sampled_from([0.001, 0.01, 0.1]), st.booleans(), st.booleans())
def test_the_position_is_the_venues(
    steps: list[tuple[str, int, float]], delay: float, tells: bool, is_maker: bool
) -> None:
    """Targets, fills, cancels, timeouts, pauses, crashes and halts in any order."""
    judge(*play(steps, delay=delay, tells=tells, is_maker=is_maker))


@pytest.mark.long
def test_the_position_is_the_venues_many_times() -> None:
    """The same, three thousand times, longer."""
    for seed in range(3_000):
        dice = random.Random(seed)
        steps = [
            (dice.choice(WORDS), dice.randint(1, 9), dice.choice([0.0, 0.01, 0.05, 0.3, TIMEOUT]))
            for _ in range(dice.randint(5, 60))
        ]
        judge(
            *play(
                steps,
                delay=dice.choice([0.001, 0.01, 0.1]),
                tells=dice.random() < 0.5,
                is_maker=dice.random() < 0.5,
            )
        )
