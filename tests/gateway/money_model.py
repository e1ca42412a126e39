"""Fifty orders through the gateway and a modelled venue, with crashes at every step."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import attrs
import trio
from trio.testing import MockClock

from levitrio.gateway.account import Account
from levitrio.gateway.decision import Rules
from levitrio.gateway.desk import Desk
from levitrio.gateway.gateway import Gateway
from levitrio.records.journal import Journal
from levitrio.records.offload import inline
from levitrio.strategies import Signal
from levitrio.trading.book import Book
from levitrio.trading.market import Quote
from levitrio.trading.market_view import MarketView
from levitrio.trading.risk import DataState, Permission, RiskRules
from levitrio.trading.sizing import SizingRules
from tests.fakes import FakeReport
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
    """The book and the venue disagree in the end."""
    unresolved: int
    """Intents without an end in the journal."""
    crashes: int
    orders: int

    @property
    def is_sound(self) -> bool:
        return not (self.doubled or self.position_differs or self.unresolved)


def run_seed(seed: int, path: Path, *, orders: int = 50, asks: bool = True) -> Verdict:
    """Trade until `orders` were placed, crashing now and then; then let everything settle."""

    async def main() -> Verdict:
        dice = random.Random(seed)
        world = ModelVenue(dice)
        placed = crashes = 0
        async with trio.open_nursery() as wire:
            while placed < orders:
                with trio.CancelScope() as life:
                    # A crash comes at any moment: between intent, send, answer and fill.
                    life.deadline = trio.current_time() + dice.uniform(0.5, 60.0)
                    placed += await one_life(world, wire, path, asks=asks, most=orders - placed)
                crashes += life.cancelled_caught
                if life.cancelled_caught:
                    placed += 1  # whatever was under way
            verdict = await settle(world, wire, path)
            wire.cancel_scope.cancel()
        return attrs.evolve(verdict, crashes=crashes, orders=placed)

    return trio.run(main, clock=MockClock(autojump_threshold=0))


async def one_life(
    world: ModelVenue, wire: trio.Nursery, path: Path, *, asks: bool, most: int
) -> int:
    """One process of the fleet, from its start to its crash or until `most` orders were placed."""
    async with running(world, wire, path, asks=asks) as (gateway, broker):
        submit = gateway.admit(SYMBOL, 1, lambda fill: None)
        side = "long"
        while broker.placed < most:
            submit(Signal(side="long" if side == "long" else "flat"))
            side = "flat" if side == "long" else "long"
            await trio.sleep(world.dice.uniform(0.05, 2.0))
        await gateway.drain()
        return broker.placed


async def settle(world: ModelVenue, wire: trio.Nursery, path: Path) -> Verdict:
    """A last start without faults' time limit: everything must find its end."""
    async with running(world, wire, path, asks=True) as (gateway, _):
        await trio.sleep(QUIET)
        await gateway.drain()
        position = gateway.desks[SYMBOL].book.position
    journal = Journal(path, offload=inline)
    history = journal.open()
    journal.close()
    return Verdict(
        doubled=sum(len(fills) > 1 for fills in world.fills.values()),
        position_differs=position != world.position(),
        unresolved=len(history.open_orders),
        crashes=0,
        orders=0,
    )


@asynccontextmanager
async def running(
    world: ModelVenue, wire: trio.Nursery, path: Path, *, asks: bool
) -> AsyncIterator[tuple[Gateway, ModelBroker]]:
    """A gateway on a journal file, as a process has it; left without any goodbye."""
    journal = Journal(path, offload=inline)
    history = journal.open()
    market = MarketView(symbol=SYMBOL)
    market.see(Quote.of(SYMBOL, "100", "100"))
    desk = Desk(symbol=SYMBOL, book=Book(symbol=SYMBOL, quote_asset="USDT"), market=market)
    broker = ModelBroker(world, wire, asks)
    gateway = Gateway(
        account=Account(desks={SYMBOL: desk}, cash=Decimal(10_000)),
        rules=Rules(risk=RiskRules(max_orders_per_minute=100_000), sizing=SizingRules()),
        journal=journal,
        broker=broker,
        market_ms=lambda: 1_000,
        wall_ms=lambda: 0,
        data=lambda symbol: DataState(age=0.0),
        report=FakeReport(),
    )
    gateway.restore(history)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(journal.run)
            await nursery.start(gateway.run)
            gateway.permit(SYMBOL, Permission.ALL)
            yield gateway, broker
            nursery.cancel_scope.cancel()
    finally:
        journal.close()
