"""Sends an order whose intent is durable, and asks the venue until its outcome is known.

    INTENDED -> place -> FILLED, CANCELED, EXPIRED, REJECTED      known: journal, apply, done
                      -> NEW, PARTIALLY_FILLED                    rests: ask again
                      -> UNKNOWN                                  blocked: ask until it is known

Nothing is ever sent twice. "No such order" is proof only when the question was put more than
`broker.proof_after` seconds after the send: until then the order may still arrive.
"""

from collections.abc import Sequence

import attrs
import trio

from levitrio.errors import JournalUnavailable
from levitrio.gateway.context import GatewayContext, OrderJournal
from levitrio.gateway.symbol_state import Block, SymbolState
from levitrio.records.journal.entries import OutcomeEntry
from levitrio.trading.amounts import format_amount
from levitrio.trading.orders import NEXT, Fill, Order, OrderStatus
from levitrio.trading.risk import Denial
from levitrio.venues.base import Broker, OrderReport

ASK_FIRST = 0.1
ASK_MAX = 5.0
"""Seconds between two questions about an order: short at first, then kind to the rate limits."""


@attrs.define(eq=False, kw_only=True)
class OrderExecutor:
    """Executes orders, one at a time for each symbol."""

    journal: OrderJournal
    broker: Broker
    context: GatewayContext

    async def send(self, state: SymbolState, order: Order) -> None:
        """Send an order whose intent is durable; return when it has ended and is journaled.

        Cancelled, it leaves the order open in the journal; the next start asks about it.
        """
        sent_at = trio.current_time()
        answer = await self.broker.place(order)
        await self.follow(state, order, answer, sent_at=sent_at)

    async def follow(
        self, state: SymbolState, order: Order, answer: OrderReport | None, *, sent_at: float
    ) -> None:
        """Ask about a sent order until it has ended.

        Args:
            state: The order's symbol.
            order: The order, which may or may not have reached the venue.
            answer: What the venue answered to the send; None for an order of the last run.
            sent_at: Seconds on trio's clock; the order was not sent later than this.
        """
        proven, settled = OrderStatus.INTENDED, None
        pause = ASK_FIRST
        while True:
            if answer is not None:
                status = answer.status
                if status not in (proven, OrderStatus.UNKNOWN) and status not in NEXT[proven]:
                    # A status that contradicts the proven one proves nothing; its fills count.
                    status = OrderStatus.UNKNOWN
                    if settled is not status:
                        text = f"order {order.client_id}: {answer.status} after {proven}"
                        self.context.report("quarantine", text, engine=state.symbol)
                # A partly filled order that rests is asked about for long, and each answer
                # repeats its fills: only new ones are worth another journal entry.
                has_news = any(not state.has_applied(fill) for fill in answer.fills)
                if has_news or status is not settled:
                    if status is not answer.status:
                        answer = attrs.evolve(answer, status=status)
                    await self.settle(state, answer)
                if status is not settled:
                    pause = ASK_FIRST
                settled = status
                if status is not OrderStatus.UNKNOWN:
                    proven = status
                if not NEXT[proven]:
                    state.unblock(Block.UNKNOWN_OUTCOME)
                    # Pushed fills of this order are applied before the next one is decided.
                    while state.pending_reports:
                        state.recheck = trio.Event()
                        await state.recheck.wait()
                    return
            if settled in (None, OrderStatus.UNKNOWN):
                state.block(Block.UNKNOWN_OUTCOME)
            else:
                state.unblock(Block.UNKNOWN_OUTCOME)
            answer = await self._ask(state, order, sent_at, pause)
            pause = min(ASK_MAX, pause * 2)

    async def settle(self, state: SymbolState, answer: OrderReport) -> None:
        """Journal an answer with its fills, then apply the new fills to the position.

        Cancelled during the append, it applies nothing; the journal may have the fills.
        """
        outcome = OutcomeEntry(
            client_id=answer.client_id,
            status=answer.status,
            fills=tuple(answer.fills),
            reason=answer.reason,
            wall_ms=self.context.wall_ms(),
        )
        # A report the venue pushes may bring the same fill meanwhile, so one at a time. A free
        # lock is taken at once: `acquire` would cost a pass of the scheduler for every order.
        try:
            state.settling.acquire_nowait()
        except trio.WouldBlock:
            await state.settling.acquire()
        try:
            known: Sequence[Fill] = ()
            try:
                known = await self.journal.append(outcome)
            except JournalUnavailable as exc:
                # It happened, and the journal writes it later: the position must show it now.
                self.context.report("journal_trouble", f"outcome not journaled yet: {exc}")
            for fill in answer.fills:
                if fill not in known and not state.has_applied(fill):
                    self._apply(state, fill)
        finally:
            state.settling.release()
        if answer.would_take:
            detail = "the market had reached the entry's price"
            self.deny(state, Denial(reason="entry_missed", detail=detail))
        elif answer.status is OrderStatus.REJECTED:
            state.refused += 1
            self.context.report(
                "rejected", answer.reason, engine=state.symbol, client_id=answer.client_id
            )
        elif answer.fills:
            state.refused = 0

    def deny(self, state: SymbolState, denial: Denial) -> None:
        """Count a denial; report it unless the last one had the same reason."""
        if state.count_denial(denial.reason):
            text = denial.reason + (f": {denial.detail}" if denial.detail else "")
            self.context.report("denied", text, engine=state.symbol, reason=denial.reason)

    def _apply(self, state: SymbolState, fill: Fill) -> None:
        applied = state.apply(fill)
        state.forget_denial()
        if self.context.report_fills:
            text = (
                f"{fill.side} {format_amount(fill.quantity)} at {format_amount(fill.price)}, "
                f"position {format_amount(applied.position)}"
            )
            self.context.report("fill", text, engine=state.symbol, client_id=fill.client_id)
        if state.on_fill is not None:
            state.on_fill(applied)

    async def _ask(
        self, state: SymbolState, order: Order, sent_at: float, pause: float
    ) -> OrderReport | None:
        """Ask about an order after `pause` seconds or when `recheck` is set; None if unknown.

        A wanted cancel goes first and at once, and again until the order has ended: one that
        found no connection must not leave an order at the venue.
        """
        was_wanted = state.cancel_wanted
        if was_wanted:
            cancelled = await self.broker.cancel(order)
            if not NEXT[cancelled.status]:
                return cancelled
        look_at = trio.current_time() + pause
        with trio.move_on_at(look_at if was_wanted else min(look_at, state.expires_at)):
            await state.recheck.wait()
        state.recheck = trio.Event()  # set from here on, it is for the next question
        if not state.cancel_wanted and trio.current_time() >= state.expires_at:
            state.has_expired = state.cancel_wanted = True
        if state.cancel_wanted and not was_wanted:
            return None
        asked_at = trio.current_time()
        found = await self.broker.query(order)
        if found is None and asked_at - sent_at >= self.broker.proof_after:
            return OrderReport(
                client_id=order.client_id,
                status=OrderStatus.LOST,
                reason="the venue has no such order, and none can arrive any more",
            )
        return None if found is None or found.status is OrderStatus.UNKNOWN else found
