"""What a market order gets: the touch, made worse by slippage.

One core for the paper broker and for replay, so that they cannot disagree.
"""

from decimal import Decimal

from levitrio.trading.market import Quote
from levitrio.trading.orders import Side

ONE = Decimal(1)


def touch_price(side: Side, quote: Quote, slippage: Decimal) -> Decimal:
    """Buys pay ask x (1 + slippage), sells get bid x (1 - slippage) (contracts.md, "Numbers")."""
    if side is Side.BUY:
        return quote.ask * (ONE + slippage)
    return quote.bid * (ONE - slippage)
