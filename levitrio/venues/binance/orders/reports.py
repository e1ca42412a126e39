"""Turns the venue's answers and events about orders into reports that can be trusted.

An answer proves something only with all of its fills; what contradicts itself, or what was reported
before, is `UNKNOWN`.
"""

from collections.abc import Callable

import attrs
import msgspec

from levitrio.errors import VenueError
from levitrio.trading.orders import Fill, Order, OrderStatus
from levitrio.venues.base import OrderReport
from levitrio.venues.binance.orders.account_queries import AccountQueries, decoded
from levitrio.venues.binance.orders.error_codes import ErrorKind, meaning
from levitrio.venues.binance.orders.fill_deduplication import FillDeduplicator, FillNovelty
from levitrio.venues.binance.orders.schemas import (
    STATUSES,
    InconsistentAnswer,
    OrderAnswer,
    check_about,
    decode_execution,
    decode_order,
    placed_fills,
    status_of,
    total,
)
from levitrio.venues.binance.orders.session import OrderSession
from levitrio.venues.binance.orders.ws_api import Answer


def unknown(order: Order, reason: str) -> OrderReport:
    """Report an order whose outcome is unknown."""
    return OrderReport(client_id=order.client_id, status=OrderStatus.UNKNOWN, reason=reason)


def meaning_of(answer: Answer) -> ErrorKind:
    """What the error of an answer means."""
    assert answer.error is not None
    return meaning(answer.status, answer.error.code, answer.error.msg)


@attrs.define(eq=False, kw_only=True)
class ReportBuilder:
    """Turns answers and events into reports."""

    venue: str
    memory: FillDeduplicator
    reading: AccountQueries
    tell: Callable[[str, str, str | None], None]
    """Gets kind, text and symbol of what an operator should know."""
    redact: Callable[[str], str]

    def event(self, kind: str, event: bytes) -> tuple[str, OrderReport] | None:
        """What a user data event says of which symbol; None for nothing, and nothing new."""
        if kind != "executionReport":
            return None
        try:
            said = decode_execution.decode(event)
            status = STATUSES.get(said.X)
            if status is None:
                raise InconsistentAnswer(f"expected a status of an order, got {said.X[:40]!r}")
            fill = said.fill(self.venue)
        except (msgspec.DecodeError, UnicodeError) as error:
            self.tell("quarantine", f"an event that is none: {error}", None)
            return None
        except InconsistentAnswer as error:
            self.tell("quarantine", str(error), None)
            return None
        self.memory.name(said.s, said.i, said.client_id)
        fills: tuple[Fill, ...] = ()
        if fill is not None:
            novelty = self.memory.learn_event(fill)
            if novelty is FillNovelty.AGAIN:
                return None
            if novelty is FillNovelty.OTHERWISE:
                text = f"trade {fill.trade_id}: reported again with other numbers, the first count"
                self.tell("quarantine", text, said.s)
                return None
            fills = (fill,)
        reason = "" if said.r == "NONE" else self.redact(said.r)
        return said.s, OrderReport(
            client_id=said.client_id, status=status, fills=fills, reason=reason
        )

    async def answer(
        self, session: OrderSession, order: Order, method: str, answer: Answer
    ) -> OrderReport:
        """An answer about an order with all its fills; UNKNOWN if it cannot be believed."""
        try:
            said = decoded(method, decode_order, answer)
            check_about(order, said)
            status = status_of(said)
            self.memory.name(said.symbol, said.order_id, said.client_id)
            for fill in placed_fills(order, said, self.venue):
                if self.memory.learn(fill) is FillNovelty.OTHERWISE:
                    raise InconsistentAnswer(f"trade {fill.trade_id} was reported otherwise before")
            fills = await self._complete(session, said)
        except InconsistentAnswer as error:
            text = f"order {order.client_id}: {error}"
            self.tell("quarantine", text, order.symbol)
            return unknown(order, self.redact(text))
        except VenueError as error:
            return unknown(order, self.redact(str(error)))
        if total(fills) < said.executed_qty:
            reason = f"executed {said.executed_qty}, fills reported {total(fills)}"
            return OrderReport(
                client_id=order.client_id, status=OrderStatus.UNKNOWN, fills=fills, reason=reason
            )
        return OrderReport(client_id=order.client_id, status=status, fills=fills)

    async def _complete(self, session: OrderSession, said: OrderAnswer) -> tuple[Fill, ...]:
        fills = self.memory.of(said.symbol, said.client_id)
        if total(fills) < said.executed_qty:
            fills = await self.reading.fills_of(session, said)
        # Events may be ahead of an answer, but no order fills beyond what was asked for.
        if total(fills) > said.orig_qty:
            raise InconsistentAnswer(
                f"expected at most {said.orig_qty}, got fills of {total(fills)}"
            )
        return fills

    def refusal(self, order: Order, answer: Answer) -> OrderReport:
        """An error in answer to a new order: REJECTED where that is certain."""
        words = self.words(answer)
        match meaning_of(answer):
            case ErrorKind.UNKNOWN | ErrorKind.NO_SUCH_ORDER | ErrorKind.NOT_OPEN:
                return unknown(order, words)
            case ErrorKind.MALFORMED:
                self.tell("order_malformed", f"order {order.client_id}: {words}", order.symbol)
        return OrderReport(client_id=order.client_id, status=OrderStatus.REJECTED, reason=words)

    def words(self, answer: Answer) -> str:
        """The venue's own, without secrets."""
        assert answer.error is not None
        return self.redact(f"{answer.error.code} {answer.error.msg}")[:500]
