"""Builds the watchdog: which code it may interrupt, and the events and incidents it leads to."""

from collections.abc import Mapping
from pathlib import Path

import levitrio
from levitrio.config.sections import FleetConfig
from levitrio.records.journal.entries import Entry, FailedEntry, IncidentEntry
from levitrio.records.logs.event_log import EventLog
from levitrio.supervision.watchdog.alarm import BlockedStep, Watchdog
from levitrio.supervision.watchdog.code_ownership import CodeOwnership
from levitrio.supervision.watchdog.flight_recorder import Culprit, FlightRecorder


def make_code_ownership() -> CodeOwnership:
    """Tell strategy code, which may be interrupted, from levitrio's own, which never is."""
    package = Path(str(levitrio.__file__)).parent
    return CodeOwnership.around(
        package,
        lent=("strategies/", "trading/"),
        entry_points=("engine/", "app/", "supervision/"),
    )


def make_watchdog(
    config: FleetConfig,
    *,
    ownership: CodeOwnership,
    events: EventLog,
    starting: Mapping[str, float],
    flight_recorder: FlightRecorder,
) -> Watchdog:
    """The watchdog of a fleet.

    Args:
        config: The checked fleet.toml, with `[health]`.
        ownership: Tells strategy code from levitrio's own.
        events: Receives an event for each blocked step.
        starting: Seconds that engines which are starting may block the loop, by symbol.
        flight_recorder: Keeps who blocked the loop, in case the process ends.
    """

    def report(step: BlockedStep) -> None:
        file, line, function = step.place
        what = (
            "interrupted" if step.is_interrupted else "not interrupted, it is levitrio's own code"
        )
        text = f"the loop for {step.seconds:.1f} s at {file}:{line} in {function}: {what}"
        events.emit("blocked", text, step.engine, seconds=step.seconds)

    return Watchdog(
        ownership=ownership,
        on_blocked=report,
        blocked_after=config.health.blocked_after,
        patience=starting.get,
        flight_recorder=flight_recorder,
    )


def blocked_incident(culprit: Culprit, wall_ms: int) -> tuple[Entry, ...]:
    """Journal entries for the engine that blocked and ended the last process: it becomes failed."""
    reason = f"the last process ended because of it: {culprit}"
    return (
        IncidentEntry(
            symbol=culprit.engine,
            incarnation=0,
            cause="blocked",
            error=str(culprit)[:2_000],
            traceback=culprit.dump[: 32 * 1024],
            counts=False,
            delay=None,
            wall_ms=wall_ms,
        ),
        FailedEntry(symbol=culprit.engine, reason=reason[:2_000], wall_ms=wall_ms),
    )
