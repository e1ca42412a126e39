"""`levi run`: runs a fleet in the foreground. Locks, records, signals, exit code."""

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
"""The number of SIGINT or SIGTERM that ends the process at once."""


def run_fleet(
    config: FleetConfig,
    *,
    log_format: Literal["human", "json"],
    live: bool = False,
    environment: Environment | None = None,
    environ: Mapping[str, str] = os.environ,
) -> int:
    """Run a fleet until a signal or `levi ctl shutdown`; returns the exit code, 0.

    With stuck engines the process ends itself with exit code 1, once all records are written.

    Args:
        config: The checked fleet.toml.
        log_format: Format of the terminal's log lines.
        live: Whether the operator gave `--live`.
        environment: Clocks, randomness, threads and network; None: the real ones.
        environ: Environment variables, read for systemd.

    Raises:
        LevitrioError: Another process runs the fleet or trades on its account, its records are
            damaged, its key cannot be used, an address of `[alerts]` is unknown, or only one of
            `--live` and `[broker] kind = "binance"` is there. Nothing was started.
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
        # Events from before there was a log: a damaged snapshot, a journal in trouble.
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
    """Open the watchdog's flight recorder for the length of a `with` block.

    Raises:
        LevitrioError: The file or the sentinel process cannot be made: a full disk, a limit.
    """
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
    """The strategies' saved state by symbol, from the newest sound snapshot.

    Raises:
        DamagedRecord: There are snapshots and none is sound.
    """
    snapshot = SnapshotStore(Directory(config.fleet.data_dir)).load()
    if snapshot is None:
        return {}
    for note in snapshot.notes:
        events.emit("snapshot_damaged", note)
    engines = structure(snapshot.payload).engines
    return {engine.symbol: engine.strategy_state for engine in engines}


def missing_journal(config: FleetConfig, states: Mapping[str, object]) -> str:
    """The error text when there is a snapshot and no journal; empty when nothing is missing.

    A fleet without its journal does not know its positions and would buy them again.
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
    """Open the journal, add the incident of `culprit`, and return journal and history.

    Args:
        config: Names the journal's file.
        events: Receives trouble and recovery of the journal.
        culprit: The engine that blocked and so ended the last process; None: there is none.
        wall_ms: The wall clock.

    Raises:
        DamagedRecord: The journal's file is damaged.
        JournalUnavailable: The file cannot be opened or written.
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
    """Run `obey_signals` and ignore Ctrl-C after it, so that a stopped fleet does not seem to fail.

    Closing the files afterwards takes milliseconds; if a disk hangs, SIGTERM still ends it. SIGINT
    is ignored only here, within trio's run: set earlier, it would lose a Ctrl-C during the start.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the signal receiver restores this at its end
    return await obey_signals(run)


async def obey_signals(run: FleetRun) -> int:
    """Run a fleet until it ends and handle its signals; returns the exit code.

    SIGTERM also arms an exit in C, because a blocked loop does not read signals here.
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
    tell, count = run.assembly.tell, 0
    async for number in signals:
        # The loop is not blocked, so the exit in C is not needed: every later wait has a deadline.
        disarm_exit()
        name = signal.Signals(number).name
        if number == signal.SIGHUP:
            await _reload(run)
            continue
        count += 1
        if count >= IMPATIENT:
            run.exit_hard(128 + number)
        tell("signal", f"{name}: stopping" + (", in a hurry" if count > 1 else "; again to hurry"))
        run.end(None)


async def _reload(run: FleetRun) -> None:
    """Handle SIGHUP: reload fleet.toml. Ignored during the shutdown; a bad file changes nothing."""
    if run.is_ending:
        return
    reloader = Reloader(assembly=run.assembly)
    try:
        config, changes = reloader.read()
        await reloader.apply(config, changes, "refuse")
    except ControlError as exc:
        run.assembly.tell("reload_refused", exc.message)
