"""Turns the supervisor's events into lines of the event log, order permissions and open inboxes."""

from collections.abc import Callable, Mapping

import attrs

from levitrio.app.engine_slot import EngineSlot
from levitrio.gateway.gateway import Gateway
from levitrio.records.logs.event_log import EventLog
from levitrio.supervision.events import (
    BreakerTripped,
    ChildCrashed,
    ChildStuck,
    GaveUp,
    RecordFailed,
    StateChanged,
    SupervisionEvent,
)
from levitrio.supervision.lifecycle import State
from levitrio.trading.risk import Permission

LEVELS = {
    "starting": "debug",
    "live": "critical",
    "root": "warning",
    "stopping": "debug",
    "crashed": "error",
    "failed": "error",
    "stuck": "error",
    "blocked": "error",
    "convicted": "error",
    "reload_refused": "error",
    "breaker": "error",
    "journal_missing": "error",
    "journal_trouble": "error",
    "snapshot_trouble": "error",
    "denied": "warning",
    "rejected": "warning",
    "trading_state": "warning",
    "broker_unauthorized": "error",
    "order_malformed": "error",
    "quarantine": "error",
    "broker_disconnected": "warning",
    "account_unread": "warning",
    "limits": "warning",
    "feed_disconnected": "warning",
    "feed_gap": "warning",
    "feed_refused": "warning",
    "feed_lost": "warning",
    "feed_restarted": "warning",
    "stale": "warning",
    "stood_still": "warning",
    "suspended": "warning",
    "filters_unknown": "warning",
    "flatten": "warning",
    "flatten_forgotten": "warning",
    "member_missing": "warning",
    "model_refused": "error",
    "worker_lost": "warning",
    "recording_refused": "warning",
    "snapshot_damaged": "error",
}
"""Log level by kind of event; others are info. The terminal does not show debug."""

_PERMISSIONS = {State.RUNNING: Permission.ALL, State.PAUSED: Permission.EXITS}

_CLOSED = frozenset({State.STOPPED, State.FAILED, State.STUCK})
"""States in which the inbox refuses events, because no engine will read them."""

_TOLD_ELSEWHERE = frozenset({State.CRASHED, State.FAILED, State.STUCK})
"""States whose own event says more than the change of state would."""


@attrs.define(eq=False, kw_only=True)
class SupervisionReporter:
    """Handles the supervisor's events. The supervisor calls it synchronously for each."""

    slots: Mapping[str, EngineSlot]
    gateway: Gateway
    events: EventLog
    changed: Callable[[], None]
    """Requests a snapshot: the registry has changed."""
    start_timeout: Callable[[], float]
    """`[health] start_timeout` in seconds."""
    starting: dict[str, float] = attrs.field(factory=dict)
    """Engines that are starting, with the seconds the watchdog lets them block the loop."""

    def __call__(self, event: SupervisionEvent) -> None:
        """Emit an event, adjust permission and inbox, and request a snapshot."""
        match event:
            case StateChanged():
                self._state_changed(event)
            case ChildCrashed(name=name, crash=crash, delay=delay):
                if delay is None:
                    then = "while stopping" if event.decision is None else "giving up"
                else:
                    then = "restarting at once" if delay == 0 else f"restarting in {delay:.1f} s"
                text = f"{crash.error[:300]} ({then})"
                self.events.emit("crashed", text, name, cause=crash.cause, delay=delay)
            case GaveUp(name=name, reason=reason):
                text = f"given up: {reason}; once it is mended: levi ctl reset {name}"
                self.events.emit("failed", text, name)
            case ChildStuck(name=name, grace=grace, place=place):
                where = f", it is at {place}" if place else ""
                self.events.emit("stuck", f"has not stopped within {grace:g} s{where}", name)
            case BreakerTripped(wave=wave, pause=pause):
                text = f"many engines crash together: restarts rest for {pause:.1f} s (wave {wave})"
                self.events.emit("breaker", text)
            case RecordFailed(name=name, error=error):
                self.events.emit("journal_trouble", f"give-up not journaled: {error}", name)
        self.changed()

    def _state_changed(self, event: StateChanged) -> None:
        state, slot = event.new, self.slots.get(event.name)
        if state is State.STARTING:
            self.starting[event.name] = self.start_timeout()
        else:
            self.starting.pop(event.name, None)
        if slot is not None:
            self.gateway.permit(event.name, _PERMISSIONS.get(state, Permission.NONE))
            if state in _CLOSED:
                slot.inbox.close()
            elif state is State.STARTING:
                slot.inbox.open()
        if state not in _TOLD_ELSEWHERE:
            data = {"incarnation": event.incarnation}
            self.events.emit(state.value, event.reason, event.name, **data)
