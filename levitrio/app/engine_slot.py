"""Everything of one symbol that outlives its engines."""

from collections.abc import Callable
from typing import Any

import attrs

from levitrio.config.sections import EngineConfig
from levitrio.engine.engine import Engine
from levitrio.engine.inbox import Inbox
from levitrio.gateway.symbol_state import SymbolState
from levitrio.trading.clock import MarketClock
from levitrio.trading.market import MarketEvent
from levitrio.trading.market_view import MarketView


@attrs.define(eq=False, kw_only=True)
class EngineSlot:
    """Engines come and go on it; inbox, market view, desk and saved state stay."""

    config: EngineConfig
    inbox: Inbox
    market: MarketView
    symbol_state: SymbolState
    market_clock: MarketClock
    engine: Engine | None = None
    """The newest incarnation, alive or not."""
    restored_state: Any = None
    """What the strategy had saved in the last run of the fleet."""
    also: Callable[[MarketEvent], None] | None = None
    """Sees every event too: the paper broker, whose orders rest in this market."""

    def deliver(self, event: MarketEvent) -> None:
        """The way of a tick, once it is decoded: no await, no copy."""
        self.market_clock.see(event)
        self.market.see(event)
        if self.also is not None:
            self.also(event)
        self.inbox.put(event)

    @property
    def saved_state(self) -> Any:
        """What the next incarnation is to be given back."""
        return self.restored_state if self.engine is None else self.engine.saved_state
