"""The life of one order after its intent is durable: send, ask until it is known, book.

    INTENDED -> place -> FILLED, CANCELED, EXPIRED, REJECTED      known: journal, book, done
                      -> NEW, PARTIALLY_FILLED                    rests: ask again
                      -> UNKNOWN                                  blocked: ask until it is known

Nothing is ever sent twice. "No such order" is proof only when the question was put later than
`broker.proof_after` after the send: until then the order may still be on its way.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import attrs
import trio

from levitrio.errors import JournalUnavailable
from levitrio.gateway.symbol_state import Block, SymbolState
from levitrio.records.journal.entries import Entry, OutcomeEntry
from levitrio.trading.amounts import format_amount
from levitrio.trading.orders import NEXT, Fill, Order, OrderStatus
from levitrio.trading.risk import Denial
from levitrio.venues.base import Broker, OrderReport

ASK_FIRST = 0.1
ASK_MAX = 5.0
"""Seconds between two questions about an order: soon at first, then the venue's limits count."""


class OrderJournal(Protocol):
    """What the gateway needs of the journal."""

    @property
    def token(self) -> int:
        """Tells its orders from those of any other journal."""

    @property
    def last_seq(self) -> int:
        """The highest sequence number that was given out so far."""

    def reserve(self) -> int:
        """The next sequence number, never given out before."""

    async def append(self, *entries: Entry) -> Sequence[Fill]:
        """Returns once the entries are durable, with the fills it had already.

        Raises JournalUnavailable if they cannot be; an outcome is then owed and written later.
        """


class Report(Protocol):
    """Where the gateway says what happened: one line of the fleet's event log."""

    def __call__(self, kind: str, text: str, *, engine: str | None = None, **data: object) -> None:
        """Must not block."""


@attrs.define(eq=False, kw_only=True)
class OrderExecutor:
    """Carries orders out, one at a time for each desk."""

    journal: OrderJournal
    broker: Broker
    report: Report
    wall_ms: Callable[[], int]
    tells_fills: bool = True
    """False where nobody reads them: a fill in words costs as much as the fill."""

    async def send(self, state: SymbolState, order: Order) -> None:
        """Send an order whose intent is durable, and return when its end is in the book."""
        sent_at = trio.current_time()
        answer = await self.broker.place(order)
        await self.follow(state, order, answer, sent_at=sent_at)

    async def follow(
        self, state: SymbolState, order: Order, answer: OrderReport | None, *, sent_at: float
    ) -> None:
        """Go on from an answer, or from none at all, until the order has ended.

        `sent_at` is on trio's clock: no send of the order can have been later.
        """
        proven, told = OrderStatus.INTENDED, None
        pause = ASK_FIRST
        while True:
            if answer is not None:
                status = answer.status
                if status not in (proven, OrderStatus.UNKNOWN) and status not in NEXT[proven]:
                    # What contradicts what was proven proves nothing; its fills count.
                    status = OrderStatus.UNKNOWN
                    if told is not status:
                        text = f"order {order.client_id}: {answer.status} after {proven}"
                        self.report("quarantine", text, engine=state.symbol)
                # A partly filled order that rests is asked about for long, and tells its fills
                # each time: what is in the book needs no other line of the journal.
                has_news = any(not state.has_booked(fill) for fill in answer.fills)
                if has_news or status is not told:
                    is_as_told = status is answer.status
                    told_now = answer if is_as_told else attrs.evolve(answer, status=status)
                    await self.settle(state, told_now)
                if status is not told:
                    pause = ASK_FIRST
                told = status
                if status is not OrderStatus.UNKNOWN:
                    proven = status
                if not NEXT[proven]:
                    state.unblock(Block.UNKNOWN_OUTCOME)
                    while state.pending_reports:
                        state.recheck = trio.Event()
                        await state.recheck.wait()
                    return
            if told in (None, OrderStatus.UNKNOWN):
                state.block(Block.UNKNOWN_OUTCOME)
            else:
                state.unblock(Block.UNKNOWN_OUTCOME)
            answer = await self._ask(state, order, sent_at, pause)
            pause = min(ASK_MAX, pause * 2)

    async def settle(self, state: SymbolState | None, answer: OrderReport) -> None:
        """Journal an answer with its fills, then book those that are new."""
        outcome = OutcomeEntry(
            client_id=answer.client_id,
            status=answer.status,
            fills=tuple(answer.fills),
            reason=answer.reason,
            wall_ms=self.wall_ms(),
        )
        if state is None:
            await self.journal.append(outcome)
            return
        # What the venue tells unasked may bring the same fill meanwhile: one at a time. A free
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
                # It happened, and the journal owes it: the book must show what the venue has.
                self.report("journal_trouble", f"outcome not journaled yet: {exc}")
            for fill in answer.fills:
                if fill not in known and not state.has_booked(fill):
                    self._position(state, fill)
        finally:
            state.settling.release()
        if answer.would_take:
            self.deny(state, Denial(reason="entry_missed", detail="the price had moved to ours"))
        elif answer.status is OrderStatus.REJECTED:
            state.refused += 1
            self.report("rejected", answer.reason, engine=state.symbol, client_id=answer.client_id)
        elif answer.fills:
            state.refused = 0

    def deny(self, state: SymbolState, denial: Denial) -> None:
        """Count a denial, and tell it if it is news."""
        if state.count_denial(denial.reason):
            text = denial.reason + (f": {denial.detail}" if denial.detail else "")
            self.report("denied", text, engine=state.symbol, reason=denial.reason)

    def _position(self, state: SymbolState, fill: Fill) -> None:
        booked = state.apply(fill)
        state.forget_denial()
        if self.tells_fills:
            text = (
                f"{fill.side} {format_amount(fill.quantity)} at {format_amount(fill.price)}, "
                f"position {format_amount(booked.position)}"
            )
            self.report("fill", text, engine=state.symbol, client_id=fill.client_id)
        if state.on_fill is not None:
            state.on_fill(booked)

    async def _ask(
        self, state: SymbolState, order: Order, sent_at: float, pause: float
    ) -> OrderReport | None:
        """What became of an order, asked after `pause` seconds or a nudge; None: no news.

        A cancel that is wanted goes first and at once, and again until the order has ended: one
        that found no connection must not leave an order at the venue.
        """
        was_wanted = state.cancel_wanted
        if was_wanted:
            cancelled = await self.broker.cancel(order)
            if not NEXT[cancelled.status]:
                return cancelled
        look_at = trio.current_time() + pause
        with trio.move_on_at(look_at if was_wanted else min(look_at, state.expires_at)):
            await state.recheck.wait()
        state.recheck = trio.Event()  # what comes from here on is for the next look
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
