"""Reconciles each symbol with the venue's orders and trades before anything is sent.

Done at start, after each reconnect and on resume. Differences are journaled and reported: a
missed fill of ours is applied because the venue proves it; an order or trade that is not ours
blocks the symbol until the operator has looked at it.
"""

from collections.abc import Iterable

import attrs
import trio

from levitrio.gateway.order_execution import OrderExecutor
from levitrio.gateway.order_ids import OrderIds
from levitrio.gateway.symbol_state import Block, SymbolState
from levitrio.records.journal.entries import OpenOrder
from levitrio.trading.orders import OrderStatus
from levitrio.venues.base import BrokerUnavailable, MassStatus, OrderReport

RETRY_FIRST = 1.0
RETRY_MAX = 30.0
"""Seconds between two attempts while the venue cannot be asked. A failed query is not "flat"."""


@attrs.define(eq=False, kw_only=True)
class Reconciliation:
    """Compares a symbol with the venue; one task of the gateway for each symbol."""

    execution: OrderExecutor
    ids: OrderIds

    async def close(self, state: SymbolState, leftovers: Iterable[OpenOrder]) -> None:
        """Ask until every order that the last run left open has ended.

        Cancelled, it leaves the rest open in the journal for the next start.
        """
        # No send of the last run can be later than this: `proof_after` counts from here.
        started_at = trio.current_time()
        broker = self.execution.broker
        for leftover in leftovers:
            order = leftover.order
            state.begin(order)
            if broker.proof_after == 0 and await broker.query(order) is None:
                # A paper order existed only in the process that has ended.
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
            text = f"order {order.client_id} of the last run has ended"
            self.execution.context.report("order_closed", text, engine=state.symbol)

    async def compare(self, state: SymbolState) -> None:
        """Ask until the venue answers, apply missed fills, and let orders out again.

        At most one task at a time calls it for a symbol. `state.missed` set meanwhile means
        asking again at once: an answer to an earlier question proves nothing about a later gap.
        Cancelled, it leaves the symbol blocked.
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
                self.execution.context.report("unreconciled", text, engine=state.symbol)
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
        report, is_ours = self.execution.context.report, self.ids.is_ours
        foreign = [o.client_id for o in mass_status.open_orders if not is_ours(o.client_id)]
        for fill in mass_status.trades:
            if state.has_applied(fill):
                continue
            if not is_ours(fill.client_id):
                foreign.append(f"trade {fill.trade_id}")
                continue
            text = f"missed fill {fill.trade_id} of {fill.client_id}: now in the position"
            report("reconciled", text, engine=state.symbol)
            missed = OrderReport(
                client_id=fill.client_id, status=OrderStatus.PARTIALLY_FILLED, fills=(fill,)
            )
            await self.execution.settle(state, missed)
        if foreign:
            state.block(Block.FOREIGN_ORDER)
            names = ", ".join(foreign)[:500]
            text = f"not sent by this fleet: {names}; no order leaves until `levi ctl reset`"
            report("foreign_order", text, engine=state.symbol)
