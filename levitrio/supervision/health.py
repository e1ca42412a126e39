"""Health checks of living children: a child over a limit is ended and counted as crashed."""

import math
from collections.abc import Callable, Mapping

import attrs
import trio

from levitrio.supervision.child import Child
from levitrio.supervision.crash import Crash
from levitrio.supervision.lifecycle import State

HealthProblem = Callable[[str, float], str | None]
"""Called with a child's name and uptime in seconds; describes any other problem, or returns None.

Must neither block nor raise.
"""

_BATCH = 16
"""Children checked between two checkpoints; one takes 20 us, with its `HealthProblem`."""


@attrs.frozen(kw_only=True)
class HealthLimits:
    """Limits that a living child may not exceed."""

    heartbeat_timeout: float = 60.0
    """Seconds without a heartbeat, running or paused."""
    max_errors: int = 10
    """Consecutive absorbed errors; one more is a crash."""
    start_timeout: float = 10.0
    """Seconds from the launch until it calls `started()`."""

    @property
    def period(self) -> float:
        """Seconds between two checks: a tenth of the shortest limit, at most one second."""
        return max(0.01, min(1.0, self.heartbeat_timeout / 10, self.start_timeout / 10))


def no_health_problem(_name: str, _uptime: float) -> None:
    """A `HealthProblem` that never reports one."""


def diagnose(
    child: Child,
    limits: HealthLimits,
    health_problem: HealthProblem,
    *,
    now: float,
    awake_since: float,
) -> Crash | None:
    """Check a living child against its limits; return the crash to count, or None.

    Args:
        child: the child to check.
        limits: heartbeat age, absorbed errors and start time that are allowed.
        health_problem: asked last, for any other problem.
        now: `trio.current_time()`.
        awake_since: no age counts from before this moment. When the check itself came late, the
            machine was busy or asleep, and the child could not have been in time either.
    """
    if child.state is State.STARTING:
        if child.containment is None:
            return None
        age = now - max(child.launched_at, awake_since)
        if age > limits.start_timeout:
            return Crash(
                kind="StartTimeout",
                text=f"not running after {age:.1f} s, limit {limits.start_timeout:g} s",
                cause="start_timeout",
            )
        return None
    runnable = child.runnable
    if runnable is None or not child.is_up:
        return None
    since = -math.inf if child.running_since is None else child.running_since
    age = now - max(runnable.heartbeat, since, awake_since)
    if age > limits.heartbeat_timeout:
        return Crash(
            kind="HeartbeatLost",
            text=f"no sign of life for {age:.1f} s, limit {limits.heartbeat_timeout:g} s",
            cause="heartbeat",
        )
    if runnable.error_count > limits.max_errors:
        return Crash(
            kind="TooManyErrors",
            text=f"{runnable.error_count} errors in a row, limit {limits.max_errors}",
            cause="errors",
        )
    if (
        now >= max(since, awake_since)
        and (problem := health_problem(child.name, child.uptime)) is not None
    ):
        return Crash(kind="Stale", text=problem[:2_000], cause="stale")
    return None


async def watch_health(
    children: Mapping[str, Child],
    limits: Callable[[], HealthLimits],
    health_problem: HealthProblem,
    end_unhealthy: Callable[[Child, Crash], None],
) -> None:
    """Check all children once per period, until cancelled.

    Args:
        children: the children by name, read anew at each check.
        limits: called at each check, because a reload may change them.
        health_problem: any other problem of a child.
        end_unhealthy: called with a child over a limit and the crash to count.
    """
    awake_since = due = trio.current_time()
    while True:
        period = limits().period
        # From the last deadline, not from now, so that checks do not drift.
        due += period
        await trio.sleep_until(due)
        now = trio.current_time()
        if now - due > period:
            awake_since = due = now
        for number, child in enumerate(tuple(children.values()), start=1):
            crash = diagnose(child, limits(), health_problem, now=now, awake_since=awake_since)
            if crash is not None:
                end_unhealthy(child, crash)
            if number % _BATCH == 0:
                await trio.lowlevel.checkpoint()
