"""The venue's clock, as far as we know it. Pure.

A request carries a timestamp and a window: the venue drops it once its own clock is past both.
That is what makes "no such order" a proof after some time, so a timestamp of ours must never be
ahead of the venue's clock. It is counted from the monotonic clock: setting the wall clock of
this machine changes nothing here.
"""

import attrs

MEASURED_AGAIN_AFTER = 900.0
"""Seconds. Two clocks that are 100 ppm apart, which is bad, have drifted 90 ms by then."""

SAMPLES = 3
"""Questions at a time; that with the quickest answer counts."""


@attrs.frozen(kw_only=True)
class Sample:
    """One question for the time. Monotonic seconds."""

    sent: float
    received: float
    server_ms: int

    @property
    def trip(self) -> float:
        """Seconds between question and answer: how little we know about when it was read."""
        return self.received - self.sent


@attrs.define(eq=False)
class VenueClock:
    """Learns from samples; the newest measurement replaces the one before."""

    _offset_ms: float | None = None
    _trip: float = 0.0

    @property
    def is_known(self) -> bool:
        """Whether anything was measured yet."""
        return self._offset_ms is not None

    @property
    def uncertainty(self) -> float:
        """Seconds the venue's clock may be ahead of ours."""
        return self._trip

    def learn(self, samples: list[Sample]) -> None:
        """Believe the sample whose answer came back quickest."""
        best = min(samples, key=lambda sample: sample.trip)
        # The venue read its clock before we had the answer, so it is at least this far by now.
        self._offset_ms = best.server_ms - best.received * 1000
        self._trip = best.trip

    def now_ms(self, now: float) -> int:
        """The venue's time at `now` or a little earlier, ms since 1970. Asserts a measurement."""
        assert self._offset_ms is not None, "no request is signed before the time is known"
        return int(now * 1000 + self._offset_ms)


def is_plausible(server_ms: object) -> bool:
    """Whether this can be a server's time in ms: a number, in this century."""
    return isinstance(server_ms, int) and 946_684_800_000 < server_ms < 4_102_444_800_000
