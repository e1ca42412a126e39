"""The market clock: the time of the market, which rolls days and paces cycles.

Live it is the wall clock. On the simulator and in replay it is the tape's time, taken from the
events, so that the same tape gives the same decisions on any machine.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import attrs

from levitrio.trading.market import Bar, MarketEvent, Trade


def event_time_ms(event: MarketEvent) -> int:
    """The venue's time of an event, ms since 1970; 0 for a quote, which carries none."""
    if type(event) is Trade:
        return event.time_ms
    if type(event) is Bar:
        return event.close_time_ms
    return 0


def utc_day(time_ms: int) -> str:
    """The UTC day of a time in ms since 1970, as `YYYY-MM-DD`."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")


class MarketClock(Protocol):
    """Market time. The feed calls `see` for each event, engines call `at`, all read `now_ms`."""

    speed: float
    """Market seconds per real second, an upper bound."""

    def now_ms(self) -> int:
        """Market time, ms since 1970; 0 while unknown. Never runs backwards."""

    def at(self, event: MarketEvent) -> int:
        """Market time at the moment a consumer handles `event`; 0 while unknown."""

    def see(self, event: MarketEvent) -> None:
        """Take the time of an event that arrived from the venue."""


@attrs.define(eq=False)
class TapeClock:
    """The newest event's time: for the simulator and replay."""

    speed: float = 1.0
    _now_ms: int = 0

    def now_ms(self) -> int:
        """The newest event's time, ms since 1970; 0 before the first."""
        return self._now_ms

    def at(self, event: MarketEvent) -> int:
        """The event's own time, ms since 1970; 0 for a quote."""
        return event_time_ms(event)

    def see(self, event: MarketEvent) -> None:
        """Advance to the event's time; an older event changes nothing."""
        # Most events are trades; calling `event_time_ms` would double the cost of this method.
        time_ms = event.time_ms if type(event) is Trade else event_time_ms(event)
        if time_ms > self._now_ms:
            self._now_ms = time_ms


@attrs.define(eq=False)
class LiveClock:
    """The wall clock; it stands still while the machine's clock is set back."""

    wall_clock: Callable[[], float]
    """Seconds since 1970."""
    speed: float = 1.0
    _latest_ms: int = 0

    def now_ms(self) -> int:
        """The wall clock's time, ms since 1970, or the latest time it showed before."""
        self._latest_ms = max(self._latest_ms, int(self.wall_clock() * 1000))
        return self._latest_ms

    def at(self, event: MarketEvent) -> int:
        """The time now: an event is handled when it is handled."""
        return self.now_ms()

    def see(self, event: MarketEvent) -> None:
        """Do nothing: live time passes without events."""
