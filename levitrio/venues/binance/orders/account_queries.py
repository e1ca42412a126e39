"""What the account holds at the venue: open orders, trades, balances, asked for and checked.

Everything here raises VenueError, and then says nothing about the account. A list that repeats
itself, goes backwards or is about another symbol is no answer.
"""

from decimal import Decimal
from typing import TypeVar

import attrs
import msgspec
import trio

from levitrio.errors import VenueError
from levitrio.trading.orders import Fill
from levitrio.venues.base import OrderReport
from levitrio.venues.binance.orders.error_codes import RefusedByVenue
from levitrio.venues.binance.orders.fill_deduplication import FillDeduplicator, FillNovelty
from levitrio.venues.binance.orders.schemas import (
    AccountAnswer,
    InconsistentAnswer,
    OrderAnswer,
    TradeRow,
    decode_account,
    decode_order,
    decode_orders,
    decode_trades,
    status_of,
)
from levitrio.venues.binance.orders.session import OrderSession
from levitrio.venues.binance.orders.signing import Parameter
from levitrio.venues.binance.orders.ws_api import Answer

PAGE = 1_000
"""Rows; the venue gives no more in one answer."""
MOST_PAGES = 50

WEIGHT_STATUS, WEIGHT_ALL_OPEN, WEIGHT_TRADES, WEIGHT_TRADES_OF_ORDER, WEIGHT_ACCOUNT = (
    4,
    80,
    20,
    5,
    20,
)

_GONE = (-2013, -2026)
"""The venue no longer reports the order of a trade: no such order, or archived."""

T = TypeVar("T")


def result(method: str, answer: Answer) -> bytes:
    """What a request brought; raises RefusedByVenue for an error."""
    if answer.error is not None:
        error = answer.error
        raise RefusedByVenue(method, answer.status, error.code, error.msg)
    return bytes(answer.result)


def decoded(method: str, decode: "msgspec.json.Decoder[T]", answer: Answer) -> T:
    """The result in its shape; raises VenueError for any other."""
    try:
        return decode.decode(result(method, answer))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InconsistentAnswer(f"{method}: {error}"[:300]) from None


@attrs.define(eq=False, kw_only=True)
class AccountQueries:
    """Questions about one account; the fills it finds are remembered."""

    venue: str
    memory: FillDeduplicator
    _asking: trio.Event | None = attrs.field(default=None, init=False)
    """Set when the question for open orders that is under way has ended, however it did."""
    _asked: int = attrs.field(default=0, init=False)
    _answered: int = attrs.field(default=0, init=False)
    """Numbers of the newest question, and of the newest that was answered."""
    _open_orders: list[OrderAnswer] = attrs.field(factory=list, init=False)

    async def open_orders(self, session: OrderSession, symbol: str) -> tuple[OrderReport, ...]:
        """Return all open orders of a symbol, also those of other programs.

        All symbols are asked for together, once for all callers of about the same time:
        a thousand symbols that are compared after a reconnect cost one question.
        """
        # An answer counts only if its question was put after this moment.
        wanted = self._asked + 1
        while self._answered < wanted:
            if self._asking is not None:
                await self._asking.wait()
                continue
            asking = self._asking = trio.Event()
            self._asked += 1
            number = self._asked
            try:
                answer = await session.ask("openOrders.status", weight=WEIGHT_ALL_OPEN)
                self._open_orders = decoded("openOrders.status", decode_orders, answer)
                self._answered = number
            finally:
                self._asking = None
                asking.set()
        return tuple(self._report(each) for each in self._open_orders if each.symbol == symbol)

    async def trades(
        self, session: OrderSession, symbol: str, *, after: int | None, since_ms: int | None
    ) -> tuple[Fill, ...]:
        """Every trade above an id or since a time, oldest first, with its order's client id."""
        rows: list[TradeRow] = []
        params: dict[str, Parameter] = {"symbol": symbol, "limit": PAGE}
        if after is not None:
            params["fromId"] = after + 1
        elif since_ms is not None:
            params["startTime"] = since_ms
        for _ in range(MOST_PAGES):
            answer = await session.ask("myTrades", params, weight=WEIGHT_TRADES)
            page = decoded("myTrades", decode_trades, answer)
            last = rows[-1].id if rows else -1 if after is None else after
            for row in page:
                if row.symbol != symbol or row.id <= last:
                    raise InconsistentAnswer(f"myTrades: expected {symbol} above {last}, got {row}")
                last = row.id
            rows += page
            if len(page) < PAGE:
                break
            params.pop("startTime", None)
            params["fromId"] = last + 1
        else:
            raise VenueError(f"myTrades: expected at most {PAGE * MOST_PAGES} trades of {symbol}")
        return tuple([await self._owned(session, row) for row in rows])

    async def fills_of(self, session: OrderSession, order: OrderAnswer) -> tuple[Fill, ...]:
        """The fills of one order, as far as the venue's history has them by now."""
        params: dict[str, Parameter] = {"symbol": order.symbol, "orderId": order.order_id}
        answer = await session.ask("myTrades", params, weight=WEIGHT_TRADES_OF_ORDER)
        for row in decoded("myTrades", decode_trades, answer):
            if row.symbol != order.symbol or row.order_id != order.order_id:
                raise InconsistentAnswer(
                    f"myTrades: expected order {order.order_id}, got {row}"[:300]
                )
            self._learn(row.fill(order.client_id, self.venue))
        return self.memory.of(order.symbol, order.client_id)

    async def account(self, session: OrderSession) -> AccountAnswer:
        """Whether it may trade, and what it holds."""
        params: dict[str, Parameter] = {"omitZeroBalances": True}
        answer = await session.ask("account.status", params, weight=WEIGHT_ACCOUNT)
        found = decoded("account.status", decode_account, answer)
        for each in found.balances:
            if not (_is_holding(each.free) and _is_holding(each.locked)):
                raise InconsistentAnswer(f"account.status: expected a balance, got {each}"[:200])
        return found

    def _report(self, answer: OrderAnswer) -> OrderReport:
        self.memory.name(answer.symbol, answer.order_id, answer.client_id)
        return OrderReport(client_id=answer.client_id, status=status_of(answer))

    async def _owned(self, session: OrderSession, row: TradeRow) -> Fill:
        client_id = self.memory.client_id(row.symbol, row.order_id)
        if client_id is None:
            client_id = await self._client_id(session, row)
            self.memory.name(row.symbol, row.order_id, client_id)
        fill = row.fill(client_id, self.venue)
        self._learn(fill)
        return fill

    async def _client_id(self, session: OrderSession, row: TradeRow) -> str:
        params: dict[str, Parameter] = {"symbol": row.symbol, "orderId": row.order_id}
        answer = await session.ask("order.status", params, weight=WEIGHT_STATUS)
        if answer.error is not None and answer.error.code in _GONE:
            # The trade is there, and it is not known to be ours.
            return ""
        order = decoded("order.status", decode_order, answer)
        if order.order_id != row.order_id or order.symbol != row.symbol:
            raise InconsistentAnswer(
                f"order.status: expected order {row.order_id}, got {order}"[:300]
            )
        return order.client_id

    def _learn(self, fill: Fill) -> None:
        if self.memory.learn(fill) is FillNovelty.OTHERWISE:
            raise InconsistentAnswer(
                f"trade {fill.trade_id} of {fill.symbol} was reported otherwise before"
            )


def _is_holding(amount: Decimal) -> bool:
    return amount.is_finite() and amount >= 0
