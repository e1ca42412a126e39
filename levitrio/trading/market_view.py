"""What the fleet knows of each market right now: newest quote, last trade, volatility.

Written by the feed before an engine sees the event, read by the gateway and the status.
"""

from decimal import Decimal

import attrs

from levitrio.trading.market import Bar, MarketEvent, Quote, Trade
from levitrio.trading.order_book import OrderBook
from levitrio.trading.volatility import Volatility


@attrs.define(eq=False, kw_only=True)
class MarketView:
    """One symbol's market."""

    symbol: str
    quote: Quote | None = None
    trade: Trade | None = None
    depth: OrderBook | None = None
    """The local order book, where a depth stream is subscribed. Live or waiting."""
    volatility: Volatility = attrs.field(factory=Volatility)

    def see(self, event: MarketEvent) -> None:
        """Take in an event; constant time, called for every message of the feed."""
        if type(event) is Quote:
            self.quote = event
        elif type(event) is Trade:
            self.trade = event
        elif type(event) is Bar:
            self.volatility.see(event)

    @property
    def last_trade(self) -> Decimal | None:
        """Price of the newest trade, in the quote asset."""
        return None if self.trade is None else self.trade.price
