"""The door to money: what engines and operators ask, and what the venue tells, for the whole fleet.

The gateway outlives every engine and runs in a nursery of its own, so that cancelling an
engine never cancels an order half sent. One order per symbol is under way at a time; a signal
that arrives meanwhile replaces the one that waits, because a signal is a target, not an order.
"""

from collections.abc import Callable, Mapping

import attrs
import trio

from levitrio.errors import JournalUnavailable
from levitrio.gateway.account import Account
from levitrio.gateway.balance_monitor import BalanceMonitor
from levitrio.gateway.loss_limit import LossLimiter
from levitrio.gateway.order_decision import Rules
from levitrio.gateway.order_dispatch import OrderDispatcher
from levitrio.gateway.order_execution import OrderExecutor, OrderJournal, Report
from levitrio.gateway.order_ids import OrderIds
from levitrio.gateway.reconciliation import Reconciliation
from levitrio.gateway.symbol_state import Block, SymbolState
from levitrio.records.journal.entries import (
    DayEntry,
    Entry,
    EquityEntry,
    HaltEntry,
    History,
    OpenOrder,
)
from levitrio.strategies.base import Signal
from levitrio.trading.filters import SymbolFilters
from levitrio.trading.orders import Fill, OrderStatus
from levitrio.trading.risk import DataState, Permission, TradingState
from levitrio.venues.base import Broker, OrderReport


@attrs.define(eq=False, kw_only=True)
class Gateway:
    """One account's door. `run` in a nursery that outlives the engines'."""

    account: Account
    rules: Rules
    journal: OrderJournal
    broker: Broker
    quote_asset: str
    market_ms: Callable[[], int]
    wall_ms: Callable[[], int]
    data: Callable[[str], DataState]
    """How far a symbol's data can be trusted now."""
    report: Report
    execution: OrderExecutor = attrs.field(init=False)
    dispatch: OrderDispatcher = attrs.field(init=False)
    reconciliation: Reconciliation = attrs.field(init=False)
    loss_limiter: LossLimiter = attrs.field(init=False)
    capital: BalanceMonitor = attrs.field(init=False)
    ids: OrderIds = attrs.field(init=False)
    _leftovers: dict[str, list[OpenOrder]] = attrs.field(factory=dict)
    """Of the last run, by symbol, until they are closed."""
    _nursery: trio.Nursery | None = None

    def __attrs_post_init__(self) -> None:
        self.ids = OrderIds(self.journal.token, lambda: self.journal.last_seq)
        self.execution = OrderExecutor(
            journal=self.journal, broker=self.broker, report=self.report, wall_ms=self.wall_ms
        )
        self.dispatch = OrderDispatcher(
            account=self.account,
            execution=self.execution,
            ids=self.ids,
            rules=lambda: self.rules,
            market_ms=self.market_ms,
            data=self.data,
        )
        self.reconciliation = Reconciliation(execution=self.execution, is_ours=self.ids.is_ours)
        self.loss_limiter = LossLimiter(
            account=self.account,
            market_ms=self.market_ms,
            set_state=self._loss_limiter,
            flatten_all=self.flatten_all,
            record_day=self._record_day,
            record_equity=self._record_equity,
            report=self.report,
        )
        self.capital = BalanceMonitor(
            account=self.account,
            broker=self.broker,
            quote_asset=self.quote_asset,
            cash=self.account.capital,
            record=self._record_equity,
            halt=self.halt_soon,
            report=self.report,
        )
        self.broker.listen(self._heard, self.reconcile_all)

    @property
    def symbol_states(self) -> Mapping[str, SymbolState]:
        return self.account.symbol_states

    # Life

    def restore(self, history: History) -> None:
        """Fold the journal: books from fills, days, and the trading state. Before `run`."""
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
        """Go on measuring where the last run did."""
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
        """Serve until cancelled. `drain` first: cancelling cuts orders that are under way.

        `by_hand` is for replay, whose time only goes on when the caller says so: nobody watches
        the losses but the caller, who lets `brake` look, and signals wait for `work_next`.
        """
        self.dispatch.manual = manual
        async with trio.open_nursery() as nursery:
            self._nursery = self.dispatch.nursery = nursery
            await nursery.start(self.broker.run)
            if not manual:
                nursery.start_soon(self.loss_limiter.run, lambda: self.rules.risk)
                nursery.start_soon(self.capital.run)
            self.reconcile_all()
            task_status.started()  # orders wait at their desks until these were compared

    def close(self) -> None:
        """The fleet ends: no order leaves from this instant, not even the operator's."""
        self.dispatch.is_closed = True
        for state in self.symbol_states.values():
            state.target, state.flatten = None, False
            self.dispatch.cancel_resting(state, exits=True)

    async def drain(self) -> None:
        """Returns once no order is under way; the caller bounds it."""
        await self.dispatch.drain()

    @property
    def waiting(self) -> int:
        """Desks that wait for `work_next`; always 0 unless run `by_hand`."""
        return self.dispatch.waiting

    async def work_next(self) -> None:
        """Decide for the desk that waits longest, in the caller's own task."""
        await self.dispatch.work_next()

    # What the venue holds

    def reconcile_all(self) -> None:
        """Compare every symbol with the venue; until then none of them sends anything."""
        for symbol in self.symbol_states:
            self.reconcile(symbol)
        self.capital.look_soon()

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

    def _heard(self, symbol: str, report: OrderReport) -> None:
        """The venue told something unasked: a fill, the end of an order, or a stranger's."""
        state = self.symbol_states.get(symbol)
        if state is None or self._nursery is None:
            return
        if not self.ids.is_ours(report.client_id):
            state.block(Block.FOREIGN_ORDER)
            text = f"order {report.client_id} is not ours, no order leaves"
            self.report("foreign_order", text, engine=symbol)
            return
        if state.contradicts(report):
            text = f"fills of order {report.client_id} that it cannot have: not booked, asked about"
            self.report("quarantine", text, engine=symbol)
            self.reconcile(symbol)
        elif report.fills:
            state.pending_reports.append(report)
            if len(state.pending_reports) == 1:
                self._nursery.start_soon(self._settle_told, state)
        else:
            state.recheck.set()

    async def _settle_told(self, state: SymbolState) -> None:
        """Book what was told unasked, in the venue's order; then its order is looked at.

        It proves fills, never an end: one of its fills may have been missed, and an order that
        the journal calls ended is not asked about again.
        """
        while state.pending_reports:
            heard = attrs.evolve(state.pending_reports[0], status=OrderStatus.PARTIALLY_FILLED)
            await self.execution.settle(state, heard)
            state.pending_reports.popleft()
        state.recheck.set()

    # What engines and operators ask

    def admit(
        self, symbol: str, incarnation: int, on_fill: Callable[[Fill], None]
    ) -> Callable[[Signal], None]:
        """Give an incarnation its `submit(signal)`; worthless once the next one is admitted."""
        state = self.symbol_states[symbol]
        state.incarnation = incarnation
        state.on_fill = on_fill
        state.target = None
        state.refused = 0

        def submit(signal: Signal) -> None:
            if state.incarnation == incarnation and state.permission is not Permission.NONE:
                self.dispatch.set_target(state, signal)

        return submit

    def permit(self, symbol: str, permission: Permission) -> None:
        """Set what an engine may do; losing all permission drops a signal that waits."""
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
        """Close a symbol's position by the operator's wish, also while halted.

        Returns False when there is nothing to close.
        """
        state = self.symbol_states[symbol]
        if not state.holds:
            return False
        state.flatten = True
        state.target = None
        if state.awaits_price:
            self.dispatch.cancel_resting(state, exits=False)
        self.dispatch.wake(state)
        return True

    def learn_market(self, symbol: str, filters: SymbolFilters, closed: str) -> None:
        """What the venue says of a symbol: its filters, and why it takes no orders, or nothing.

        A flatten that waits for the market goes when it opens; too late, it is told and forgotten.
        """
        state = self.symbol_states[symbol]
        state.rules, state.limit_rules = filters.rules(), filters.rules(is_market=False)
        state.closed = closed
        if closed or state.flatten_until is None:
            return
        is_late = trio.current_time() > state.flatten_until
        state.flatten_until = None
        if is_late:
            text = "the market opened too late for the flatten that waited; ask again"
            self.report("flatten_forgotten", text, engine=symbol)
        else:
            self.flatten(symbol)

    def flatten_all(self) -> None:
        """`flatten` for every symbol that holds something."""
        for symbol in self.symbol_states:
            self.flatten(symbol)

    def halt_now(self, reason: str) -> None:
        """No order leaves from this instant; `set_trading_state` then makes it durable."""
        self.account.trading_state, self.account.trading_reason = TradingState.HALTED, reason
        for state in self.symbol_states.values():
            self.dispatch.cancel_resting(state, exits=True)

    def halt_soon(self, reason: str) -> None:
        """Halted from this instant, durable as soon as the journal can; once is enough."""
        if self.account.trading_state is TradingState.HALTED:
            return
        self.halt_now(reason)
        if self._nursery is not None:
            self._nursery.start_soon(self._loss_limiter, TradingState.HALTED, reason)

    async def set_trading_state(self, state: TradingState, reason: str) -> None:
        """Change what the fleet may do: durable first, then visible.

        A halt is in force before it is durable, because no order may slip through meanwhile;
        if the journal cannot keep it, it stays in force and the caller gets JournalUnavailable.
        """
        if state is TradingState.HALTED:
            self.halt_now(reason)
        await self.journal.append(
            HaltEntry(trading_state=state, reason=reason, wall_ms=self.wall_ms())
        )
        self._put_in_force(state, reason)
        self.report("trading_state", f"trading is {state}" + (f": {reason}" if reason else ""))

    async def unhalt(self) -> None:
        """The operator lets the fleet trade again: a drawdown counts from here.

        Raises JournalUnavailable, and the fleet stays halted.
        """
        await self.set_trading_state(TradingState.ACTIVE, "")
        self.account.peak_equity = self.account.equity()
        await self._record_equity()

    def forgive(self, symbol: str) -> None:
        """The operator has looked at what was not ours; compare again, and trade."""
        self.symbol_states[symbol].unblock(Block.FOREIGN_ORDER)
        self.reconcile(symbol)
        self.capital.look_soon()

    def _put_in_force(self, trading_state: TradingState, reason: str) -> None:
        self.account.trading_state, self.account.trading_reason = trading_state, reason
        if trading_state is TradingState.REDUCING:
            for state in self.symbol_states.values():
                self.dispatch.cancel_resting(state, exits=False)

    async def _loss_limiter(self, state: TradingState, reason: str) -> None:
        try:
            await self.set_trading_state(state, reason)
        except JournalUnavailable as exc:
            # Without a journal no order leaves anyway; the brake must not end the fleet.
            self._put_in_force(state, reason)
            self.report("journal_trouble", f"trading is {state}, but not journaled: {exc}")

    async def _record_day(self, symbols: list[str], day: str) -> None:
        entries = [
            DayEntry(
                symbol=symbol,
                day=day,
                total_pnl=self.symbol_states[symbol].position.day_start_pnl,
                wall_ms=self.wall_ms(),
            )
            for symbol in symbols
        ]
        await self._keep(f"the day {day} is", *entries, self._equity())

    async def _record_equity(self) -> None:
        await self._keep("the account's equity is", self._equity())

    def _equity(self) -> EquityEntry:
        account = self.account
        return EquityEntry(
            account=account.name,
            day=account.day,
            capital=account.capital,
            day_capital=account.day_capital,
            peak_equity=account.peak_equity,
            wall_ms=self.wall_ms(),
        )

    async def _keep(self, what: str, *entries: Entry) -> None:
        """Journal what only measures: without a journal no order leaves anyway."""
        try:
            await self.journal.append(*entries)
        except JournalUnavailable as exc:
            self.report("journal_trouble", f"{what} not journaled: {exc}")
