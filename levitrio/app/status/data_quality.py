"""Whether a symbol's market data is fresh, stale or suspended, and which engine receives none."""

from collections.abc import Callable, Collection

import attrs
import trio

from levitrio.trading.risk import DataState
from levitrio.venues.binance.market_data.feed import BinanceFeed
from levitrio.venues.binance.market_data.statistics import InputState

PATIENCE = 10.0
"""Silence is a crash only after this many times the allowed age: a restart rarely cures it."""


@attrs.define(eq=False, kw_only=True)
class DataQuality:
    """Reads the age and state of market data off the feed; keeps nothing itself."""

    feed: Callable[[], BinanceFeed | None]
    """The feed; None until the venue's address is known."""
    symbols: Collection[str]
    """The symbols that have an engine; a live view."""
    stale_after: float
    """Minimum of the seconds without data after which a symbol is stale."""
    is_tape_over: Callable[[], bool]
    """Whether a tape has ended: silence is no health problem then."""

    def age(self, symbol: str) -> float | None:
        """Seconds since the symbol's newest data; None before the first, and after a tape's end."""
        feed = self.feed()
        if feed is None or self.is_tape_over():
            return None
        received = feed.last_received(symbol)
        return None if received is None else max(0.0, trio.current_time() - received)

    def input_state(self, symbol: str) -> InputState | None:
        """Counts of a symbol's refused input, its silence and suspension; None without a feed."""
        feed = self.feed()
        return None if feed is None else feed.input_state(symbol)

    def state(self, symbol: str) -> DataState:
        """Age, allowed age and suspension of a symbol's data, as risk checks them."""
        state = self.input_state(symbol)
        if state is None or state.silence is None:
            return DataState(age=None, is_suspended=state is not None and state.is_suspended)
        silence = state.silence
        return DataState(age=silence.age, allowed=silence.allowed, is_suspended=state.is_suspended)

    def health_problem(self, symbol: str, uptime: float) -> str | None:
        """Health problem: the engine receives no market data while other symbols do.

        None while less than half of the others have fresh data, because restarting an engine does
        not cure the feed, and until `PATIENCE` times the allowed age has passed since the engine
        started, `uptime` seconds ago.
        """
        if self.feed() is None or self.is_tape_over():
            return None
        state = self.state(symbol)
        allowed = PATIENCE * max(self.stale_after, state.allowed)
        if uptime <= allowed or state.age is None or state.age <= allowed:
            return None
        others = [self.age(other) for other in self.symbols if other != symbol]
        fresh = sum(age is not None and age <= self.stale_after for age in others)
        if fresh * 2 < len(others) or not others:
            return None
        return (
            f"no data for {state.age:.0f} s while other symbols have some, allowed {allowed:.0f} s"
        )
