"""Halts and releases the fleet's trading, and journals what losses are measured against."""

from collections.abc import Sequence
from typing import Protocol

import attrs

from levitrio.errors import JournalUnavailable
from levitrio.gateway.account import Account
from levitrio.gateway.context import GatewayContext, OrderJournal
from levitrio.gateway.order_dispatch import OrderDispatcher
from levitrio.gateway.symbol_state import SymbolState
from levitrio.records.journal.entries import DayEntry, Entry, EquityEntry, HaltEntry
from levitrio.trading.risk import TradingState


class TradingControl(Protocol):
    """What the loss limiter and the balance monitor do to the fleet.

    The loss limiter calls `force_trading_state` and `flatten_all` when a limit is reached, and
    `record_equity` when a day begins or equity has a new peak. The balance monitor calls
    `halt_soon` for a foreign account, and `record_equity` when the capital has changed.
    """

    def halt_soon(self, reason: str) -> None:
        """Halt at once; journaled by a task of the gateway. No effect while halted."""

    async def force_trading_state(self, state: TradingState, reason: str) -> None:
        """Put a trading state in force, journaled if the journal can."""

    def flatten_all(self) -> None:
        """Close every position, also while halted."""

    async def record_equity(self, rolled: Sequence[SymbolState] = ()) -> None:
        """Journal the account's capital, day and peak, and the day start of `rolled` symbols."""


@attrs.define(eq=False, kw_only=True)
class JournaledTradingControl:
    """Trading control that keeps its decisions in the journal."""

    account: Account
    dispatch: OrderDispatcher
    journal: OrderJournal
    context: GatewayContext

    def halt_now(self, reason: str) -> None:
        """Halt in memory and cancel what rests; `set_trading_state` then makes it durable."""
        self.account.trading_state, self.account.trading_reason = TradingState.HALTED, reason
        for state in self.account.symbol_states.values():
            self.dispatch.cancel_resting(state, exits=True)

    def halt_soon(self, reason: str) -> None:
        """Halt at once; journaled by a task of the gateway. No effect while halted."""
        if self.account.trading_state is TradingState.HALTED:
            return
        self.halt_now(reason)
        if self.dispatch.nursery is not None:
            self.dispatch.nursery.start_soon(self.force_trading_state, TradingState.HALTED, reason)

    async def set_trading_state(self, state: TradingState, reason: str) -> None:
        """Change what the fleet may do: journal it first, then put it in force.

        A halt is in force before it is durable, because no order may slip through meanwhile.

        Raises:
            JournalUnavailable: The change cannot be kept. A halt stays in force all the same.
        """
        if state is TradingState.HALTED:
            self.halt_now(reason)
        wall_ms = self.context.wall_ms()
        await self.journal.append(HaltEntry(trading_state=state, reason=reason, wall_ms=wall_ms))
        self._put_in_force(state, reason)
        text = f"trading is {state}" + (f": {reason}" if reason else "")
        self.context.report("trading_state", text)

    async def force_trading_state(self, state: TradingState, reason: str) -> None:
        """Put a trading state in force, journaled if the journal can."""
        try:
            await self.set_trading_state(state, reason)
        except JournalUnavailable as exc:
            # No order leaves without a journal; a loss limit must not end the fleet as well.
            self._put_in_force(state, reason)
            text = f"trading is {state}, but not journaled: {exc}"
            self.context.report("journal_trouble", text)

    async def unhalt(self) -> None:
        """Let the fleet trade again, for the operator; the drawdown is measured from here.

        Raises:
            JournalUnavailable: The fleet stays halted.
        """
        await self.set_trading_state(TradingState.ACTIVE, "")
        self.account.peak_equity = self.account.equity()
        await self.record_equity()

    def flatten_all(self) -> None:
        """Close every position, also while halted."""
        for state in self.account.symbol_states.values():
            self.dispatch.flatten(state)

    async def record_equity(self, rolled: Sequence[SymbolState] = ()) -> None:
        """Journal the account's capital, day and peak, and the day start of `rolled` symbols."""
        account, wall_ms = self.account, self.context.wall_ms()
        entries: list[Entry] = [
            DayEntry(
                symbol=state.symbol,
                day=account.day,
                total_pnl=state.position.day_start_pnl,
                wall_ms=wall_ms,
            )
            for state in rolled
        ]
        equity = EquityEntry(
            account=account.name,
            day=account.day,
            capital=account.capital,
            day_capital=account.day_capital,
            peak_equity=account.peak_equity,
            wall_ms=wall_ms,
        )
        try:
            await self.journal.append(*entries, equity)
        except JournalUnavailable as exc:
            # These entries only measure; no order leaves without a journal anyway.
            what = f"the day {account.day}" if rolled else "the account's equity"
            self.context.report("journal_trouble", f"{what} is not journaled: {exc}")

    def _put_in_force(self, trading_state: TradingState, reason: str) -> None:
        self.account.trading_state, self.account.trading_reason = trading_state, reason
        if trading_state is TradingState.REDUCING:
            for state in self.account.symbol_states.values():
                self.dispatch.cancel_resting(state, exits=False)
