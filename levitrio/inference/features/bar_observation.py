"""Observations of closed bars: the candle, order flow and spread. Pure.

Trades of the next bar may arrive before the bar's own closing message, so they are counted by
their own time and not by their arrival.
"""

import attrs
import msgspec

from levitrio.trading.market import Bar, Quote, Trade

FLOW_COVERAGE = 0.95
"""Share of a bar's trades that must have been seen. With less the order flow is not known: the
engine started in the middle of the bar, or its inbox dropped some. Not 1, because the last trades
of a bar may come a moment after its closing message."""

_OPEN_BARS = 3
"""The closing bar, the new one, and one for a late message."""


class Observation(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One closed bar, in floats."""

    open_ms: int
    """Start of the bar, ms since 1970."""
    open: float
    high: float
    low: float
    close: float
    """In the quote asset, as the three before."""
    volume: float
    """In the base asset."""
    imbalance: float | None = None
    """Takers' purchases less their sales over both, -1 to 1; None while unknown."""
    spread: float | None = None
    """Ask less bid over their middle at the end of the bar; None while unknown."""


class _Flow(msgspec.Struct, gc=False):
    bought: float = 0.0
    sold: float = 0.0
    trades: int = 0


@attrs.define(eq=False, kw_only=True)
class BarObserver:
    """Gathers trades and quotes of one symbol into observations of its bars."""

    interval_ms: int
    _flows: dict[int, _Flow] = attrs.field(factory=dict, init=False)
    _quote: Quote | None = None

    def see_trade(self, trade: Trade) -> None:
        """Count a trade to its bar; constant time."""
        start = trade.time_ms - trade.time_ms % self.interval_ms
        flow = self._flows.get(start)
        if flow is None:
            flow = self._flows[start] = _Flow()
            if len(self._flows) > _OPEN_BARS:
                del self._flows[min(self._flows)]
        flow.trades += 1
        if trade.buyer_is_maker:
            flow.sold += float(trade.raw_quantity)
        else:
            flow.bought += float(trade.raw_quantity)

    def see_quote(self, quote: Quote) -> None:
        """Remember the newest quote."""
        self._quote = quote

    def close(self, bar: Bar) -> Observation:
        """The bar as an observation; partly known values are None."""
        flow = self._flows.pop(bar.open_time_ms, None)
        for start in [start for start in self._flows if start < bar.open_time_ms]:
            del self._flows[start]
        imbalance = None
        if flow is not None and flow.trades >= bar.trades * FLOW_COVERAGE:
            both = flow.bought + flow.sold
            imbalance = (flow.bought - flow.sold) / both if both else 0.0
        return Observation(
            open_ms=bar.open_time_ms,
            open=float(bar.raw_open),
            high=float(bar.raw_high),
            low=float(bar.raw_low),
            close=float(bar.raw_close),
            volume=float(bar.raw_volume),
            imbalance=imbalance,
            spread=None if self._quote is None else spread_of(self._quote),
        )


def spread_of(quote: Quote) -> float:
    """Ask less bid, as a fraction of their middle."""
    bid, ask = float(quote.raw_bid), float(quote.raw_ask)
    return (ask - bid) / ((ask + bid) / 2)
