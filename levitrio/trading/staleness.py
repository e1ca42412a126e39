"""How old may data be before it counts as stale: learnt from each stream's own cadence. Pure.

A pair that trades once a minute is not dead after thirty seconds of silence, one that trades
fifty times a second is. So each stream of a symbol has an expectation: the silence a random
moment falls into, on average (the sum of the squared gaps over the sum of the gaps, old gaps
fading with time). Bursts do not shorten it: a hundred trades in a second, then none for a
minute, is a cadence of a minute.

* A silence is usual up to `PATIENCE` times the expectation, never less than the floor
  (`[feed] stale_after`) nor more than `CEILING` floors.
* A gap teaches at most what was usual until then: an outage does not make the next one look
  usual, and a pair that really is quiet is believed after a few gaps.
* Time without a connection teaches nothing.
"""

import math
from collections.abc import Iterable

import attrs

PATIENCE = 5.0
"""Ten mean gaps of a steady random stream: one silence in twenty thousand is longer."""

CEILING = 20.0
"""Times the floor. A market silent for longer has no price to trade at, quiet or dead."""

MEMORY = 600.0
"""Seconds in which a gap loses two thirds of its weight."""

LITTLE = 0.1
"""Seconds: shorter gaps count as time without silence. The floor is a second or more."""


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
        return self.age > self.allowed


@attrs.define(eq=False)
class Cadence:
    """The rhythm of one stream, from receive times on a monotonic clock, in seconds."""

    floor: float
    """Silence that is always allowed, seconds."""
    received: float | None = None
    """When the last event came; None: nothing to wait for yet."""
    _interrupted: bool = False
    # Up to `_mark` every gap is in the sums; after it there were only little ones.
    _mark: float = 0.0
    _seconds: float = 0.0
    _squares: float = 0.0

    def hear(self, now: float) -> None:
        """An event came. Called for every message, so little gaps cost a comparison."""
        before = self.received
        if before is None or self._interrupted:
            self._interrupted = False
            self._mark = now
        elif now - before >= LITTLE:
            self._learn(before, now)
        self.received = now

    def interrupt(self) -> None:
        """The connection broke: the gap until the next event is not the market's."""
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
    """All streams of one symbol, and whether an alarm is on: one for each episode."""

    streams: dict[str, Cadence]
    since: float
    """When data was first expected, on the same monotonic clock."""
    is_stale: bool = attrs.field(default=False, init=False)

    @classmethod
    def over(cls, streams: Iterable[str], *, floor: float, now: float) -> "StalenessMonitor":
        """A watch over streams that were subscribed just now."""
        return cls({stream: Cadence(floor) for stream in streams}, now)

    def interrupt(self) -> None:
        """Their connection broke."""
        for cadence in self.streams.values():
            cadence.interrupt()

    @property
    def received(self) -> float | None:
        """When the newest event of any stream came; None before the first."""
        return max(
            (c.received for c in self.streams.values() if c.received is not None), default=None
        )

    def worst(self, now: float) -> Silence | None:
        """Of the streams that ever spoke, the one most overdue; None when none did."""
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
        """Look at the clock; returns what changed: an alarm that begins or ends, or None.

        `is_stale` says which. A symbol that never spoke is stale once the floor is over.
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
