"""What a symbol keeps from one incarnation of its engine to the next."""

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
    """One symbol's inbox, market view, symbol state and saved state, for all incarnations."""

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
    """Receives every market event too: the paper broker, which fills resting orders from it."""

    def deliver(self, event: MarketEvent) -> None:
        """Pass a decoded market event to clock, market view and inbox: no await, no copy."""
        self.market_clock.see(event)
        self.market.see(event)
        if self.also is not None:
            self.also(event)
        self.inbox.put(event)

    @property
    def saved_state(self) -> Any:
        """The saved state that the next incarnation restores."""
        return self.restored_state if self.engine is None else self.engine.saved_state
