"""One run of a fleet in the foreground: locks, records, signals, and the exit code."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import trio

from levitrio.app.assembly import Assembly
from levitrio.app.fleet_run import FleetRun
from levitrio.app.reload import Reloader
from levitrio.app.status.supervision_events import LEVELS
from levitrio.app.web import open_web
from levitrio.app.wiring.alerts import alerts_on, open_sends
from levitrio.app.wiring.brokers import check_history, check_live, guard_account, open_credentials
from levitrio.app.wiring.environment import Environment
from levitrio.app.wiring.process_hardening import harden, occupy_standard_streams
from levitrio.app.wiring.watchdog import blocked_incident, make_code_ownership, make_watchdog
from levitrio.config.sections import FleetConfig
from levitrio.control import paths
from levitrio.control.socket_claim import claim_socket
from levitrio.errors import ControlError, DamagedRecord, LevitrioError
from levitrio.records.journal.entries import History
from levitrio.records.journal.journal import Journal
from levitrio.records.journal.sqlite.database import has_journal
from levitrio.records.locks.file_lock import DataDirLock
from levitrio.records.logs.event_log import EventLog
from levitrio.records.logs.log_writer import LogWriter, log_events
from levitrio.records.logs.redaction import Redactor
from levitrio.records.logs.terminal import Terminal
from levitrio.records.snapshots.filesystem import Directory
from levitrio.records.snapshots.snapshot import structure
from levitrio.records.snapshots.store import SnapshotStore
from levitrio.supervision.watchdog.flight_recorder import BOX, Culprit, FlightRecorder, last_culprit
from levitrio.supervision.watchdog.hard_exit import disarm_exit, exit_armed_by
from levitrio.supervision.watchdog.sentinel import SIZE
from levitrio.supervision.watchdog.systemd import SystemdNotifier

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

IMPATIENT = 3
"""Signals after which nothing is waited for."""


def run_fleet(
    config: FleetConfig,
    *,
    log_format: Literal["human", "json"],
    live: bool = False,
    environment: Environment | None = None,
    environ: Mapping[str, str] = os.environ,
) -> int:
    """Run a fleet until a signal or `levi ctl shutdown`; returns the exit code, 0.

    With engines that will not stop the process ends itself with 1, all records written. Raises
    LevitrioError, having started nothing, when the fleet or its account is in use already, its
    records are damaged, its key cannot be used, an address of `[alerts]` is unknown, or real
    orders were not asked for twice.
    """
    occupy_standard_streams()
    environment = environment or Environment()
    check_live(config, live=live)
    if live:
        harden()
    credentials = open_credentials(config, environment.make_token)
    sends = open_sends(config)
    redactor = Redactor()
    if credentials is not None:
        redactor.add(*credentials.values)

    def wall_ms() -> int:
        return int(environment.wall_clock() * 1000)

    systemd = SystemdNotifier.from_environment(environ)
    ownership = make_code_ownership()
    with ExitStack() as stack:
        stack.enter_context(DataDirLock(config.fleet.data_dir))
        stack.enter_context(guard_account(config, credentials))
        socket_claim = stack.enter_context(ExitStack())
        path = config.control.socket or paths.default_socket(config.fleet.name)
        listener = socket_claim.enter_context(claim_socket(str(path), fleet=config.fleet.name))
        web = None if config.http is None else stack.enter_context(open_web(config.http))
        events = EventLog(wall_clock_ms=wall_ms, redact=redactor.value)
        states = load_states(config, events)
        missing = missing_journal(config, states)
        if missing and live:
            raise DamagedRecord(missing)
        culprit = last_culprit(config.fleet.data_dir, ownership)
        journal, history = open_journal(config, events, culprit, wall_ms())
        stack.callback(journal.close)
        check_history(config, history)
        flight_recorder = stack.enter_context(open_flight_recorder(config.fleet.data_dir))
        logs = LogWriter(
            config.fleet.data_dir / "logs",
            wall_clock_ms=wall_ms,
            terminal=Terminal(sys.stdout, format=log_format),
            redact=redactor.record,
        )
        # What was found before there was a log: a damaged snapshot, a journal in trouble.
        events.add_sink(log_events(logs, LEVELS), with_past=True)
        stack.enter_context(logs)
        if culprit is not None:
            events.emit("convicted", str(culprit), culprit.engine)
        if missing:
            events.emit("journal_missing", missing)
        assembly = Assembly(
            config,
            journal=journal,
            history=history,
            events=events,
            environment=environment,
            credentials=credentials,
            redactor=redactor,
        )
        assembly.alerts.configure(alerts_on(config), sends)
        stack.enter_context(assembly.reserve)

        def exit_hard(code: int) -> None:
            logs.close()
            socket_claim.close()
            os._exit(code)

        run = FleetRun(
            assembly=assembly,
            history=history,
            states=states,
            listener=listener,
            web=web,
            watchdog=make_watchdog(
                config,
                ownership=ownership,
                events=events,
                starting=assembly.reporter.starting,
                flight_recorder=flight_recorder,
            ),
            systemd=systemd,
            exit_hard=exit_hard,
        )
        return trio.run(obey_to_the_end, run)


@contextmanager
def open_flight_recorder(data_dir: Path) -> Iterator[FlightRecorder]:
    """The watchdog's box. Raises LevitrioError when it cannot be made: a full disk, a limit."""
    with ExitStack() as stack:
        try:
            box = stack.enter_context(FlightRecorder.open(data_dir))
        except OSError as error:
            raise LevitrioError(
                f"cannot make {data_dir / BOX}: expected room for {SIZE / 2**20:.0f} MiB there and "
                f"one more process, came: {error.strerror or error}"
            ) from error
        yield box


def load_states(config: FleetConfig, events: EventLog) -> dict[str, object]:
    """What the strategies had saved, from the newest sound snapshot.

    Raises DamagedRecord when there are snapshots and none is sound.
    """
    snapshot = SnapshotStore(Directory(config.fleet.data_dir)).load()
    if snapshot is None:
        return {}
    for note in snapshot.notes:
        events.emit("snapshot_damaged", note)
    engines = structure(snapshot.payload).engines
    return {engine.symbol: engine.strategy_state for engine in engines}


def missing_journal(config: FleetConfig, states: Mapping[str, object]) -> str:
    """What is wrong when a fleet has been here and its journal has not stayed; empty: nothing.

    A fleet that begins anew beside its old positions would buy them again.
    """
    journal = config.fleet.journal
    if not states or has_journal(journal):
        return ""
    return (
        f"{journal}: expected the journal beside registry.json, it is gone, and with it orders, "
        "positions and halts: put it back, or move registry*.json away to begin without history"
    )


def open_journal(
    config: FleetConfig, events: EventLog, culprit: Culprit | None, wall_ms: int
) -> tuple[Journal, History]:
    """The journal and what is in it, the verdict on the last process's culprit included.

    Raises DamagedRecord or JournalUnavailable.
    """

    def make() -> Journal:
        return Journal(
            config.fleet.journal,
            on_trouble=lambda text: _tell(events, "journal_trouble", text),
            on_recovery=lambda: _tell(events, "journal_recovered", "the journal works again"),
        )

    journal = make()
    history = journal.open()
    if culprit is not None:
        journal.append_nowait(*blocked_incident(culprit, wall_ms))
        journal.close()
        journal = make()
        history = journal.open()
    return journal, history


def _tell(events: EventLog, kind: str, text: str) -> None:
    events.emit(kind, text)


async def obey_to_the_end(run: FleetRun) -> int:
    """`obey_signals`, and no Ctrl-C after it: a fleet that has stopped must not seem to fail.

    What comes after it closes files and takes milliseconds; where a disk hangs, SIGTERM ends it.
    Once this process listens, not before: an early Ctrl-C would be lost.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what the receiver puts back at its end
    return await obey_signals(run)


async def obey_signals(run: FleetRun) -> int:
    """Run a fleet and obey signals; returns the exit code.

    SIGTERM also arms an exit in C, because a blocked loop is deaf to what is read here.
    """
    grace = run.assembly.config.fleet.grace
    with trio.open_signal_receiver(*SIGNALS) as signals, exit_armed_by(signal.SIGTERM, grace + 1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_obey, signals, run)
            code = await run.run()
            nursery.cancel_scope.cancel()
    disarm_exit()
    return code


async def _obey(signals: AsyncIterator[int], run: FleetRun) -> None:
    tell, heard = run.assembly.tell, 0
    async for number in signals:
        # The loop turns, so every wait from here on has a deadline of its own.
        disarm_exit()
        name = signal.Signals(number).name
        if number == signal.SIGHUP:
            await _reload(run)
            continue
        heard += 1
        if heard >= IMPATIENT:
            run.exit_hard(128 + number)
        tell("signal", f"{name}: stopping" + (", in a hurry" if heard > 1 else "; again to hurry"))
        run.end(None)


async def _reload(run: FleetRun) -> None:
    """SIGHUP; ignored while the fleet ends. A bad file changes nothing."""
    if run.is_ending:
        return
    reloader = Reloader(assembly=run.assembly)
    try:
        config, changes = reloader.read()
        await reloader.apply(config, changes, "refuse")
    except ControlError as exc:
        run.assembly.tell("reload_refused", exc.message)
