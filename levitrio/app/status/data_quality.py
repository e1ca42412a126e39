"""How far each symbol's market data can be trusted, and which engine is ill for lack of it."""

from collections.abc import Callable, Collection

import attrs
import trio

from levitrio.trading.risk import DataState
from levitrio.venues.binance.market_data.feed import BinanceFeed
from levitrio.venues.binance.market_data.statistics import InputState

PATIENCE = 10.0
"""Times the usual wait before silence is a crash: a restart cures less here than elsewhere."""


@attrs.define(eq=False, kw_only=True)
class DataQuality:
    """Asks the feed, which is known late; keeps nothing."""

    feed: Callable[[], BinanceFeed | None]
    symbols: Collection[str]
    """All that have an engine; a live view."""
    stale_after: float
    """Seconds without data after which a symbol is stale, at least."""
    is_tape_over: Callable[[], bool]
    """Then silence is no fault of anybody's."""

    def age(self, symbol: str) -> float | None:
        """Seconds since the symbol's newest data; None before the first, and after a tape's end."""
        feed = self.feed()
        if feed is None or self.is_tape_over():
            return None
        received = feed.last_received(symbol)
        return None if received is None else max(0.0, trio.current_time() - received)

    def input_state(self, symbol: str) -> InputState | None:
        """What became of a symbol's input; None before there is a feed."""
        feed = self.feed()
        return None if feed is None else feed.input_state(symbol)

    def state(self, symbol: str) -> DataState:
        """How far the symbol's data can be trusted now."""
        state = self.input_state(symbol)
        if state is None or state.silence is None:
            return DataState(age=None, is_suspended=state is not None and state.is_suspended)
        silence = state.silence
        return DataState(age=silence.age, allowed=silence.allowed, is_suspended=state.is_suspended)

    def health_problem(self, symbol: str, uptime: float) -> str | None:
        """Health problem: the engine receives no market data while other symbols do.

        Only while the rest of the fleet has data, because a restart cures no feed; and only after
        `PATIENCE`, counted from the engine's start, which was `uptime` seconds ago.
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
            f"no data for {state.age:.0f} s while the others have theirs, allowed {allowed:.0f} s"
        )
