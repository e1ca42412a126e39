"""Recognises fills that the venue reports more than once. Pure.

The venue tells a fill up to three times: in the answer, in an event, and when it is asked. An
event is handed on once, whatever was answered before: the caller may have been cancelled and
never have seen it. Questions are answered from here when it is known that nothing is missing.
"""

from collections import OrderedDict
from enum import StrEnum

import attrs

from levitrio.trading.orders import Fill

KEPT_ORDERS = 20_000
"""Of an account; an order that is asked about is seldom older than some seconds."""


class FillNovelty(StrEnum):
    """How a fill compares with those known before."""

    NEW = "new"
    AGAIN = "again"
    OTHERWISE = "otherwise"
    """The same trade, with other numbers: one of the two is not true."""


@attrs.define(eq=False)
class FillDeduplicator:
    """Fills by order, and the venue's numbers of orders."""

    _fills: OrderedDict[tuple[str, str], dict[int, Fill]] = attrs.field(factory=OrderedDict)
    _trades: dict[tuple[str, int], Fill] = attrs.field(factory=dict)
    _heard: set[tuple[str, int]] = attrs.field(factory=set)
    """Trades that an event has reported."""
    _names: dict[tuple[str, int], str] = attrs.field(factory=dict)
    _numbers: dict[tuple[str, str], int] = attrs.field(factory=dict)

    def name(self, symbol: str, order_id: int, client_id: str) -> None:
        """The venue's number of an order of that client id."""
        self._names[symbol, order_id] = client_id
        self._numbers[symbol, client_id] = order_id
        self._fills.setdefault((symbol, client_id), {})
        if len(self._fills) > KEPT_ORDERS:
            self._forget()

    def client_id(self, symbol: str, order_id: int) -> str | None:
        """The client id of an order; None: it was never seen here, or long ago."""
        return self._names.get((symbol, order_id))

    def learn(self, fill: Fill) -> FillNovelty:
        """Take in a fill of a venue from an answer; its order was named before."""
        assert fill.trade_id is not None
        key = (fill.symbol, fill.trade_id)
        known = self._trades.get(key)
        if known is not None:
            return FillNovelty.AGAIN if _same(known, fill) else FillNovelty.OTHERWISE
        self._trades[key] = fill
        self._fills.setdefault((fill.symbol, fill.client_id), {})[fill.trade_id] = fill
        return FillNovelty.NEW

    def learn_event(self, fill: Fill) -> FillNovelty:
        """Take in a fill from an event: new unless an event reported it before."""
        assert fill.trade_id is not None
        key = (fill.symbol, fill.trade_id)
        if self.learn(fill) is FillNovelty.OTHERWISE:
            return FillNovelty.OTHERWISE
        if key in self._heard:
            return FillNovelty.AGAIN
        self._heard.add(key)
        return FillNovelty.NEW

    def of(self, symbol: str, client_id: str) -> tuple[Fill, ...]:
        """All known fills of an order, oldest first."""
        found = self._fills.get((symbol, client_id), {})
        return tuple(found[number] for number in sorted(found))

    def _forget(self) -> None:
        (symbol, client_id), fills = self._fills.popitem(last=False)
        for number in fills:
            del self._trades[symbol, number]
            self._heard.discard((symbol, number))
        order_id = self._numbers.pop((symbol, client_id), None)
        if order_id is not None:
            self._names.pop((symbol, order_id), None)


def _same(one: Fill, other: Fill) -> bool:
    """Time is left out: an answer tells it of the order, an event of the trade."""
    return (one.client_id, one.side, one.price, one.quantity, one.fee, one.fee_asset) == (
        other.client_id,
        other.side,
        other.price,
        other.quantity,
        other.fee,
        other.fee_asset,
    )
