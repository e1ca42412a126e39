"""One run of a fleet in the foreground: from the file to the last line of the log.

The nesting of the nurseries is the order of the shutdown, from the inside out:

    signals
    records   journal, snapshots, incidents       end last: whatever happened is written
    venue     simulator, feed, gateway            orders under way are settled first
    control   the socket                          answers until the engines have stopped
    engines   the supervisor
"""

import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import attrs
import trio

from levitrio.app.assembly import BINANCE_STREAMS, Assembly, Seams
from levitrio.app.operations import Operations
from levitrio.app.reload import Reloader
from levitrio.app.reporting import LEVELS
from levitrio.control import paths
from levitrio.control.claim import claim_socket
from levitrio.control.server import ControlServer
from levitrio.errors import ControlError
from levitrio.fleet.config import FleetConfig
from levitrio.records.disk import Directory
from levitrio.records.entries import History
from levitrio.records.events import Event, EventLog
from levitrio.records.journal import Journal
from levitrio.records.lock import DataDirLock
from levitrio.records.logs import LogWriter, log_events
from levitrio.records.registry import structure
from levitrio.records.snapshots import SnapshotStore
from levitrio.records.terminal import Terminal

SHORT_GRACE = 0.5
"""Seconds of grace after a second signal."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

DRAIN = 2.0
"""Seconds orders under way have to settle once the engines have stopped."""

LAST_WORDS = 5.0
"""Seconds the final snapshot may take on a slow disk."""


def run_fleet(
    config: FleetConfig, *, log_format: Literal["human", "json"], seams: Seams | None = None
) -> int:
    """Run a fleet until a signal or `levi ctl shutdown`; returns the exit code.

    0: ended as asked; 1: ended, but some engines would not stop. Raises LevitrioError, having
    started nothing, when the fleet runs already or its records are damaged.
    """
    seams = seams or Seams()

    def wall_ms() -> int:
        return int(seams.wall_clock() * 1000)

    with ExitStack() as stack:
        stack.enter_context(DataDirLock(config.fleet.data_dir))
        path = config.control.socket or paths.default_socket(config.fleet.name)
        listener = stack.enter_context(claim_socket(str(path), fleet=config.fleet.name))
        snapshot = SnapshotStore(Directory(config.fleet.data_dir)).load()
        events = EventLog(wall_clock_ms=wall_ms)
        journal = Journal(
            config.fleet.data_dir / "journal.db",
            on_trouble=lambda text: _tell(events, "journal_trouble", text),
            on_recovery=lambda: _tell(events, "journal_recovered", "the journal works again"),
        )
        history = journal.open()
        stack.callback(journal.close)
        logs = LogWriter(
            config.fleet.data_dir / "logs",
            wall_clock_ms=wall_ms,
            terminal=Terminal(sys.stdout, format=log_format),
        )
        events.add_sink(log_events(logs, LEVELS))
        stack.enter_context(logs)
        states: dict[str, object] = {}
        if snapshot is not None:
            for note in snapshot.notes:
                events.emit("snapshot_damaged", note)
            states = {
                engine.symbol: engine.strategy_state
                for engine in structure(snapshot.payload).engines
            }
        assembly = Assembly(config, journal=journal, history=history, events=events, seams=seams)
        run = FleetRun(assembly=assembly, listener=listener, history=history, states=states)
        return trio.run(run.main)


def _tell(events: EventLog, kind: str, text: str) -> None:
    events.emit(kind, text)


@attrs.define(eq=False, kw_only=True)
class FleetRun:
    """The tree of nurseries, and what ends it."""

    assembly: Assembly
    history: History
    states: dict[str, object]
    listener: socket.socket | None = None
    """Of the control socket; None: nobody can ask."""
    _ending: trio.Event = attrs.field(factory=trio.Event)
    _grace: float | None = None
    _signals: int = 0
    _stopping: trio.CancelScope | None = None

    @property
    def operations(self) -> Operations:
        """What the control socket may ask for."""
        return Operations(assembly=self.assembly, end=self.end)

    def end(self, grace: float | None) -> None:
        """Begin to end, with another grace in seconds or the configured one. Again: hurry."""
        if grace is not None:
            self._grace = grace
        if self._ending.is_set() and self._stopping is not None and grace is not None:
            self._stopping.deadline = min(self._stopping.deadline, trio.current_time() + grace)
        self._ending.set()

    async def main(self) -> int:
        """Run everything, obeying signals; returns the exit code."""
        with trio.open_signal_receiver(*SIGNALS) as signals:
            async with trio.open_nursery() as outer:
                outer.start_soon(self._obey, signals)
                code = await self.run()
                outer.cancel_scope.cancel()
        return code

    async def run(self) -> int:
        """Run everything until `end`; returns the exit code."""
        assembly = self.assembly
        assembly.events.add_sink(self._on_event)
        async with trio.open_nursery() as records:
            await records.start(assembly.journal.run)
            await records.start(assembly.scribe.run)
            await records.start(assembly.snapshots.run)
            assembly.restore(self.history, self.states)
            await assembly.gateway.close_leftovers(self.history.open_orders)
            stuck = await self._trade()
            with trio.move_on_after(LAST_WORDS):
                await assembly.snapshots.flush()
            records.cancel_scope.cancel()
        text = f"stopped, {len(stuck)} stuck: {', '.join(stuck)}" if stuck else "stopped"
        assembly.tell("fleet_stopped", text)
        return 1 if stuck else 0

    async def _trade(self) -> tuple[str, ...]:
        assembly = self.assembly
        async with trio.open_nursery() as venue:
            url = assembly.config.feed.url or BINANCE_STREAMS
            if assembly.simulator is not None:
                url = await venue.start(assembly.simulator.run)
            venue.start_soon(assembly.make_feed(url).run)
            await venue.start(assembly.gateway.run)
            async with trio.open_nursery() as control:
                if self.listener is not None:
                    server = ControlServer(self.operations, log=self._log_control)
                    await control.start(server.run, self.listener)
                self._announce(url)
                stuck = await self._supervise()
                with trio.move_on_after(DRAIN):
                    await assembly.gateway.drain()
                control.cancel_scope.cancel()
            venue.cancel_scope.cancel()
        return stuck

    async def _supervise(self) -> tuple[str, ...]:
        supervisor = self.assembly.supervisor
        async with trio.open_nursery() as engines:
            await engines.start(supervisor.run)
            await self._ending.wait()
            self.assembly.tell("stopping_fleet", "engines are told to stop")
            stuck = await supervisor.shutdown(self._grace)
            engines.cancel_scope.cancel()
        return stuck

    async def _obey(self, signals: AsyncIterator[int]) -> None:
        async for number in signals:
            name = signal.Signals(number).name
            if number == signal.SIGHUP:
                await self._reload()
                continue
            self._signals += 1
            if self._signals == 1:
                self.assembly.tell("signal", f"{name}: stopping; again to hurry")
                self.end(None)
            else:
                self.assembly.tell("signal", f"{name} again: hurrying")
                self.end(SHORT_GRACE)

    async def _reload(self) -> None:
        """SIGHUP; ignored while the fleet ends. A bad file changes nothing."""
        if self._ending.is_set():
            return
        reloader = Reloader(assembly=self.assembly)
        try:
            config, changes = reloader.read()
            await reloader.apply(config, changes, "refuse")
        except ControlError as exc:
            self.assembly.tell("reload_refused", exc.message)

    def _announce(self, url: str) -> None:
        assembly = self.assembly
        config = assembly.config
        market = "the built-in simulator" if assembly.simulator is not None else url
        assembly.tell(
            "fleet_started",
            f"{config.fleet.name}: {len(config.engines)} engines, market data from {market}, "
            f"{config.broker.kind} orders, data in {config.fleet.data_dir}; "
            "see it with `levi ctl status`",
            trading_state=assembly.account.trading_state.value,
            url=url,
        )

    def _log_control(self, event: str, **details: object) -> None:
        self.assembly.tell(event, ", ".join(f"{key} {value}" for key, value in details.items()))

    def _on_event(self, event: Event) -> None:
        """What the fleet does when an engine is given up is config."""
        if event.kind != "failed":
            return
        match self.assembly.config.fleet.on_give_up:
            case "halt":
                self.assembly.gateway.halt_soon(f"{event.engine} was given up")
            case "exit":
                self.assembly.tell("ending", f"{event.engine} was given up, on_give_up = exit")
                self.end(None)


def add_import_path(file: Path) -> None:
    """Let strategies beside fleet.toml, or in the current directory, be imported.

    Appended last, so that a file of theirs never hides an installed module.
    """
    for folder in (str(file.resolve().parent), str(Path.cwd())):
        if folder not in sys.path:
            sys.path.append(folder)
