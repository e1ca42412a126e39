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
from levitrio.gateway.desk import Block, Desk
from levitrio.records.entries import Entry, OutcomeEntry
from levitrio.trading.amounts import plain
from levitrio.trading.orders import NEXT, Fill, Order, OrderStatus
from levitrio.trading.risk import Denial
from levitrio.venues.base import Broker, OrderReport

ASK_FIRST = 0.1
ASK_MAX = 5.0
"""Seconds between two questions about an order: soon at first, then the venue's limits count."""


class Journal(Protocol):
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
class Execution:
    """Carries orders out, one at a time for each desk."""

    journal: Journal
    broker: Broker
    report: Report
    wall_ms: Callable[[], int]
    tells_fills: bool = True
    """False where nobody reads them: a fill in words costs as much as the fill."""

    async def send(self, desk: Desk, order: Order) -> None:
        """Send an order whose intent is durable, and return when its end is in the book."""
        sent_at = trio.current_time()
        answer = await self.broker.place(order)
        await self.follow(desk, order, answer, sent_at=sent_at)

    async def follow(
        self, desk: Desk, order: Order, answer: OrderReport | None, *, sent_at: float
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
                        self.report("quarantine", text, engine=desk.symbol)
                # A partly filled order that rests is asked about for long, and tells its fills
                # each time: what is in the book needs no other line of the journal.
                has_news = any(not desk.has_booked(fill) for fill in answer.fills)
                if has_news or status is not told:
                    is_as_told = status is answer.status
                    told_now = answer if is_as_told else attrs.evolve(answer, status=status)
                    await self.settle(desk, told_now)
                if status is not told:
                    pause = ASK_FIRST
                told = status
                if status is not OrderStatus.UNKNOWN:
                    proven = status
                if not NEXT[proven]:
                    desk.unblock(Block.UNKNOWN_OUTCOME)
                    while desk.told:
                        desk.nudge = trio.Event()
                        await desk.nudge.wait()
                    return
            if told in (None, OrderStatus.UNKNOWN):
                desk.block(Block.UNKNOWN_OUTCOME)
            else:
                desk.unblock(Block.UNKNOWN_OUTCOME)
            answer = await self._ask(desk, order, sent_at, pause)
            pause = min(ASK_MAX, pause * 2)

    async def settle(self, desk: Desk | None, answer: OrderReport) -> None:
        """Journal an answer with its fills, then book those that are new."""
        outcome = OutcomeEntry(
            client_id=answer.client_id,
            status=answer.status,
            fills=tuple(answer.fills),
            reason=answer.reason,
            wall_ms=self.wall_ms(),
        )
        if desk is None:
            await self.journal.append(outcome)
            return
        # What the venue tells unasked may bring the same fill meanwhile: one at a time. A free
        # lock is taken at once: `acquire` would cost a pass of the scheduler for every order.
        try:
            desk.settling.acquire_nowait()
        except trio.WouldBlock:
            await desk.settling.acquire()
        try:
            known: Sequence[Fill] = ()
            try:
                known = await self.journal.append(outcome)
            except JournalUnavailable as exc:
                # It happened, and the journal owes it: the book must show what the venue has.
                self.report("journal_trouble", f"outcome not journaled yet: {exc}")
            for fill in answer.fills:
                if fill not in known and not desk.has_booked(fill):
                    self._book(desk, fill)
        finally:
            desk.settling.release()
        if answer.would_take:
            self.deny(desk, Denial(reason="entry_missed", detail="the price had moved to ours"))
        elif answer.status is OrderStatus.REJECTED:
            desk.refused += 1
            self.report("rejected", answer.reason, engine=desk.symbol, client_id=answer.client_id)
        elif answer.fills:
            desk.refused = 0

    def deny(self, desk: Desk, denial: Denial) -> None:
        """Count a denial, and tell it if it is news."""
        if desk.count_denial(denial.reason):
            text = denial.reason + (f": {denial.detail}" if denial.detail else "")
            self.report("denied", text, engine=desk.symbol, reason=denial.reason)

    def _book(self, desk: Desk, fill: Fill) -> None:
        booked = desk.apply(fill)
        desk.forget_denial()
        if self.tells_fills:
            text = (
                f"{fill.side} {plain(fill.quantity)} at {plain(fill.price)}, "
                f"position {plain(booked.position)}"
            )
            self.report("fill", text, engine=desk.symbol, client_id=fill.client_id)
        if desk.on_fill is not None:
            desk.on_fill(booked)

    async def _ask(
        self, desk: Desk, order: Order, sent_at: float, pause: float
    ) -> OrderReport | None:
        """What became of an order, asked after `pause` seconds or a nudge; None: no news.

        A cancel that is wanted goes first and at once, and again until the order has ended: one
        that found no connection must not leave an order at the venue.
        """
        was_wanted = desk.cancel_wanted
        if was_wanted:
            cancelled = await self.broker.cancel(order)
            if not NEXT[cancelled.status]:
                return cancelled
        look_at = trio.current_time() + pause
        with trio.move_on_at(look_at if was_wanted else min(look_at, desk.expires_at)):
            await desk.nudge.wait()
        desk.nudge = trio.Event()  # what comes from here on is for the next look
        if not desk.cancel_wanted and trio.current_time() >= desk.expires_at:
            desk.has_expired = desk.cancel_wanted = True
        if desk.cancel_wanted and not was_wanted:
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
