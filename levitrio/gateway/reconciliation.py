"""What the venue holds of ours, compared with what we believe: before anything is sent.

At start, after each reconnect, and on resume. Differences are journaled and told, never
"fixed": a fill of ours that we missed is booked because the venue proves it; anything that is
not ours blocks the symbol until the operator has looked.
"""

from collections.abc import Callable, Iterable

import attrs
import trio

from levitrio.gateway.order_execution import OrderExecutor
from levitrio.gateway.symbol_state import Block, SymbolState
from levitrio.records.journal.entries import OpenOrder
from levitrio.trading.orders import OrderStatus
from levitrio.venues.base import BrokerUnavailable, MassStatus, OrderReport

RETRY_FIRST = 1.0
RETRY_MAX = 30.0
"""Seconds between two attempts while the venue cannot be asked. A failed query is not "flat"."""


@attrs.define(eq=False, kw_only=True)
class Reconciliation:
    """Compares one symbol after the other; each in its own task of the gateway."""

    execution: OrderExecutor
    is_ours: Callable[[str], bool]
    """Whether a client order id was made by this fleet."""

    async def close(self, state: SymbolState, leftovers: Iterable[OpenOrder]) -> None:
        """Find the end of every intent that the last run left open. Returns when all have one.

        Their sends cannot have been later than now, so the proof counts from here.
        """
        started_at = trio.current_time()
        broker = self.execution.broker
        for leftover in leftovers:
            order = leftover.order
            state.begin(order)
            if broker.proof_after == 0 and await broker.query(order) is None:
                # On paper an order died with the process that held it.
                gone = OrderReport(
                    client_id=order.client_id,
                    status=OrderStatus.CANCELED,
                    reason="the fleet ended before it was filled",
                )
                await self.execution.settle(state, gone)
            else:
                state.cancel_wanted = True
                await self.execution.follow(state, order, None, sent_at=started_at)
            state.in_flight = None
            text = f"order {order.client_id} of the last run has found its end"
            self.execution.report("order_closed", text, engine=state.symbol)

    async def compare(self, state: SymbolState) -> None:
        """Ask until the venue answers, book what was missed, and let orders out again.

        One task at a time for each desk. What is missed meanwhile (`desk.missed`) is asked for at
        once: an answer to a question that was put before it proves nothing.
        """
        pause = RETRY_FIRST
        while True:
            state.block(Block.RECONCILING)
            state.missed = trio.Event()
            try:
                mass_status = await self.execution.broker.mass_status(
                    state.symbol, state.last_trade_id
                )
            except BrokerUnavailable as exc:
                text = f"the venue cannot be asked, no order leaves: {exc}"
                self.execution.report("unreconciled", text, engine=state.symbol)
                with trio.move_on_after(pause):
                    await state.missed.wait()
                pause = min(RETRY_MAX, pause * 2)
                continue
            await self._adopt(state, mass_status)
            if not state.missed.is_set():
                state.unblock(Block.RECONCILING)
                state.ready.set()
                return

    async def _adopt(self, state: SymbolState, mass_status: MassStatus) -> None:
        report = self.execution.report
        foreign = [o.client_id for o in mass_status.open_orders if not self.is_ours(o.client_id)]
        for fill in mass_status.trades:
            if state.has_booked(fill):
                continue
            if not self.is_ours(fill.client_id):
                foreign.append(f"trade {fill.trade_id}")
                continue
            text = f"missed fill {fill.trade_id} of {fill.client_id}: booked"
            report("reconciled", text, engine=state.symbol)
            missed = OrderReport(
                client_id=fill.client_id, status=OrderStatus.PARTIALLY_FILLED, fills=(fill,)
            )
            await self.execution.settle(state, missed)
        if foreign:
            state.block(Block.FOREIGN_ORDER)
            text = f"somebody else trades here, no order leaves: {', '.join(foreign)[:500]}"
            report("foreign_order", text, engine=state.symbol)
