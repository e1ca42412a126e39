"""The feed's check of each second: stale symbols, ended suspensions, a process that stood still."""

from collections.abc import Callable, Mapping, Sequence

import attrs
import trio

from levitrio.venues.binance.market_data.counters import FeedCounters
from levitrio.venues.binance.market_data.feed_connection import FeedConnection
from levitrio.venues.binance.market_data.subscription import Subscription

MAX_AHEAD_MS = 3_600_000
"""An event time further than this ahead of the wall clock is refused; clocks differ by seconds."""
LOOK_INTERVAL = 1.0
"""Seconds between two looks at the clock."""
SLICE = 16
"""Subscriptions looked at between two checkpoints: 10 us each, and there may be a thousand."""
STOOD_STILL = 10.0
"""Seconds a look may be late. Later, the process was stopped: what waits in the sockets is old,
and would be taken for the market of now."""


@attrs.define(eq=False, kw_only=True)
class FeedMonitor:
    """Looks after lanes and subscriptions, which belong to the feed and change."""

    feed_connections: Sequence[FeedConnection]
    subscriptions: Mapping[str, Subscription]
    counters: FeedCounters
    wall_clock: Callable[[], float] | None
    """Seconds since 1970; None: event times are not judged."""
    is_resting: Callable[[], bool]
    """Whether nothing is to be expected."""

    async def run(self) -> None:
        """Look, again and again, until cancelled."""
        due = trio.current_time()
        while True:
            now = trio.current_time()
            if now - due > STOOD_STILL:
                for connection in self.feed_connections:
                    connection.reconnect(f"this process stood still for {now - due:.0f} s")
            for connection in self.feed_connections:
                self.set_clock(connection)
            for number, subscription in enumerate(tuple(self.subscriptions.values()), start=1):
                if not subscription.is_removed:  # it may have been meanwhile
                    self._look_at(subscription, now)
                if number % SLICE == 0:
                    await trio.lowlevel.checkpoint()
            # Not a burst of missed looks, when some were missed.
            due = max(due, now) + LOOK_INTERVAL
            await trio.sleep_until(due)

    def set_clock(self, connection: FeedConnection) -> None:
        """Set which event times lie too far ahead on a connection."""
        if self.wall_clock is not None:
            connection.refuse_after(round(self.wall_clock() * 1000) + MAX_AHEAD_MS)

    def _look_at(self, subscription: Subscription, now: float) -> None:
        symbol, suspension = subscription.symbol, subscription.suspension
        if suspension.is_suspended:
            if suspension.resume(now):
                self.counters.tell("resumed", f"{symbol}: its input is believed again", symbol)
            elif suspension.ask_again(now):
                subscription.resync()
        if self.is_resting():
            return
        changed = subscription.watch.check(now)
        if changed is None:
            return
        if subscription.watch.is_stale:
            text = (
                f"{symbol}: no data of {changed.stream} for {changed.age:.0f} s,"
                f" usual are up to {changed.allowed:.0f} s"
            )
            self.counters.tell("stale", text, symbol)
        else:
            self.counters.tell("fresh", f"{symbol}: data comes again", symbol)
