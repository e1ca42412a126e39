"""Holds restarts back when many children crash together, because the cause is then common.

Rules:

- More than a fifth of the children, and at least three, crashing within a minute is a wave.
  Three, because in a fleet of five two crashes may be a coincidence.
- Each wave raises one alarm and holds every automatic restart back for a pause. The first pause
  is too short to notice, because a single common failure should cost no engine its market. A
  cause that stays makes wave after wave, and the pause grows fivefold each time.
- A crash during the pause belongs to the wave that is known already.
- After `calm_after` seconds without a wave the next one is the first again.
"""

from collections import deque

import attrs


@attrs.frozen(kw_only=True)
class BreakerPolicy:
    """When crashes are a wave, and how long restarts are then held back."""

    share: float = 0.2
    """A wave is more than this fraction of the children."""
    at_least: int = 3
    """A wave is never fewer children than this."""
    window: float = 60.0
    """Seconds within which the children of a wave crash."""
    pause_base: float = 0.05
    """Seconds for which restarts are held back after the first wave."""
    pause_factor: float = 5.0
    """Each further pause is this many times as long."""
    pause_max: float = 300.0
    """Seconds; no pause is longer."""
    calm_after: float = 600.0
    """Seconds without a wave after which the next pause is `pause_base` again."""


@attrs.define(eq=False)
class Breaker:
    """Counts the children that crashed lately, in constant time per crash."""

    policy: BreakerPolicy = attrs.field(factory=BreakerPolicy)
    held_until: float = float("-inf")
    """Monotonic seconds; no automatic restart before it."""
    wave: int = 0
    """Number of the last wave in this series, from 1; 0 before any."""
    _crashes: deque[tuple[float, str]] = attrs.field(factory=deque)
    _names: dict[str, int] = attrs.field(factory=dict)

    def crashed(self, name: str, *, now: float, children: int) -> float | None:
        """Count a crash; return the pause in seconds if it completed a wave, else None."""
        if now < self.held_until:
            return None
        self._forget(now - self.policy.window)
        self._crashes.append((now, name))
        self._names[name] = self._names.get(name, 0) + 1
        count = len(self._names)
        if count < self.policy.at_least or count <= self.policy.share * children:
            return None
        self._crashes.clear()
        self._names.clear()
        if now >= self.held_until + self.policy.calm_after:
            self.wave = 0
        self.wave += 1
        # After 20 waves any cap worth setting is reached; a higher power could overflow.
        growth = self.policy.pause_factor ** min(self.wave - 1, 20)
        pause = min(self.policy.pause_max, self.policy.pause_base * growth)
        self.held_until = max(self.held_until, now + pause)
        return pause

    def _forget(self, before: float) -> None:
        while self._crashes and self._crashes[0][0] < before:
            _, name = self._crashes.popleft()
            if self._names[name] == 1:
                del self._names[name]
            else:
                self._names[name] -= 1
