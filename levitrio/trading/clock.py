"""The market clock: the time of the market, which rolls days and paces cycles.

Live it is the wall clock. On the simulator and in replay it is the tape's time, known from the
events themselves, so that the same tape gives the same decisions whatever the machine does.
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
    """The UTC day, as `YYYY-MM-DD`."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")


class MarketClock(Protocol):
    """What time it is on the market."""

    speed: float
    """Market seconds per real second, an upper bound."""

    def now_ms(self) -> int:
        """Market time, ms since 1970; 0 while unknown. Never runs backwards."""

    def at(self, event: MarketEvent) -> int:
        """Market time at the moment a consumer handles `event`; 0 while unknown."""

    def see(self, event: MarketEvent) -> None:
        """An event arrived from the venue."""


@attrs.define(eq=False)
class TapeClock:
    """Time as told by the newest event: simulator and replay."""

    speed: float = 1.0
    _now_ms: int = 0

    def now_ms(self) -> int:
        return self._now_ms

    def at(self, event: MarketEvent) -> int:
        return event_time_ms(event)

    def see(self, event: MarketEvent) -> None:
        # Mostly a trade; the call would cost as much as all the rest.
        time_ms = event.time_ms if type(event) is Trade else event_time_ms(event)
        if time_ms > self._now_ms:
            self._now_ms = time_ms


@attrs.define(eq=False)
class LiveClock:
    """The wall clock, held back when somebody sets it backwards."""

    wall_clock: Callable[[], float]
    """Seconds since 1970."""
    speed: float = 1.0
    _latest_ms: int = 0

    def now_ms(self) -> int:
        self._latest_ms = max(self._latest_ms, int(self.wall_clock() * 1000))
        return self._latest_ms

    def at(self, event: MarketEvent) -> int:
        return self.now_ms()

    def see(self, event: MarketEvent) -> None:
        """Live time passes by itself."""
