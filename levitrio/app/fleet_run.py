"""Runs a fleet in nested nurseries, whose nesting is the order of the shutdown.

records   journal, snapshots, incidents       end last: everything that happened is written
venue     simulator, feed, gateway            end once orders under way are settled
control   the socket, the page                answer until the engines have stopped
engines   the supervisor                      ends first
"""

import gc
import os
import socket
from collections.abc import Callable
from functools import partial

import attrs
import trio

from levitrio.app.assembly import Assembly
from levitrio.app.banner import live_warning, opening, root_warning
from levitrio.app.operations import Operations
from levitrio.app.web import Web, WebOperations
from levitrio.app.wiring.suspend_detector import SuspendDetector
from levitrio.app.wiring.venue import BINANCE_STREAMS
from levitrio.control.server import ControlServer
from levitrio.errors import JournalUnavailable
from levitrio.records.journal.entries import History, IncidentEntry
from levitrio.records.logs.event_log import Event
from levitrio.supervision.watchdog.alarm import Watchdog
from levitrio.supervision.watchdog.systemd import SystemdNotifier

SHORT_GRACE = 0.5
"""Seconds of grace after a second signal."""

DRAIN = 2.0
"""Seconds orders under way have to settle once the engines have stopped."""

LAST_WORDS = 5.0
"""Seconds the last snapshot may take on a slow disk."""

LAST_ALERTS = 3.0
"""Seconds to wait for alerts being sent: longer than a webhook needs."""

STUCK_EXIT = 1

HEAP_SETTLED = 10.0
"""Seconds after the start until objects that live as long as the fleet exist."""

YOUNG = 10_000
"""New objects that start a young collection. A thousand engines have twenty times Python's usual
700 alive at any moment, in their waits: ten collections a second took 3 ms each, every tenth
11 ms, and found nothing."""


@attrs.define(eq=False, kw_only=True)
class FleetRun:
    """One run of an assembled fleet, until `end`."""

    assembly: Assembly
    history: History
    states: dict[str, object]
    """The strategies' saved state by symbol."""
    listener: socket.socket | None = None
    """The listening control socket; None: the fleet has no control socket."""
    web: Web | None = None
    """The page, if fleet.toml has `[http]`."""
    watchdog: Watchdog | None = None
    systemd: SystemdNotifier = attrs.field(factory=SystemdNotifier)
    exit_hard: Callable[[int], None] = os._exit
    """Ends the process around a stuck task. Must not return."""
    _ending: trio.Event = attrs.field(factory=trio.Event)
    _hurried: trio.Event = attrs.field(factory=trio.Event)
    _grace: float | None = None

    @property
    def operations(self) -> Operations:
        """The operations that the control socket offers."""
        return Operations(assembly=self.assembly, end=self.end)

    @property
    def is_ending(self) -> bool:
        """Whether `end` was called."""
        return self._ending.is_set()

    def end(self, grace: float | None) -> None:
        """Begin the shutdown. `grace` in seconds; None: as configured. A second call cuts it."""
        if self._ending.is_set():
            self._hurried.set()
        else:
            # Closed in the same step, so that no order decided before the end is sent after it.
            self.assembly.gateway.close()
            self._grace = grace
            self._ending.set()

    async def run(self) -> int:
        """Run the fleet until `end`; returns the exit code, 0.

        With a stuck engine it does not return: it writes what it can, and `exit_hard` ends the
        process.
        """
        assembly = self.assembly
        assembly.events.add_sink(self._on_event)
        async with trio.open_nursery() as records:
            await records.start(assembly.journal.run)
            await records.start(assembly.incident_recorder.run)
            await records.start(assembly.snapshots.run)
            if self.watchdog is not None:
                await records.start(self.watchdog.run)
            records.start_soon(self.systemd.feed_watchdog)
            assembly.events.add_sink(assembly.alerts, with_past=True)
            await records.start(assembly.alerts.run)
            assembly.restore(self.history, self.states)
            await self._trade()
            with trio.move_on_after(LAST_WORDS):
                await assembly.snapshots.flush()
            with trio.move_on_after(LAST_ALERTS):
                await assembly.alerts.flush()
            records.cancel_scope.cancel()
        assembly.tell("fleet_stopped", "stopped")
        return 0

    async def _trade(self) -> None:
        assembly = self.assembly
        async with trio.open_nursery() as venue:
            url = assembly.config.feed.url or BINANCE_STREAMS
            if assembly.venue.simulator is not None:
                url = await venue.start(assembly.venue.simulator.run)
            venue.start_soon(assembly.venue.make_feed(url).run)
            await venue.start(assembly.gateway.run)
            venue.start_soon(SuspendDetector(on_standstill=self._stood_still).run)
            # Not awaited: engines without a model need not wait until models are loaded.
            venue.start_soon(assembly.models.run)
            async with trio.open_nursery() as control:
                if self.listener is not None:
                    server = ControlServer(self.operations, log=self._log_control)
                    await control.start(server.run, self.listener)
                if self.watchdog is not None:  # no probe in virtual time, where nothing is late
                    control.start_soon(assembly.telemetry.probe)
                if self.web is not None:
                    await control.start(assembly.telemetry.run)
                    pages = WebOperations(assembly=assembly, end=self.end)
                    await control.start(self.web.run, pages)
                    assembly.tell("http_started", f"the page is at {self.web.url}")
                self._announce(url)
                await self._supervise()
                with trio.move_on_after(DRAIN):
                    await assembly.gateway.drain()
                control.cancel_scope.cancel()
            venue.cancel_scope.cancel()

    async def _supervise(self) -> None:
        supervisor = self.assembly.supervisor
        async with trio.open_nursery() as engines:
            await engines.start(supervisor.run)
            self.systemd.ready(f"{len(supervisor.children)} engines")
            if self.watchdog is not None:
                engines.start_soon(self._settle_the_heap)
            await self._ending.wait()
            self.systemd.stopping()
            self.assembly.tell("stopping_fleet", "stopping all engines")
            stuck = await self._shutdown()
            if stuck:
                await self._end_hard(stuck)
            engines.cancel_scope.cancel()

    async def _settle_the_heap(self) -> None:
        """Freeze the objects that live as long as the fleet, so that full collections skip them.

        A full collection of the heap of a thousand engines stops all of them for 60 to 160 ms,
        again and again. The first freeze, as soon as every engine runs, does without a collection,
        because that would be such a stop; the second one collects before.
        """
        settled = trio.current_time() + HEAP_SETTLED
        with trio.move_on_at(settled) as scope:
            for child in tuple(self.assembly.supervisor.children.values()):
                await child.wait_until(partial(getattr, child, "is_as_wanted"))
        if not scope.cancelled_caught:
            gc.freeze()
        await trio.sleep_until(settled)
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG)

    async def _shutdown(self) -> tuple[str, ...]:
        """Stop all engines together; a second `end` shortens their grace."""
        supervisor = self.assembly.supervisor
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                await self._hurried.wait()
                await supervisor.shutdown(SHORT_GRACE)

            stuck = await supervisor.shutdown(self._grace)
            nursery.cancel_scope.cancel()
        return stuck

    async def _end_hard(self, stuck: tuple[str, ...]) -> None:
        """End the process: tasks of stuck engines never end, nor do the nurseries around them."""
        assembly = self.assembly
        with trio.move_on_after(DRAIN):
            await assembly.gateway.drain()
        with trio.move_on_after(LAST_WORDS):
            await assembly.snapshots.flush()
        incidents = [
            IncidentEntry(
                symbol=symbol,
                incarnation=assembly.supervisor.children[symbol].incarnation,
                cause="stuck",
                error="did not stop within its grace; the process was ended around it",
                traceback="",
                counts=False,
                delay=None,
                wall_ms=assembly.wall_ms(),
            )
            for symbol in stuck
        ]
        with trio.move_on_after(LAST_WORDS):
            try:
                # The journal commits in order: once these are durable, so is all that came before.
                await assembly.journal.append(*incidents)
            except JournalUnavailable as exc:
                assembly.tell("journal_trouble", f"the last incidents are lost: {exc}")
        with trio.move_on_after(LAST_ALERTS):
            await assembly.alerts.flush()
        assembly.tell(
            "fleet_stopped", f"stopped with {len(stuck)} stuck engines: {', '.join(stuck)}"
        )
        self.exit_hard(STUCK_EXIT)

    def _stood_still(self, seconds: float) -> None:
        text = f"for {seconds:.0f} s: no order leaves before reconciliation"
        self.assembly.tell("stood_still", text)
        self.assembly.gateway.reconcile_all()

    def _announce(self, url: str) -> None:
        assembly = self.assembly
        market = "the built-in simulator" if assembly.venue.simulator is not None else url
        socket_path = None if self.listener is None else str(self.listener.getsockname())
        assembly.tell(
            "fleet_started",
            opening(assembly.config, market, socket_path),
            trading_state=assembly.account.trading_state.value,
            url=url,
        )
        if (warning := live_warning(assembly.config)) is not None:
            assembly.tell("live", warning)
        if (warning := root_warning(assembly.config, os.geteuid())) is not None:
            assembly.tell("root", warning)

    def _log_control(self, event: str, **details: object) -> None:
        self.assembly.tell(event, ", ".join(f"{key} {value}" for key, value in details.items()))

    def _on_event(self, event: Event) -> None:
        """Apply `[fleet] on_give_up` when an engine has failed."""
        if event.kind != "failed":
            return
        match self.assembly.config.fleet.on_give_up:
            case "halt":
                self.assembly.gateway.halt_soon(f"{event.engine} was given up")
            case "exit":
                self.assembly.tell("ending", f"{event.engine} was given up, on_give_up = exit")
                self.end(None)
