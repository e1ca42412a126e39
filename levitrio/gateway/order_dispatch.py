"""Turns a symbol's pending target into orders, one at a time: decide, journal, send.

    signal -> size -> risk -> journal (durable) -> broker -> journal -> position -> on_fill

Each symbol with work has a task of its own in the gateway's nursery.
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
    """Decides pending targets and sends the orders that follow."""

    account: Account
    execution: OrderExecutor
    ids: OrderIds
    rules: Callable[[], Rules]
    """Returns the rules now in force; called for each decision, because a reload replaces them."""
    nursery: trio.Nursery | None = None
    """The gateway's, from its `run` on; until then targets wait."""
    manual: bool = False
    """Whether the caller works through `work_next` instead of tasks in the nursery."""
    is_closed: bool = False
    """Set when the fleet ends: no order leaves any more."""
    _waiting: deque[SymbolState] = attrs.field(factory=deque)
    """Symbols with work, if `manual`."""
    _idle: trio.Event = attrs.field(factory=trio.Event)
    """Set when no symbol has a task any more."""
    _working: int = 0
    """Number of symbols with a task, or waiting for `work_next`."""

    def set_target(self, state: SymbolState, target: Signal) -> None:
        """Take an engine's newest target; an entry that rests for the same one stays."""
        if state.awaits_price:
            if target.side == "long":
                return
            self.cancel_resting(state, exits=False)
        state.target = target
        self.wake(state)

    def flatten(self, state: SymbolState) -> bool:
        """Close a position for the operator; returns False when there is none to close."""
        if not state.holds:
            return False
        state.flatten = True
        state.target = None
        if state.awaits_price:
            self.cancel_resting(state, exits=False)
        self.wake(state)
        return True

    def cancel_resting(self, state: SymbolState, *, exits: bool) -> None:
        """Cancel the order in flight, or keep it from being sent; an exit only if `exits`."""
        order = state.in_flight
        if order is None or (order.is_exit and not exits):
            return
        state.cancel_wanted = True
        if self.manual:
            self._waiting.append(state)
        else:
            state.recheck.set()

    def wake(self, state: SymbolState) -> None:
        """Have a pending target or flatten decided as soon as it may be."""
        if self.is_closed:
            state.target, state.flatten = None, False
        if state.busy or self.nursery is None or Block.RECONCILING in state.blocks:
            return  # `_work` looks again after each order, reconciliation wakes when it is done
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
        """Number of calls of `work_next` that have something to do."""
        return len(self._waiting)

    async def work_next(self) -> None:
        """Decide for the symbol that waits longest, or have its order in flight looked at.

        Returns when the order has ended; a caller that must not wait for a resting order starts
        this in a task.
        """
        state = self._waiting.popleft()
        if state.in_flight is not None:
            state.recheck.set()
        elif state.busy:  # otherwise its order ended before the cancel was worked on
            await self._work(state)

    @contextmanager
    def occupied(self, state: SymbolState) -> Iterator[None]:
        """Let nothing of the symbol be decided inside the block."""
        state.busy = True
        self._working += 1
        try:
            yield
        finally:
            self._rest(state)

    async def drain(self) -> None:
        """Return once no order is in flight; the caller sets the deadline."""
        while self._working:
            self._idle = trio.Event()
            await self._idle.wait()

    async def _work(self, state: SymbolState) -> None:
        try:
            while state.has_work:
                reason = "flatten" if state.flatten else "signal"
                data = self.execution.context.data_state(state.symbol)
                decision = decide(
                    state,
                    self.account,
                    self.rules(),
                    client_id=lambda: self.ids.make(self.execution.journal.reserve()),
                    now=trio.current_time(),
                    data=data,
                )
                if isinstance(decision, Order):
                    if reason == "flatten":
                        self._report_flatten(decision, data)
                    await self._execute(state, decision, reason)
                    if not self.is_closed:
                        state.continue_exit()
                elif decision is not None:
                    self.execution.deny(state, decision)
        finally:
            self._rest(state)

    def _rest(self, state: SymbolState) -> None:
        state.busy = False
        self._working -= 1
        if not self._working:
            self._idle.set()

    async def _execute(self, state: SymbolState, order: Order, reason: str) -> None:
        # `in_flight` is set before the first await, so that the next symbol's risk counts it.
        state.begin(order)
        self.account.count_order(state, trio.current_time())
        incarnation, context = state.incarnation, self.execution.context
        try:
            await self.execution.journal.append(
                IntentEntry(
                    seq=OrderIds.sequence(order.client_id),
                    order=order,
                    incarnation=incarnation,
                    reason=reason,
                    wall_ms=context.wall_ms(),
                    market_ms=context.market_ms(),
                )
            )
            is_flatten = reason == "flatten"
            if self._may_still_send(state, order, incarnation, is_flatten=is_flatten):
                if order.price is not None:
                    state.expires_at = trio.current_time() + self.rules().entry.timeout
                await self.execution.send(state, order)
                if state.has_expired and state.entering:
                    self._report_expired(state, order)
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
        """Whether the order may still leave after the wait for its intent to become durable."""
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

    def _report_flatten(self, order: Order, data: DataState) -> None:
        text = f"{order.side} {format_amount(order.quantity)} at the market"
        if silence := overdue(self.rules().risk, data):
            text += f", whatever its price: {silence}"
        self.execution.context.report("flatten", text, engine=order.symbol)

    def _report_expired(self, state: SymbolState, order: Order) -> None:
        got = f"{format_amount(state.filled)} of {format_amount(order.quantity)} bought"
        timeout = self.rules().entry.timeout
        price = format_amount(order.price or Decimal(0))
        text = f"{got} at {price} in {timeout:g} s, the rest cancelled"
        self.execution.context.report(
            "entry_expired", text, engine=state.symbol, client_id=order.client_id
        )
