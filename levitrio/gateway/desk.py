"""One symbol at the gateway: what it holds, what it may do, what it waits to do."""

from collections import Counter
from collections.abc import Callable

import attrs

from levitrio.strategies.base import Signal
from levitrio.trading.book import Book
from levitrio.trading.filters import SymbolRules
from levitrio.trading.market_view import MarketView
from levitrio.trading.orders import Fill, Order
from levitrio.trading.risk import Permission


@attrs.define(eq=False, kw_only=True)
class Desk:
    """Lives as long as its symbol is in the fleet; engines come and go in front of it."""

    symbol: str
    book: Book
    market: MarketView
    rules: SymbolRules = attrs.field(factory=SymbolRules)
    signals_only: bool = False
    """Everything but the orders."""
    permission: Permission = Permission.NONE
    incarnation: int = 0
    """The engine whose signals count."""
    on_fill: Callable[[Fill], None] | None = None
    """Of the incarnation that runs; None while none does."""
    target: Signal | None = None
    """Waits while an order is under way; only the newest is kept."""
    flatten: bool = False
    """The operator wants out, whatever the engine says."""
    under_way: Order | None = None
    """Journaled or about to be, its end not yet in the book."""
    last_order_at: float | None = None
    """On trio's clock."""
    denials: Counter[str] = attrs.field(factory=Counter)
    """By reason, since the fleet started."""
    refused: int = 0
    """Consecutive orders the venue refused: errors the engine absorbs."""
    busy: bool = False
    """A task of the gateway works on this symbol."""
    _last_denial: str = ""

    def count_denial(self, reason: str) -> bool:
        """Returns whether it is news: the same denial again is counted, not told again."""
        self.denials[reason] += 1
        is_news = reason != self._last_denial
        self._last_denial = reason
        return is_news

    def forget_denial(self) -> None:
        """An order went through: the next denial is news again."""
        self._last_denial = ""

    @property
    def holds(self) -> bool:
        """It has a position, or an order under way that may give it one."""
        return not self.book.is_flat or self.under_way is not None

    def is_settled(self) -> bool:
        """The waiting target is what the book holds already, and nothing else is asked."""
        if self.flatten or self.target is None:
            return False
        position = self.book.position
        side = self.target.side
        return (side == "long" and position > 0) or (side == "flat" and position == 0)
