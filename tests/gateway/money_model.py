"""Fifty orders through the gateway and a modelled venue, with crashes at every step."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import attrs
import trio
from trio.testing import MockClock

from levitrio.gateway.account import Account
from levitrio.gateway.context import GatewayContext
from levitrio.gateway.gateway import Gateway
from levitrio.gateway.order_decision import Rules
from levitrio.gateway.symbol_state import SymbolState
from levitrio.records.journal.folding import fold
from levitrio.strategies import Signal
from levitrio.trading.market import Quote
from levitrio.trading.market_view import MarketView
from levitrio.trading.position import Position
from levitrio.trading.risk import DataState, Permission, RiskRules
from levitrio.trading.sizing import SizingRules
from tests.fakes import FakeReport
from tests.gateway.model_journal import ModelDisk, ModelJournal
from tests.gateway.venue_model import RECV_WINDOW, ModelBroker, ModelVenue

SYMBOL = "BTCUSDT"

QUIET = RECV_WINDOW + 60.0
"""Seconds after the last fault within which nothing may be unresolved any more."""


@attrs.frozen(kw_only=True)
class Verdict:
    """What a seed showed."""

    doubled: int
    """Orders the venue filled twice."""
    position_differs: bool
    """Position and venue disagree in the end."""
    unresolved: int
    """Intents without an end in the journal."""
    crashes: int
    orders: int
    steps: dict[str, int] = attrs.field(factory=dict)
    """Crashes by the step that was the last."""

    @property
    def is_sound(self) -> bool:
        return not (self.doubled or self.position_differs or self.unresolved)


def run_seed(seed: int, *, orders: int = 50, asks: bool = True) -> Verdict:
    """Trade until `orders` were placed, crashing now and then; then let everything settle."""

    async def main() -> Verdict:
        dice = random.Random(seed)
        world, disk = ModelVenue(dice), ModelDisk()
        crashes = 0
        async with trio.open_nursery() as wire:
            while world.placed < orders:
                with trio.CancelScope() as world.life:
                    life = world.life
                    assert life is not None
                    # A crash comes at any moment: between intent, send, answer and fill.
                    life.deadline = trio.current_time() + dice.uniform(0.5, 60.0)
                    await one_life(world, wire, disk, asks=asks, orders=orders)
                crashes += life.cancelled_caught
            world.life = None
            placed = world.placed
            verdict = await settle(world, wire, disk)
            wire.cancel_scope.cancel()
        return attrs.evolve(verdict, crashes=crashes, orders=placed, steps=dict(world.crashes))

    return trio.run(main, clock=MockClock(autojump_threshold=0))


async def one_life(
    world: ModelVenue, wire: trio.Nursery, disk: ModelDisk, *, asks: bool, orders: int
) -> None:
    """One process of the fleet, from its start to its crash or until `orders` were placed."""
    async with running(world, wire, disk, asks=asks) as (gateway, _):
        submit = gateway.admit(SYMBOL, 1)
        side = "long"
        while world.placed < orders:
            submit(Signal(side="long" if side == "long" else "flat"))
            side = "flat" if side == "long" else "long"
            await trio.sleep(world.dice.uniform(0.05, 2.0))
        await gateway.drain()


async def settle(world: ModelVenue, wire: trio.Nursery, disk: ModelDisk) -> Verdict:
    """A last start without faults' time limit: everything must find its end."""
    async with running(world, wire, disk, asks=True) as (gateway, _):
        await trio.sleep(QUIET)
        await gateway.drain()
        position = gateway.symbol_states[SYMBOL].position.quantity
    history = fold(disk.entries)
    return Verdict(
        doubled=world.doubled(),
        position_differs=position != world.position(),
        unresolved=len(history.open_orders),
        crashes=0,
        orders=0,
    )


@asynccontextmanager
async def running(
    world: ModelVenue, wire: trio.Nursery, disk: ModelDisk, *, asks: bool
) -> AsyncIterator[tuple[Gateway, ModelBroker]]:
    """A gateway on what is durable, as a process has it; left without a shutdown."""
    journal, history = ModelJournal(disk, world), fold(disk.entries)
    market = MarketView(symbol=SYMBOL)
    market.see(Quote.of(SYMBOL, "100", "100"))
    state = SymbolState(
        symbol=SYMBOL, position=Position(symbol=SYMBOL, quote_asset="USDT"), market=market
    )
    broker = ModelBroker(world, wire, asks)
    gateway = Gateway(
        account=Account(symbol_states={SYMBOL: state}, name="model", capital=Decimal(10_000)),
        rules=Rules(risk=RiskRules(max_orders_per_minute=100_000), sizing=SizingRules()),
        journal=journal,
        broker=broker,
        quote_asset="USDT",
        context=GatewayContext(
            market_ms=lambda: 1_000,
            wall_ms=lambda: 0,
            data_state=lambda symbol: DataState(age=0.0),
            report=FakeReport(),
        ),
    )
    gateway.restore(history)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(gateway.run)
            gateway.permit(SYMBOL, Permission.ALL)
            yield gateway, broker
            nursery.cancel_scope.cancel()
    finally:
        world.tell = None
