"""The account's only way to the venue: takes signals and commands, sends orders, applies fills.

The gateway outlives every engine and runs in a nursery of its own, so that cancelling an
engine never cancels an order half sent. One order per symbol is in flight at a time; a signal
that arrives meanwhile replaces the pending one, because a signal is a target, not an order.
"""

from collections.abc import Callable, Mapping

import attrs
import trio

from levitrio.gateway.account import Account
from levitrio.gateway.balance_monitor import BalanceMonitor
from levitrio.gateway.context import GatewayContext, OrderJournal
from levitrio.gateway.loss_limit import LossLimiter
from levitrio.gateway.order_decision import Rules
from levitrio.gateway.order_dispatch import OrderDispatcher
from levitrio.gateway.order_execution import OrderExecutor
from levitrio.gateway.order_ids import OrderIds
from levitrio.gateway.reconciliation import Reconciliation
from levitrio.gateway.symbol_state import Block, SymbolState
from levitrio.gateway.trading_control import JournaledTradingControl
from levitrio.records.journal.entries import EquityEntry, History, OpenOrder
from levitrio.strategies.base import Signal
from levitrio.trading.filters import SymbolFilters
from levitrio.trading.orders import Fill, OrderStatus
from levitrio.trading.risk import Permission, TradingState
from levitrio.venues.base import Broker, OrderReport


@attrs.define(eq=False, kw_only=True)
class Gateway:
    """The gateway of one account. `run` it in a nursery that outlives the engines'."""

    account: Account
    rules: Rules
    """Rules now in force; a reload replaces them."""
    journal: OrderJournal
    broker: Broker
    quote_asset: str
    context: GatewayContext
    ids: OrderIds = attrs.field(init=False)
    execution: OrderExecutor = attrs.field(init=False)
    dispatch: OrderDispatcher = attrs.field(init=False)
    control: JournaledTradingControl = attrs.field(init=False)
    reconciliation: Reconciliation = attrs.field(init=False)
    loss_limiter: LossLimiter = attrs.field(init=False)
    balance_monitor: BalanceMonitor = attrs.field(init=False)
    _leftovers: dict[str, list[OpenOrder]] = attrs.field(factory=dict)
    """Orders the last run left open, by symbol, until they have ended."""
    _nursery: trio.Nursery | None = None

    def __attrs_post_init__(self) -> None:
        account, context, journal = self.account, self.context, self.journal
        self.ids = OrderIds(journal.token, lambda: journal.last_seq)
        self.execution = OrderExecutor(journal=journal, broker=self.broker, context=context)
        self.dispatch = OrderDispatcher(
            account=account, execution=self.execution, ids=self.ids, rules=lambda: self.rules
        )
        self.control = JournaledTradingControl(
            account=account, dispatch=self.dispatch, journal=journal, context=context
        )
        self.reconciliation = Reconciliation(execution=self.execution, ids=self.ids)
        self.loss_limiter = LossLimiter(account=account, control=self.control, context=context)
        self.balance_monitor = BalanceMonitor(
            account=account,
            broker=self.broker,
            quote_asset=self.quote_asset,
            cash=account.capital,
            control=self.control,
            report=context.report,
        )
        self.broker.listen(self)

    @property
    def symbol_states(self) -> Mapping[str, SymbolState]:
        """The account's symbols, those without an engine included."""
        return self.account.symbol_states

    # Start and end

    def restore(self, history: History) -> None:
        """Fold the journal: positions from fills, day starts, trading state. Before `run`."""
        for fill in history.fills:
            if (state := self.symbol_states.get(fill.symbol)) is not None:
                state.apply(fill)
        for leftover in history.open_orders:
            self._leftovers.setdefault(leftover.order.symbol, []).append(leftover)
        for symbol, (day, pnl) in history.days.items():
            if (state := self.symbol_states.get(symbol)) is not None:
                state.position.day, state.position.day_start_pnl = day, pnl
        self.account.trading_state = TradingState(history.trading_state)
        self.account.trading_reason = history.trading_reason
        self._restore_equity(history.equity)

    def _restore_equity(self, newest: EquityEntry | None) -> None:
        """Continue the last run's capital, day and peak."""
        account = self.account
        if newest is None:
            account.peak_equity = account.equity()
            return
        account.name = newest.account
        account.day, account.day_capital = newest.day, newest.day_capital
        account.capital, account.peak_equity = newest.capital, newest.peak_equity

    async def run(
        self,
        *,
        manual: bool = False,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled. `drain` first: cancelling interrupts orders in flight.

        Args:
            manual: For replay, whose time advances only by the caller: signals wait for
                `work_next`, and the caller calls `loss_limiter.look`; balances are not read.
            task_status: Started once the broker runs and reconciliation has begun.
        """
        self.dispatch.manual = manual
        async with trio.open_nursery() as nursery:
            self._nursery = self.dispatch.nursery = nursery
            await nursery.start(self.broker.run)
            if not manual:
                nursery.start_soon(self.loss_limiter.run, lambda: self.rules.risk)
                nursery.start_soon(self.balance_monitor.run)
            self.reconcile_all()
            task_status.started()  # each symbol's orders wait until it has been reconciled

    def close(self) -> None:
        """Let no order leave any more, not even the operator's: the fleet ends."""
        self.dispatch.is_closed = True
        for state in self.symbol_states.values():
            state.target, state.flatten = None, False
            self.dispatch.cancel_resting(state, exits=True)

    async def drain(self) -> None:
        """Return once no order is in flight; the caller sets the deadline."""
        await self.dispatch.drain()

    @property
    def waiting(self) -> int:
        """Number of symbols that wait for `work_next`; always 0 unless run with `manual`."""
        return self.dispatch.waiting

    async def work_next(self) -> None:
        """Decide for the symbol that waits longest, in the caller's own task."""
        await self.dispatch.work_next()

    # Reconciliation and reports of the venue

    def reconcile_all(self) -> None:
        """Compare every symbol with the venue; each sends nothing until it has been compared."""
        for symbol in self.symbol_states:
            self.reconcile(symbol)
        self.balance_monitor.look_soon()

    def reconcile(self, symbol: str) -> None:
        """Compare one symbol with the venue, in a task of the gateway."""
        state = self.symbol_states[symbol]
        state.block(Block.RECONCILING)
        state.missed.set()
        if self._nursery is not None and not state.is_comparing:
            state.is_comparing = True
            self._nursery.start_soon(self._reconcile, state)

    async def _reconcile(self, state: SymbolState) -> None:
        leftovers = self._leftovers.pop(state.symbol, [])
        if leftovers:
            with self.dispatch.occupied(state):
                await self.reconciliation.close(state, leftovers)
        await self.reconciliation.compare(state)
        state.is_comparing = False
        if state.has_work:
            self.dispatch.wake(state)

    def take_report(self, symbol: str, report: OrderReport) -> None:
        """Take a report that the venue pushed: a fill, an order's end, or a foreign order."""
        state = self.symbol_states.get(symbol)
        if state is None or self._nursery is None:
            return
        if not self.ids.is_ours(report.client_id):
            state.block(Block.FOREIGN_ORDER)
            text = f"order {report.client_id} is not ours, no order leaves"
            self.context.report("foreign_order", text, engine=symbol)
            return
        if state.contradicts(report):
            text = f"fills that order {report.client_id} cannot have: ignored, the venue is asked"
            self.context.report("quarantine", text, engine=symbol)
            self.reconcile(symbol)
        elif report.fills:
            state.pending_reports.append(report)
            if len(state.pending_reports) == 1:
                self._nursery.start_soon(self._settle_pending, state)
        else:
            state.recheck.set()

    async def _settle_pending(self, state: SymbolState) -> None:
        """Apply pushed fills in the venue's order; then the order in flight is asked about."""
        while state.pending_reports:
            # A push proves fills, never an end: an earlier fill may have been missed, and an
            # order that the journal calls ended is not asked about again.
            report = attrs.evolve(state.pending_reports[0], status=OrderStatus.PARTIALLY_FILLED)
            await self.execution.settle(state, report)
            state.pending_reports.popleft()
        state.recheck.set()

    # Signals and commands

    def admit(self, symbol: str, incarnation: int) -> Callable[[Signal], None]:
        """Return an incarnation's `submit(signal)`; it does nothing once the next is admitted.

        Signals of earlier incarnations no longer count. `send_fills` then names who gets the fills.
        """
        state = self.symbol_states[symbol]
        state.incarnation = incarnation
        state.on_fill = None
        state.target = None
        state.refused = 0

        def submit(signal: Signal) -> None:
            if state.incarnation == incarnation and state.permission is not Permission.NONE:
                self.dispatch.set_target(state, signal)

        return submit

    def send_fills(self, symbol: str, on_fill: Callable[[Fill], None]) -> None:
        """Call `on_fill` with each fill of a symbol, until the next incarnation is admitted.

        The fill has the position after it. `on_fill` must neither block nor raise.
        """
        self.symbol_states[symbol].on_fill = on_fill

    def permit(self, symbol: str, permission: Permission) -> None:
        """Set what an engine may do; without any permission its pending signal is dropped."""
        state = self.symbol_states[symbol]
        was, state.permission = state.permission, permission
        if permission is Permission.NONE:
            state.target = None
            state.on_fill = None
        if permission is not Permission.ALL:
            self.dispatch.cancel_resting(state, exits=permission is Permission.NONE)
        if was is Permission.EXITS and permission is Permission.ALL:
            self.reconcile(symbol)

    def flatten(self, symbol: str) -> bool:
        """Close a symbol's position for the operator, also while halted.

        Returns:
            False when there is nothing to close.
        """
        return self.dispatch.flatten(self.symbol_states[symbol])

    def learn_market(self, symbol: str, filters: SymbolFilters, closed: str) -> None:
        """Take a symbol's filters and status from the venue; `closed` is empty while it trades.

        A flatten that waits for the market goes when it opens; if that is too late, it is
        reported and dropped.
        """
        state = self.symbol_states.get(symbol)
        if state is None:
            return
        state.rules, state.limit_rules = filters.rules(), filters.rules(is_market=False)
        state.closed = closed
        if closed or state.flatten_until is None:
            return
        is_late = trio.current_time() > state.flatten_until
        state.flatten_until = None
        if is_late:
            text = "the market opened too late for the flatten that waited; ask again"
            self.context.report("flatten_forgotten", text, engine=symbol)
        else:
            self.flatten(symbol)

    def forgive(self, symbol: str) -> None:
        """Remove the block for a foreign order after the operator has looked; compare again."""
        self.symbol_states[symbol].unblock(Block.FOREIGN_ORDER)
        self.reconcile(symbol)
        self.balance_monitor.look_soon()

    # Trading state of the fleet

    def flatten_all(self) -> None:
        """Close every position, also while halted."""
        self.control.flatten_all()

    def halt_now(self, reason: str) -> None:
        """Halt in memory and cancel what rests; `set_trading_state` then makes it durable."""
        self.control.halt_now(reason)

    def halt_soon(self, reason: str) -> None:
        """Halt at once; journaled by a task of the gateway. No effect while halted."""
        self.control.halt_soon(reason)

    async def set_trading_state(self, state: TradingState, reason: str) -> None:
        """Change what the fleet may do: journal it first, then put it in force.

        Raises:
            JournalUnavailable: The change cannot be kept. A halt stays in force all the same.
        """
        await self.control.set_trading_state(state, reason)

    async def unhalt(self) -> None:
        """Let the fleet trade again, for the operator; the drawdown is measured from here.

        Raises:
            JournalUnavailable: The fleet stays halted.
        """
        await self.control.unhalt()
