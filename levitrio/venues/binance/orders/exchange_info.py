"""What the venue's exchangeInfo says of our symbols: their filters, and whether they are traded.

Asked when a symbol is compared with the venue for the first time on a connection, so before any
order of it leaves, and anew after each reconnect. A venue changes its steps while we run, so all
are asked for again every `REREAD_AFTER`, and at once when it refused an order by its filters.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import DecimalException
from typing import Any, NoReturn, Protocol

import attrs
import msgspec
import trio

from levitrio.errors import VenueError
from levitrio.trading.filter_parsing import parse_filters
from levitrio.trading.filters import SymbolFilters
from levitrio.venues.binance.orders.account_queries import decoded
from levitrio.venues.binance.orders.error_codes import ErrorKind, RefusedByVenue
from levitrio.venues.binance.orders.schemas import InconsistentAnswer
from levitrio.venues.binance.orders.ws_api import Answer

WEIGHT = 20

CHUNK = 200
"""Symbols in one question: some 600 kB of answer."""

REREAD_AFTER = 300.0
"""Seconds. A thousand symbols cost a weight of 100, of the 30,000 the venue grants in that time."""
REREAD_REST = 10.0
"""Seconds between two readings, however many orders are refused."""

TRADING = "TRADING"
"""The only status in which the venue takes orders. In the others, CANCEL_ONLY among them, cancels
are sent as ever, and the venue answers what it does with them."""
GONE = "DELISTED"
"""Our word for a symbol the venue knows no more."""

OnListed = Callable[[str, SymbolFilters, str], None]
"""Symbol, its filters and its status. Must neither block nor raise."""


class PublicApi(Protocol):
    """Carries our queries to the venue: a session, or its REST interface."""

    async def ask_public(self, method: str, params: Mapping[str, object], *, weight: int) -> Answer:
        """Ask what anybody may. Raises VenueError when there is no answer."""


class _Symbol(msgspec.Struct):
    symbol: str
    status: str
    filters: list[dict[str, Any]]


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_Symbol]


_decode = msgspec.json.Decoder(_ExchangeInfo)


@attrs.define(eq=False)
class ExchangeInfo:
    """Learns symbols together when many are asked for at once."""

    on_listed: OnListed
    tell: Callable[[str, str, str], None]
    """Gets kind, text and symbol of a change: `filters_changed`, `market_closed`, `market_open`;
    and `listing_unread`."""
    _told: dict[str, tuple[SymbolFilters, str]] = attrs.field(factory=dict, init=False)
    _doubted: set[str] = attrs.field(factory=set, init=False)
    _doubt: trio.Event = attrs.field(factory=trio.Event, init=False)
    _learnt: dict[str, PublicApi] = attrs.field(factory=dict, init=False)
    """On which session each symbol was learnt last."""
    _wanted: set[str] = attrs.field(factory=set, init=False)
    _asking: trio.Event | None = attrs.field(default=None, init=False)
    """Set when the question under way has ended, however it did."""

    async def learn(self, session: PublicApi, symbol: str) -> None:
        """Return once the symbol's filters are known.

        Cancelled, another waiting caller sends the query.

        Raises:
            VenueError: They cannot be had.
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

    def doubt(self, symbol: str) -> None:
        """The venue refused what we believe its rules allow: let `keep_fresh` ask at once."""
        if symbol in self._told:
            self._doubted.add(symbol)
            self._doubt.set()

    async def keep_fresh(self, wait_session: Callable[[], Awaitable[PublicApi]]) -> NoReturn:
        """Ask again for every symbol that was learnt, for ever."""
        while True:
            with trio.move_on_after(REREAD_AFTER):
                await self._doubt.wait()
            session = await wait_session()
            doubted, self._doubted, self._doubt = self._doubted, set(), trio.Event()
            symbols = sorted(doubted or self._told)
            try:
                for i in range(0, len(symbols), CHUNK):
                    await self._reread(session, symbols[i : i + CHUNK])
            except VenueError as error:
                for symbol in doubted:
                    self.tell("listing_unread", f"{symbol}: its filters: {error}", symbol)
                    self.doubt(symbol)
            await trio.sleep(REREAD_REST)

    async def _reread(self, session: PublicApi, symbols: Sequence[str]) -> None:
        try:
            await self._ask(session, symbols)
        except RefusedByVenue as error:
            if error.meaning is not ErrorKind.MALFORMED:
                raise
            # One name the venue knows no more refuses them all: halved until it is alone.
            if len(symbols) == 1:
                self._note(symbols[0], self._told[symbols[0]][0], GONE)
                return
            middle = len(symbols) // 2
            await self._reread(session, symbols[:middle])
            await self._reread(session, symbols[middle:])

    def _note(self, symbol: str, filters: SymbolFilters, status: str) -> None:
        had, was = self._told.get(symbol, (filters, TRADING))
        self._told[symbol] = (filters, status)
        self.on_listed(symbol, filters, status)
        if filters != had:
            rules = filters.rules()
            text = f"the venue's steps are {rules.tick:f} and {rules.step:f} now"
            self.tell("filters_changed", f"{symbol}: {text}, from {rules.min_notional:f}", symbol)
        if status != was:
            kind = "market_open" if status == TRADING else "market_closed"
            self.tell(kind, f"{symbol}: the venue says {status[:40]}", symbol)

    async def _learn_chunk(self, session: PublicApi, symbol: str) -> None:
        chunk = sorted(self._wanted - {symbol})[: CHUNK - 1]
        try:
            await self._ask(session, [symbol, *chunk])
        except RefusedByVenue:
            # One name the venue does not know refuses them all: alone it hurts only itself.
            if not chunk:
                raise
            await self._ask(session, [symbol])

    async def _ask(self, session: PublicApi, symbols: Sequence[str]) -> None:
        answer = await session.ask_public("exchangeInfo", {"symbols": symbols}, weight=WEIGHT)
        answered = decoded("exchangeInfo", _decode, answer).symbols
        if {each.symbol for each in answered} != set(symbols):
            raise InconsistentAnswer(
                f"exchangeInfo: expected {len(symbols)} symbols, got {len(answered)}"
            )
        for each in answered:
            try:
                filters = parse_filters(each.filters)
            except (KeyError, ValueError, TypeError, DecimalException) as error:
                raise InconsistentAnswer(
                    f"exchangeInfo of {each.symbol}: {error!r}"[:300]
                ) from None
            self._note(each.symbol, filters, each.status)
            self._learnt[each.symbol] = session
            self._wanted.discard(each.symbol)
