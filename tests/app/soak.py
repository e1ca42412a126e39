"""Runs virtual days of a fleet under random faults, for the soak tests.

The parts are real but for the venue: a sparse feed says a trade and a quote every few seconds,
so that a day has thousands of events and not millions. The strategies draw their own misdeeds.
"""

import random
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import attrs
import trio
from trio.testing import MockClock

from levitrio.app.assembly import Assembly
from levitrio.app.fleet_run import FleetRun
from levitrio.app.wiring.environment import Environment
from levitrio.app.wiring.venue import VenueServices
from levitrio.config.loader import load
from levitrio.records.journal.journal import Journal
from levitrio.records.logs.event_log import EventLog
from levitrio.records.worker_threads import inline
from levitrio.strategies import Signal, Strategy
from levitrio.trading.market import Quote, Trade
from levitrio.venues.base import Deliver, FeedStatistics
from tests.app.virtual import EPOCH

SYMBOLS = tuple(f"S{number:02}USDT" for number in range(15))

DAY = 86_400.0

FLEET = """
[fleet]
name = "soak"
[feed]
url = "ws://127.0.0.1:1"
stale_after = 60
[recovery]
max_restarts = 8
[defaults]
strategy = "tests.app.soak:Unruly"
cycle_interval = 10
"""

CRASH_CHANCE = 1 / 4_000
"""For each trade: about once in six hours for each engine."""

HANG_CHANCE = 1 / 12_000

SPACING = 10.0
"""Seconds between two trades of a symbol."""

_dice = random.Random(0)


class Unruly(Strategy):
    """Trades at random, and raises, exits or hangs at random."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol

    async def on_trade(self, trade: Trade) -> Signal | None:
        roll = _dice.random()
        if roll < CRASH_CHANCE:
            raise _dice.choice([ValueError, SystemExit, KeyboardInterrupt, MemoryError])("soak")
        if roll < CRASH_CHANCE + HANG_CHANCE:
            await trio.sleep_forever()
        if roll > 0.99:
            return Signal(side=_dice.choice(("long", "flat")))
        return None


@attrs.define(eq=False)
class SparseFeed:
    """Delivers a quote and a trade of every symbol now and then."""

    dice: random.Random
    wall_clock: Callable[[], float]
    delivers: dict[str, Deliver] = attrs.field(factory=dict)
    received: dict[str, float] = attrs.field(factory=dict)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        trade_id = 0
        price = {symbol: Decimal(100) for symbol in self.delivers}
        while True:
            await trio.sleep(SPACING)
            for symbol in tuple(self.delivers):
                trade_id += 1
                price[symbol] *= 1 + Decimal(self.dice.randrange(-5, 6)) / 10_000
                ask = price[symbol] * Decimal("1.0001")
                self.delivers[symbol](Quote.of(symbol, price[symbol], ask))
                now_ms = int(self.wall_clock() * 1000)
                self.delivers[symbol](
                    Trade.of(symbol, price[symbol], time=now_ms, trade_id=trade_id)
                )
                self.received[symbol] = trio.current_time()

    def add(self, symbol: str, deliver: Deliver) -> None:
        self.delivers[symbol] = deliver

    def remove(self, symbol: str) -> None:
        self.delivers.pop(symbol, None)

    def input_state(self, symbol: str) -> None:
        """No input is ever refused."""

    def position(self, symbol: str) -> None:
        """No depth."""

    def last_received(self, symbol: str) -> float | None:
        return self.received.get(symbol)

    def statistics(self) -> FeedStatistics:
        return FeedStatistics(connections=1, reconnects=0, messages=0, dropped={})


class SparseVenue(VenueServices):
    """The real venue services with a feed that delivers little."""

    def make_feed(self, url: str) -> SparseFeed:  # type: ignore[override]  # as much as it uses
        feed = SparseFeed(random.Random(1), self.environment.wall_clock)
        self.feed = feed  # type: ignore[assignment]
        for symbol, slot in self.slots.items():
            feed.add(symbol, slot.deliver)
        return feed


class SoakAssembly(Assembly):
    """The real assembly with these venue services."""

    make_venue = SparseVenue


@attrs.frozen(kw_only=True)
class SoakReport:
    """What a soak measured."""

    uptime: dict[str, float]
    """Share of the time each engine was running, by symbol."""
    crashes: int
    given_up: tuple[str, ...]
    fills: int
    trace: str
    """A hash of everything that happened, in order."""


def run_soak(folder: Path, *, seconds: float, seed: int) -> SoakReport:
    """Run a fleet of fifteen for `seconds` of virtual time; the same seed, the same day.

    trio runs the tasks of one tick in random order; its own dice are seeded too, as hypothesis
    does it for trio.
    """
    _dice.seed(seed)
    scheduler: Any = trio._core._run
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True
    scheduler._r.seed(seed)
    path = folder / "fleet.toml"
    path.write_text(FLEET + "\n".join(f"[engines.{symbol}]" for symbol in SYMBOLS))
    config = load(path)
    config.fleet.data_dir.mkdir(exist_ok=True)
    journal = Journal(None, offload=inline)

    def wall_clock() -> float:
        return EPOCH + trio.current_time() - began[0]

    began = [0.0]
    up = dict.fromkeys(SYMBOLS, 0.0)
    since: dict[str, float] = {}
    events = EventLog(wall_clock_ms=lambda: int(wall_clock() * 1000), capacity=100)
    trace = sha256()
    counts = {"crashed": 0, "fill": 0}

    async def main() -> SoakReport:
        began[0] = trio.current_time()
        history = journal.open()
        assembly = SoakAssembly(
            config,
            journal=journal,
            history=history,
            events=events,
            environment=Environment(
                wall_clock=wall_clock,
                chance=random.Random(seed).random,
                offload=lambda: inline,
            ),
        )

        def note(event: object) -> None:
            kind, engine = event.kind, event.engine  # type: ignore[attr-defined]
            trace.update(f"{event.wall_ms} {kind} {engine} {event.text}\n".encode())  # type: ignore[attr-defined]
            if kind in counts:
                counts[kind] += 1
            if engine is None:
                return
            if kind == "running":
                since[engine] = trio.current_time()
            elif kind in ("crashed", "stopping", "stopped") and engine in since:
                up[engine] += trio.current_time() - since.pop(engine)

        events.add_sink(note)
        run = FleetRun(assembly=assembly, history=history, states={})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run.run)
            await trio.sleep(seconds)
            failed = tuple(
                name for name, child in assembly.supervisor.children.items() if child.failed
            )
            run.end(None)
        return SoakReport(
            uptime={symbol: seen / seconds for symbol, seen in up.items()},
            crashes=counts["crashed"],
            given_up=failed,
            fills=counts["fill"],
            trace=trace.hexdigest(),
        )

    report = trio.run(main, clock=MockClock(autojump_threshold=0))
    journal.close()
    return report
