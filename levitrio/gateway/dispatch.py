"""The way of a target that waits at its desk: decided, journaled, sent, until nothing waits.

    signal -> size -> risk -> journal (durable) -> broker -> journal -> book -> on_fill

One order per symbol at a time, each symbol in a task of its own.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

import attrs
import trio

from levitrio.errors import JournalUnavailable
from levitrio.gateway.account import Account
from levitrio.gateway.decision import Rules, decide
from levitrio.gateway.desk import Block, Desk
from levitrio.gateway.execution import Execution
from levitrio.gateway.order_ids import OrderIds
from levitrio.records.entries import IntentEntry
from levitrio.strategies.base import Signal
from levitrio.trading.amounts import plain
from levitrio.trading.orders import Order, OrderStatus
from levitrio.trading.risk import DataState, Denial, Permission, TradingState, overdue
from levitrio.venues.base import OrderReport


@attrs.define(eq=False, kw_only=True)
class Dispatch:
    """Lets orders out. `nursery` is the gateway's, from its `run` on."""

    account: Account
    execution: Execution
    ids: OrderIds
    rules: Callable[[], Rules]
    market_ms: Callable[[], int]
    data: Callable[[str], DataState]
    """How far a symbol's data can be trusted now."""
    nursery: trio.Nursery | None = None
    by_hand: bool = False
    is_closed: bool = False
    """The fleet ends: nothing leaves any more."""
    _waiting: deque[Desk] = attrs.field(factory=deque)
    """Desks with work, when it is done by hand."""
    _idle: trio.Event = attrs.field(factory=trio.Event)
    _working: int = 0

    def aim(self, desk: Desk, target: Signal) -> None:
        """An engine's newest target. An entry that rests for the same one is left in peace."""
        if desk.awaits_price:
            if target.side == "long":
                return
            self.call_back(desk, exits=False)
        desk.target = target
        self.wake(desk)

    def call_back(self, desk: Desk, *, exits: bool) -> None:
        """Have the order under way cancelled at once if it rests, and not sent if it was not yet.

        `exits`: also one that closes.
        """
        order = desk.under_way
        if order is None or (order.is_exit and not exits):
            return
        desk.cancel_wanted = True
        if self.by_hand:
            self._waiting.append(desk)
        else:
            desk.nudge.set()

    def wake(self, desk: Desk) -> None:
        """Something waits at the desk: decide it as soon as it may be decided."""
        if self.is_closed:
            desk.target, desk.flatten = None, False
        if desk.busy or self.nursery is None or Block.RECONCILING in desk.blocks:
            return  # it waits, and is looked at when that is over
        if desk.is_settled():
            desk.target = None
            return
        desk.busy = True
        self._working += 1
        if self.by_hand:
            self._waiting.append(desk)
        else:
            self.nursery.start_soon(self._work, desk)

    @property
    def waiting(self) -> int:
        """How often `work_next` has something to do."""
        return len(self._waiting)

    async def work_next(self) -> None:
        """Decide for the desk that waits longest, or have its order looked at.

        Returns when its order has ended, so a caller who must not wait for one that rests calls
        it in a task.
        """
        desk = self._waiting.popleft()
        if desk.under_way is not None:
            desk.nudge.set()
        elif desk.busy:  # else its order had ended before it was called back
            await self._work(desk)

    @contextmanager
    def occupied(self, desk: Desk) -> Iterator[None]:
        """Nothing of the desk is decided meanwhile."""
        desk.busy = True
        self._working += 1
        try:
            yield
        finally:
            self._rest(desk)

    async def drain(self) -> None:
        """Returns once no order is under way; the caller bounds it."""
        while self._working:
            self._idle = trio.Event()
            await self._idle.wait()

    async def _work(self, desk: Desk) -> None:
        try:
            while desk.has_work:
                reason = "flatten" if desk.flatten else "signal"
                data = self.data(desk.symbol)
                verdict = decide(
                    desk,
                    self.account,
                    self.rules(),
                    client_id=lambda: self.ids.make(self.execution.journal.reserve()),
                    now=trio.current_time(),
                    data=data,
                )
                if isinstance(verdict, Order):
                    if reason == "flatten":
                        self._tell_flatten(verdict, data)
                    await self._execute(desk, verdict, reason)
                    if not self.is_closed:
                        desk.go_on()
                elif verdict is not None:
                    self.execution.deny(desk, verdict)
        finally:
            self._rest(desk)

    def _rest(self, desk: Desk) -> None:
        desk.busy = False
        self._working -= 1
        if not self._working:
            self._idle.set()

    async def _execute(self, desk: Desk, order: Order, reason: str) -> None:
        # `under_way` is set before the first await, so that the next symbol's risk counts it.
        desk.begin(order)
        self.account.count_order(desk, trio.current_time())
        incarnation = desk.incarnation
        try:
            await self.execution.journal.append(
                IntentEntry(
                    seq=OrderIds.sequence(order.client_id),
                    order=order,
                    incarnation=incarnation,
                    reason=reason,
                    wall_ms=self.execution.wall_ms(),
                    market_ms=self.market_ms(),
                )
            )
            is_flatten = reason == "flatten"
            if self._may_still_send(desk, order, incarnation, is_flatten=is_flatten):
                if order.price is not None:
                    desk.expires_at = trio.current_time() + self.rules().entry.timeout
                await self.execution.send(desk, order)
                if desk.has_expired and desk.entering:
                    self._tell_expired(desk, order)
            else:
                withdrawn = "withdrawn: the engine or the fleet stopped before the send"
                answer = OrderReport(
                    client_id=order.client_id, status=OrderStatus.CANCELED, reason=withdrawn
                )
                await self.execution.settle(desk, answer)
        except JournalUnavailable as exc:
            self.execution.deny(desk, Denial(reason="journal", detail=str(exc)))
        finally:
            desk.under_way = None

    def _may_still_send(
        self, desk: Desk, order: Order, incarnation: int, *, is_flatten: bool
    ) -> bool:
        """The world may have changed while the intent became durable."""
        state = self.account.trading_state
        if desk.blocks or self.is_closed:
            return False
        if is_flatten:
            return True
        if desk.cancel_wanted:
            return False
        if state is TradingState.HALTED or desk.incarnation != incarnation:
            return False
        if order.is_exit:
            return desk.permission is not Permission.NONE
        return desk.permission is Permission.ALL and state is TradingState.ACTIVE

    def _tell_flatten(self, order: Order, data: DataState) -> None:
        text = f"{order.side} {plain(order.quantity)} at the market"
        if silence := overdue(self.rules().risk, data):
            text += f", at whatever it is: {silence}"
        self.execution.report("flatten", text, engine=order.symbol)

    def _tell_expired(self, desk: Desk, order: Order) -> None:
        got = f"{plain(desk.filled)} of {plain(order.quantity)} bought"
        timeout = self.rules().entry.timeout
        text = f"{got} at {plain(order.price or Decimal(0))} in {timeout:g} s, the rest cancelled"
        self.execution.report("entry_expired", text, engine=desk.symbol, client_id=order.client_id)
