"""A whole fleet in virtual time: real parts, with memory instead of network and disk.

The simulator's server and the feed's client speak the real protocol over a stream in memory;
the journal is SQLite without a thread, so that the clock does not jump past a commit.
"""

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import msgspec
import trio
from trio.testing import memory_stream_pair

from levitrio.app.assembly import Assembly
from levitrio.app.fleet_run import FleetRun
from levitrio.app.operations import Operations
from levitrio.app.wiring.environment import Environment
from levitrio.config.loader import load
from levitrio.config.sections import FleetConfig
from levitrio.control.fleet_interface import Peer
from levitrio.records.journal.journal import Journal
from levitrio.records.logs.event_log import EventLog
from levitrio.records.snapshots.filesystem import Directory
from levitrio.records.snapshots.snapshot import structure
from levitrio.records.snapshots.store import SnapshotStore
from levitrio.records.worker_threads import inline
from levitrio.venues.simulator.exchange.accounts import ApiKey
from levitrio.venues.simulator.server.simulator import Simulator

EPOCH = 1_790_000_000.0
"""Wall clock at virtual second 0."""

PEER = Peer(pid=1, uid=0)

BASE = """
[fleet]
name = "virtual"
on_give_up = "{on_give_up}"
[feed]
url = "ws://127.0.0.1:1"
[recovery]
max_restarts = 3
jitter = 0.0
[defaults]
strategy = "{strategy}"
"""


def write_fleet(
    folder: Path,
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT", "SOLUSDT"),
    *,
    strategy: str = "ema_cross",
    on_give_up: str = "continue",
    engines: Mapping[str, str] | None = None,
    extra: str = "",
) -> FleetConfig:
    """A fleet.toml in `folder`; `engines` gives lines for single symbols."""
    tables = "\n".join(
        f"[engines.{symbol}]\n{(engines or {}).get(symbol, '')}" for symbol in symbols
    )
    path = folder / "fleet.toml"
    path.write_text(BASE.format(strategy=strategy, on_give_up=on_give_up) + extra + tables)
    return load(path)


@attrs.define(eq=False)
class Wall:
    """The fleet's wall clock; changing it does not change the venue's."""

    ahead: float = 0.0
    """Seconds."""

    def now(self) -> float:
        return EPOCH + self.ahead + trio.current_time()


@attrs.define(eq=False)
class VirtualFleet:
    """A running fleet, as a test uses it."""

    assembly: Assembly
    run: FleetRun
    operations: Operations
    simulator: Simulator
    wall: Wall = attrs.field(factory=Wall)

    def row(self, symbol: str) -> dict[str, Any]:
        return dict(self.assembly.status_document.row(symbol))

    async def document(self) -> dict[str, Any]:
        """The status document as a client reads it."""
        document: dict[str, Any] = msgspec.json.decode(await self.operations.status(None))
        return document

    def kinds(self, symbol: str | None = None) -> list[str]:
        """Kinds of the events so far, of one engine or of the fleet."""
        events = self.assembly.events.since(0).events
        return [event.kind for event in events if event.engine == symbol]


@asynccontextmanager
async def running_fleet(
    config: FleetConfig, *, seed: int = 7, keys: Sequence[ApiKey] = ()
) -> AsyncIterator[VirtualFleet]:
    """Run a fleet on a simulator in memory; ends it gracefully after the block.

    Leaving the block with an error cancels everything at once, as a kill would. `keys` are those
    the simulator knows, for a fleet whose orders go there.
    """

    def wall_clock() -> float:
        return EPOCH + trio.current_time()

    wall = Wall()
    config.fleet.data_dir.mkdir(exist_ok=True)
    snapshot = SnapshotStore(Directory(config.fleet.data_dir)).load()
    states: dict[str, object] = {}
    if snapshot is not None:
        states = {e.symbol: e.strategy_state for e in structure(snapshot.payload).engines}
    journal = Journal(config.fleet.data_dir / "journal.db", offload=inline)
    history = journal.open()
    try:
        async with trio.open_nursery() as nursery:
            simulator = Simulator(seed=seed, wall_clock=wall_clock, keys=keys)

            async def connect(host: str, port: int, tls: bool) -> trio.abc.Stream:
                ours, theirs = memory_stream_pair()
                nursery.start_soon(simulator.handle, theirs)
                return ours

            environment = Environment(
                wall_clock=wall.now,
                chance=random.Random(seed).random,
                offload=lambda: inline,
                outbox=lambda: inline,
                open_stream=connect,
            )
            events = EventLog(wall_clock_ms=lambda: int(wall.now() * 1000))
            assembly = Assembly(
                config, journal=journal, history=history, events=events, environment=environment
            )
            run = FleetRun(assembly=assembly, history=history, states=states)
            done = trio.Event()

            async def run_to_end() -> None:
                await run.run()
                done.set()

            nursery.start_soon(simulator.play)
            nursery.start_soon(simulator.run_timers)
            nursery.start_soon(run_to_end)
            yield VirtualFleet(assembly, run, run.operations, simulator, wall)
            run.end(None)
            await done.wait()
            nursery.cancel_scope.cancel()
    finally:
        journal.close()
