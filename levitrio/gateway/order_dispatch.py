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
from levitrio.gateway.order_decision import Rules, decide
from levitrio.gateway.order_execution import OrderExecutor
from levitrio.gateway.order_ids import OrderIds
from levitrio.gateway.symbol_state import Block, SymbolState
from levitrio.records.journal.entries import IntentEntry
from levitrio.strategies.base import Signal
from levitrio.trading.amounts import format_amount
from levitrio.trading.orders import Order, OrderStatus
from levitrio.trading.risk import DataState, Denial, Permission, TradingState, overdue
from levitrio.venues.base import OrderReport


@attrs.define(eq=False, kw_only=True)
class OrderDispatcher:
    """Lets orders out. `nursery` is the gateway's, from its `run` on."""

    account: Account
    execution: OrderExecutor
    ids: OrderIds
    rules: Callable[[], Rules]
    market_ms: Callable[[], int]
    data: Callable[[str], DataState]
    """How far a symbol's data can be trusted now."""
    nursery: trio.Nursery | None = None
    manual: bool = False
    is_closed: bool = False
    """The fleet ends: nothing leaves any more."""
    _waiting: deque[SymbolState] = attrs.field(factory=deque)
    """Desks with work, when it is done by hand."""
    _idle: trio.Event = attrs.field(factory=trio.Event)
    _working: int = 0

    def set_target(self, state: SymbolState, target: Signal) -> None:
        """An engine's newest target. An entry that rests for the same one is left in peace."""
        if state.awaits_price:
            if target.side == "long":
                return
            self.cancel_resting(state, exits=False)
        state.target = target
        self.wake(state)

    def cancel_resting(self, state: SymbolState, *, exits: bool) -> None:
        """Have the order under way cancelled at once if it rests, and not sent if it was not yet.

        `exits`: also one that closes.
        """
        order = state.in_flight
        if order is None or (order.is_exit and not exits):
            return
        state.cancel_wanted = True
        if self.manual:
            self._waiting.append(state)
        else:
            state.recheck.set()

    def wake(self, state: SymbolState) -> None:
        """Something waits at the desk: decide it as soon as it may be decided."""
        if self.is_closed:
            state.target, state.flatten = None, False
        if state.busy or self.nursery is None or Block.RECONCILING in state.blocks:
            return  # it waits, and is looked at when that is over
        if state.is_settled():
            state.target = None
            return
        state.busy = True
        self._working += 1
        if self.manual:
            self._waiting.append(state)
        else:
            self.nursery.start_soon(self._work, state)

    @property
    def waiting(self) -> int:
        """How often `work_next` has something to do."""
        return len(self._waiting)

    async def work_next(self) -> None:
        """Decide for the desk that waits longest, or have its order looked at.

        Returns when its order has ended, so a caller who must not wait for one that rests calls
        it in a task.
        """
        state = self._waiting.popleft()
        if state.in_flight is not None:
            state.recheck.set()
        elif state.busy:  # else its order had ended before it was called back
            await self._work(state)

    @contextmanager
    def occupied(self, state: SymbolState) -> Iterator[None]:
        """Nothing of the desk is decided meanwhile."""
        state.busy = True
        self._working += 1
        try:
            yield
        finally:
            self._rest(state)

    async def drain(self) -> None:
        """Returns once no order is under way; the caller bounds it."""
        while self._working:
            self._idle = trio.Event()
            await self._idle.wait()

    async def _work(self, state: SymbolState) -> None:
        try:
            while state.has_work:
                reason = "flatten" if state.flatten else "signal"
                data = self.data(state.symbol)
                verdict = decide(
                    state,
                    self.account,
                    self.rules(),
                    client_id=lambda: self.ids.make(self.execution.journal.reserve()),
                    now=trio.current_time(),
                    data=data,
                )
                if isinstance(verdict, Order):
                    if reason == "flatten":
                        self._tell_flatten(verdict, data)
                    await self._execute(state, verdict, reason)
                    if not self.is_closed:
                        state.continue_exit()
                elif verdict is not None:
                    self.execution.deny(state, verdict)
        finally:
            self._rest(state)

    def _rest(self, state: SymbolState) -> None:
        state.busy = False
        self._working -= 1
        if not self._working:
            self._idle.set()

    async def _execute(self, state: SymbolState, order: Order, reason: str) -> None:
        # `under_way` is set before the first await, so that the next symbol's risk counts it.
        state.begin(order)
        self.account.count_order(state, trio.current_time())
        incarnation = state.incarnation
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
            if self._may_still_send(state, order, incarnation, is_flatten=is_flatten):
                if order.price is not None:
                    state.expires_at = trio.current_time() + self.rules().entry.timeout
                await self.execution.send(state, order)
                if state.has_expired and state.entering:
                    self._tell_expired(state, order)
            else:
                withdrawn = "withdrawn: the engine or the fleet stopped before the send"
                answer = OrderReport(
                    client_id=order.client_id, status=OrderStatus.CANCELED, reason=withdrawn
                )
                await self.execution.settle(state, answer)
        except JournalUnavailable as exc:
            self.execution.deny(state, Denial(reason="journal", detail=str(exc)))
        finally:
            state.in_flight = None

    def _may_still_send(
        self, state: SymbolState, order: Order, incarnation: int, *, is_flatten: bool
    ) -> bool:
        """The world may have changed while the intent became durable."""
        trading_state = self.account.trading_state
        if state.blocks or self.is_closed:
            return False
        if is_flatten:
            return True
        if state.cancel_wanted:
            return False
        if trading_state is TradingState.HALTED or state.incarnation != incarnation:
            return False
        if order.is_exit:
            return state.permission is not Permission.NONE
        return state.permission is Permission.ALL and trading_state is TradingState.ACTIVE

    def _tell_flatten(self, order: Order, data: DataState) -> None:
        text = f"{order.side} {format_amount(order.quantity)} at the market"
        if silence := overdue(self.rules().risk, data):
            text += f", at whatever it is: {silence}"
        self.execution.report("flatten", text, engine=order.symbol)

    def _tell_expired(self, state: SymbolState, order: Order) -> None:
        got = f"{format_amount(state.filled)} of {format_amount(order.quantity)} bought"
        timeout = self.rules().entry.timeout
        price = format_amount(order.price or Decimal(0))
        text = f"{got} at {price} in {timeout:g} s, the rest cancelled"
        self.execution.report("entry_expired", text, engine=state.symbol, client_id=order.client_id)
