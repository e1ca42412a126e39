"""What the venue's exchangeInfo says of our symbols: their filters.

Asked when a symbol is compared with the venue for the first time on a connection, so before any
order of it leaves, and anew after each reconnect, because a venue changes its steps while we run.
"""

from collections.abc import Callable, Sequence
from decimal import DecimalException
from typing import Any

import attrs
import msgspec
import trio

from levitrio.trading.filter_parsing import parse_filters
from levitrio.trading.filters import SymbolFilters
from levitrio.venues.binance.account_reading import decoded
from levitrio.venues.binance.errors_table import RefusedByVenue
from levitrio.venues.binance.order_wire import Contradiction
from levitrio.venues.binance.session import Session

WEIGHT = 20

CHUNK = 200
"""Symbols in one question: some 600 kB of answer."""


class _Symbol(msgspec.Struct):
    symbol: str
    status: str
    filters: list[dict[str, Any]]


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_Symbol]


_decode = msgspec.json.Decoder(_ExchangeInfo)


@attrs.define(eq=False)
class Listing:
    """Learns symbols together when many are asked for at once."""

    on_filters: Callable[[str, SymbolFilters], None]
    _learnt: dict[str, Session] = attrs.field(factory=dict, init=False)
    """On which session each symbol was learnt last."""
    _wanted: set[str] = attrs.field(factory=set, init=False)
    _asking: trio.Event | None = attrs.field(default=None, init=False)
    """Set when the question under way has ended, however it did."""

    async def learn(self, session: Session, symbol: str) -> None:
        """Return once the symbol's filters were told.

        Raises VenueError when they are not to be had. Cancelled, somebody else who waits asks.
        """
        if self._learnt.get(symbol) is session:
            return
        self._wanted.add(symbol)
        try:
            while self._learnt.get(symbol) is not session:
                if self._asking is not None:
                    await self._asking.wait()
                    continue
                asking = self._asking = trio.Event()
                try:
                    await self._learn_chunk(session, symbol)
                finally:
                    self._asking = None
                    asking.set()
        finally:
            self._wanted.discard(symbol)

    async def _learn_chunk(self, session: Session, symbol: str) -> None:
        chunk = sorted(self._wanted - {symbol})[: CHUNK - 1]
        try:
            await self._ask(session, [symbol, *chunk])
        except RefusedByVenue:
            # One name the venue does not know refuses them all: alone it hurts only itself.
            if not chunk:
                raise
            await self._ask(session, [symbol])

    async def _ask(self, session: Session, symbols: Sequence[str]) -> None:
        answer = await session.ask_public("exchangeInfo", {"symbols": symbols}, weight=WEIGHT)
        told = decoded("exchangeInfo", _decode, answer).symbols
        if {each.symbol for each in told} != set(symbols):
            raise Contradiction(f"exchangeInfo: expected {len(symbols)} symbols, got {len(told)}")
        for each in told:
            try:
                filters = parse_filters(each.filters)
            except (KeyError, ValueError, TypeError, DecimalException) as error:
                raise Contradiction(f"exchangeInfo of {each.symbol}: {error!r}"[:300]) from None
            self.on_filters(each.symbol, filters)
            self._learnt[each.symbol] = session
            self._wanted.discard(each.symbol)
