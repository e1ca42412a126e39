"""The newest state of one symbol's market: quote, last trade, order book, volatility.

The feed writes it before an engine sees the event; the gateway and the status read it.
"""

from decimal import Decimal

import attrs

from levitrio.trading.market import Bar, MarketEvent, Quote, Trade
from levitrio.trading.order_book import OrderBook
from levitrio.trading.volatility import Volatility


@attrs.define(eq=False, kw_only=True)
class MarketView:
    """The newest state of one symbol's market."""

    symbol: str
    quote: Quote | None = None
    trade: Trade | None = None
    depth: OrderBook | None = None
    """The local order book, live or waiting; None unless a depth stream is subscribed."""
    volatility: Volatility = attrs.field(factory=Volatility)

    def see(self, event: MarketEvent) -> None:
        """Take an event; constant time, called for every message of the feed."""
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
