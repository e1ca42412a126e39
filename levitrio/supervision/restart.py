"""Restart policy: restart at once, restart with exponential backoff, or give up. Pure.

`now` and `chance` are arguments; times are seconds on a monotonic clock. The first restart after
a stable run is immediate, because most crashes never repeat and a position should not go
unwatched for a second; then the delay grows, because a crash that repeats at once will repeat
again. The cap is applied before the jitter, and the jitter only shortens: no delay exceeds the
cap, and delays that reached it still differ.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable

import attrs


def _between(
    low: float, high: float = math.inf
) -> "Callable[[object, attrs.Attribute[float], float], None]":
    def check(_: object, attribute: "attrs.Attribute[float]", value: float) -> None:
        if not math.isfinite(value) or not low <= value <= high:
            wanted = f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"
            raise ValueError(f"{attribute.name}: expected {wanted}, got {value!r}")

    return check


@attrs.frozen(kw_only=True)
class Restart:
    """Decision after a crash: launch a new incarnation."""

    delay: float
    """Seconds from the crash; 0 means at once."""


@attrs.frozen(kw_only=True)
class GiveUp:
    """Decision after a crash: no restart is left; the child is failed until it is reset."""

    reason: str


Decision = Restart | GiveUp

_AT_ONCE = Restart(delay=0.0)


@attrs.frozen(kw_only=True)
class RestartPolicy:
    """Limits and delays of automatic restarts. Frozen, so all children can share it."""

    max_restarts: int = attrs.field(default=5, validator=attrs.validators.ge(0))
    """Automatic restarts within any `window`; the child is given up at the next crash."""
    window: float = attrs.field(default=3600.0, validator=_between(0))
    """Seconds in which `max_restarts` are counted."""
    backoff_base: float = attrs.field(default=1.0, validator=_between(0))
    """Seconds before the second restart in a row."""
    backoff_factor: float = attrs.field(default=2.0, validator=_between(1))
    """Each further delay is this many times as long."""
    backoff_max: float = attrs.field(default=60.0, validator=_between(0))
    """Seconds; no delay is longer."""
    jitter: float = attrs.field(default=0.2, validator=_between(0, 1))
    """The largest fraction by which a random number shortens a delay."""
    stable_after: float = attrs.field(default=600.0, validator=_between(0))
    """Seconds of running after which a crash is the first of a new streak."""

    def backoff(self, attempt: int, chance: float) -> float:
        """Seconds to wait before attempt number `attempt`, counted from 1.

        `chance` is a random number in [0, 1). Works for every attempt number, also where
        `backoff_factor ** attempt` overflows a float.

        Raises:
            ValueError: `attempt` is below 1.
        """
        if attempt < 1:
            raise ValueError(f"attempt: expected 1 or more, got {attempt}")
        try:
            delay = min(self.backoff_max, self.backoff_base * self.backoff_factor ** (attempt - 1))
        except OverflowError:
            delay = self.backoff_max if self.backoff_base else 0.0
        return delay * (1.0 - self.jitter * chance)

    def decide(self, *, restarts: int, streak: int, chance: float) -> Decision:
        """Decide what follows a crash after `restarts` automatic restarts in the window.

        `streak` counts the crashes since the last stable run, this one included. `chance` is a
        random number in [0, 1).
        """
        if restarts >= self.max_restarts:
            return GiveUp(
                reason=f"{restarts} restarts within {self.window:g} s, at most {self.max_restarts}"
            )
        if streak <= 1:
            return _AT_ONCE
        return Restart(delay=self.backoff(streak - 1, chance))


@attrs.define(eq=False)
class CrashLog:
    """Times of one child's automatic restarts that still count against `max_restarts`.

    An entry is first the time of the crash and then the time of the restart that followed it, so
    that at most `max_restarts` restarts lie within *any* window, whatever the delays. Bounded by
    the policy: nothing is added once it gives up, and entries older than the window are dropped.
    """

    times: deque[float] = attrs.field(factory=deque)
    """Monotonic seconds, oldest first."""
    streak: int = 0
    """Crashes since the last stable run."""

    def restarts(self, policy: RestartPolicy, now: float) -> int:
        """Count the automatic restarts within the window that ends now; drop older entries."""
        while self.times and self.times[0] <= now - policy.window:
            self.times.popleft()
        return len(self.times)

    def crashed(self, policy: RestartPolicy, *, now: float, ran: float, chance: float) -> Decision:
        """Count a crash and decide what follows it.

        Args:
            policy: the limits and delays.
            now: monotonic seconds.
            ran: seconds for which the incarnation was running; 0 when it never was.
            chance: a random number in [0, 1).
        """
        self.streak = 1 if ran >= policy.stable_after else self.streak + 1
        decision = policy.decide(
            restarts=self.restarts(policy, now), streak=self.streak, chance=chance
        )
        if isinstance(decision, Restart):
            self.times.append(now)
        return decision

    def restarted(self, now: float) -> None:
        """Set the newest entry to the time of the restart, which happens now."""
        if self.times:
            self.times[-1] = now

    def clear(self) -> None:
        """Forget everything, as an operator's reset does."""
        self.times.clear()
        self.streak = 0

    @classmethod
    def from_ages(cls, ages: Iterable[float], *, now: float, policy: RestartPolicy) -> "CrashLog":
        """Make a log from ages in seconds, in any order; a negative age counts as now.

        The streak is estimated from the ages: entries with less than `stable_after` between
        them, and between the newest and now, belong to one streak.
        """
        # One more than `max_restarts`: more entries could never change a decision.
        kept = sorted(max(0.0, age) for age in ages)[: policy.max_restarts + 1]
        log = cls(times=deque(now - age for age in reversed(kept)))
        previous = 0.0
        for age in kept:
            if age - previous >= policy.stable_after:
                break
            log.streak += 1
            previous = age
        log.restarts(policy, now)
        return log
