"""Decides when market data is stale, from each stream's own cadence. Pure.

A pair that trades once a minute is not dead after thirty seconds of silence, one that trades
fifty times a second is. So each stream of a symbol has an expectation: the average gap that a
random moment falls into (the sum of the squared gaps over the sum of the gaps, with older gaps
weighing less). Bursts do not shorten it: a hundred trades in a second, then none for a minute, is
a cadence of a minute.

* A silence is usual up to `PATIENCE` times the expectation, never less than the floor
  (`[feed] stale_after`) nor more than `CEILING` floors.
* A gap counts for at most what was usual until then: an outage does not make the next one look
  usual, and a pair that really is quiet is accepted after a few gaps.
* Time without a connection does not count.
"""

import math
from collections.abc import Iterable

import attrs

PATIENCE = 5.0
"""Ten mean gaps of a Poisson stream: one gap in twenty thousand is longer."""

CEILING = 20.0
"""Multiple of the floor. A market silent for longer has no price to trade at, quiet or dead."""

MEMORY = 600.0
"""Seconds in which a gap's weight falls to 1/e."""

LITTLE = 0.1
"""Shorter gaps, in seconds, count as time without silence. The floor is a second or more."""


@attrs.frozen(kw_only=True)
class Silence:
    """How long a stream has been silent, and how long would be usual."""

    stream: str
    age: float
    """Seconds since the last sound event."""
    allowed: float
    """Seconds of silence that are usual."""

    @property
    def is_stale(self) -> bool:
        """Whether the silence is longer than usual."""
        return self.age > self.allowed


@attrs.define(eq=False)
class Cadence:
    """Usual gap of one stream, from receive times on a monotonic clock, in seconds."""

    floor: float
    """Seconds of silence that are always allowed."""
    received: float | None = None
    """When the last event arrived; None before the first."""
    _interrupted: bool = False
    """The connection broke: the next gap does not count."""
    _mark: float = 0.0
    """Up to here every gap is in the sums; later gaps were all shorter than `LITTLE`."""
    _seconds: float = 0.0
    _squares: float = 0.0

    def hear(self, now: float) -> None:
        """Note an event; called for every message, so short gaps cost only a comparison."""
        before = self.received
        if before is None or self._interrupted:
            self._interrupted = False
            self._mark = now
        elif now - before >= LITTLE:
            self._learn(before, now)
        self.received = now

    def interrupt(self) -> None:
        """Leave out the gap until the next event, because the connection broke."""
        self._interrupted = True

    @property
    def allowed(self) -> float:
        """Seconds of silence that are usual."""
        if self._squares == 0.0 or self.received is None:
            return self.floor
        busy = self.received - self._mark
        fade = math.exp(-busy / MEMORY)
        usual = PATIENCE * self._squares * fade / (self._seconds * fade + busy)
        return min(max(self.floor, usual), CEILING * self.floor)

    def _learn(self, before: float, now: float) -> None:
        gap = min(now - before, self.allowed)
        busy = before - self._mark
        fade = math.exp(-(busy + gap) / MEMORY)
        self._seconds = self._seconds * fade + busy + gap
        self._squares = self._squares * fade + gap * gap
        self._mark = now


@attrs.define(eq=False)
class StalenessMonitor:
    """Watches all streams of one symbol; one alarm for each episode of silence."""

    streams: dict[str, Cadence]
    since: float
    """When data was first expected, on the same monotonic clock."""
    is_stale: bool = attrs.field(default=False, init=False)
    """Whether an alarm is on."""

    @classmethod
    def over(cls, streams: Iterable[str], *, floor: float, now: float) -> "StalenessMonitor":
        """Watch streams that were subscribed at `now`."""
        return cls({stream: Cadence(floor) for stream in streams}, now)

    def interrupt(self) -> None:
        """Leave out the current gap of every stream, because their connection broke."""
        for cadence in self.streams.values():
            cadence.interrupt()

    @property
    def received(self) -> float | None:
        """When the newest event of any stream arrived; None before the first."""
        return max(
            (c.received for c in self.streams.values() if c.received is not None), default=None
        )

    def worst(self, now: float) -> Silence | None:
        """Silence of the most overdue stream; None before the first event of any."""
        worst: Silence | None = None
        ratio = -1.0
        for stream, cadence in self.streams.items():
            if cadence.received is None:
                continue
            age, allowed = max(0.0, now - cadence.received), cadence.allowed
            if age / allowed > ratio:
                ratio = age / allowed
                worst = Silence(stream=stream, age=age, allowed=allowed)
        return worst

    def check(self, now: float) -> Silence | None:
        """Return the silence when an alarm begins or ends at `now`, else None.

        `is_stale` says which. A symbol without any event is stale once the floor is over.
        """
        silence = self.worst(now) or Silence(
            stream="any stream",
            age=now - self.since,
            allowed=min((c.floor for c in self.streams.values()), default=float("inf")),
        )
        if silence.is_stale == self.is_stale:
            return None
        self.is_stale = silence.is_stale
        return silence
