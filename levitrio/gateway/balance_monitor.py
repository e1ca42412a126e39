"""Reads the account's balances from the venue, and keeps the fleet's capital in step with them.

    capital = the venue's balance of the quote asset - what the fleet's fills moved of it

Capital changes by deposits, withdrawals and trades of other users of the account. A difference
counts when two readings agree on it: at the first a fill may still be on its way. Equity is
capital and profit, so no entry can be sized or sent before the first reading. Coins that no fill
of the fleet explains are not part of its equity.
"""

from collections.abc import Callable
from decimal import Decimal

import attrs
import trio

from levitrio.gateway.account import ZERO, Account
from levitrio.gateway.context import Report
from levitrio.gateway.symbol_state import Block, SymbolState
from levitrio.gateway.trading_control import TradingControl
from levitrio.trading.amounts import format_amount
from levitrio.venues.base import Broker, BrokerUnavailable

PERIOD = 60.0
"""Seconds between two readings while nothing changes."""

CONFIRM = 5.0
"""Seconds between the two readings that must agree: longer than a fill needs to arrive."""

RETRY = 1.0
"""Seconds until the next try when a fill came in during a reading."""

RETRY_MAX = 30.0
"""Longest pause in seconds between two tries while the venue cannot be asked."""

PATIENCE = 30.0
"""Longest wait in seconds for unknown outcomes and missing prices: one symbol that never gets
them must not keep the others from trading."""

LOOK = 0.25
"""Seconds between two looks during that wait."""

TOLERANCE = Decimal("0.000001")
"""Difference that is no change, as a fraction of the capital: the venue rounds each fill."""


@attrs.frozen(kw_only=True)
class BalanceReading:
    """Capital and missing positions, as one answer of the venue shows them."""

    capital: Decimal
    missing: frozenset[str] = frozenset()
    """Symbols of which the venue holds less than the fleet's fills, by more than dust."""

    def agrees(self, other: "BalanceReading") -> bool:
        """Whether both show the same, but for rounding."""
        apart = abs(self.capital - other.capital)
        return self.missing == other.missing and apart <= TOLERANCE * abs(other.capital)


@attrs.define(eq=False, kw_only=True)
class BalanceMonitor:
    """Compares the account's capital with the venue's balances for as long as it runs."""

    account: Account
    broker: Broker
    quote_asset: str
    cash: Decimal
    """Capital of a paper account: `[broker] cash`, which may have changed since the last run."""
    control: TradingControl
    report: Report
    _wake: trio.Event = attrs.field(factory=trio.Event)

    async def run(self) -> None:
        """Read at once, each minute, and after each `look_soon`; on paper once, then return."""
        candidate: BalanceReading | None = None
        while True:
            self._wake = trio.Event()
            reading = await self._read()
            if reading is None:
                if self.cash != self.account.capital:
                    await self._adopt(BalanceReading(capital=self.cash))
                return
            pause = PERIOD
            is_first = not self.account.is_capital_known and self.account.capital == ZERO
            if reading.agrees(self._believed()):
                candidate = None
                self.account.is_capital_known = True
            elif candidate is not None and reading.agrees(candidate):
                candidate = None
                await self._adopt(reading)
            elif is_first and not reading.missing:
                await self._adopt(reading)
            else:
                candidate, pause = reading, CONFIRM
            with trio.move_on_after(pause):
                await self._wake.wait()
                # Woken early: the reading that confirms must come a whole `pause` later.
                candidate = None

    def look_soon(self) -> None:
        """Read now, because a change may have been missed."""
        self._wake.set()

    def _believed(self) -> BalanceReading:
        missing = (
            s for s, d in self.account.symbol_states.items() if Block.MISSING_BALANCE in d.blocks
        )
        return BalanceReading(capital=self.account.capital, missing=frozenset(missing))

    async def _read(self) -> BalanceReading | None:
        """Take a reading during which no fill came in; None for a paper account."""
        pause = RETRY
        while True:
            await self._until(self._is_settled)
            before = self.account.quote_moved()
            try:
                held = await self.broker.balances()
            except BrokerUnavailable as exc:
                text = f"the account's balances cannot be read: {exc}"
                self.report("balances_unread", text)
                await trio.sleep(pause)
                pause = min(RETRY_MAX, pause * 2)
                continue
            if held is None:
                return None
            if not await self._recognise(held.account):
                await trio.sleep(PERIOD)
                continue
            moved = self.account.quote_moved()
            if moved == before:
                return BalanceReading(
                    capital=held.balances.get(self.quote_asset, ZERO) - moved,
                    missing=frozenset(
                        symbol
                        for symbol, state in self.account.symbol_states.items()
                        if _is_missing(state, held.balances.get(state.position.base_asset, ZERO))
                    ),
                )
            await trio.sleep(RETRY)

    async def _recognise(self, name: str) -> bool:
        """Whether this is the journal's account; halts the fleet when it is another."""
        account = self.account
        venue, _, number = account.name.partition(":")
        if number and name not in (account.name, venue):
            self.control.halt_soon(
                f"the key belongs to account {name}, the journal to {account.name}: "
                "give each account its own [fleet] data_dir"
            )
            return False
        if not number and name != account.name:
            account.name = name
            await self.control.record_equity()
        return True

    async def _until(self, is_so: Callable[[], bool]) -> None:
        """Wait for a condition, at most `PATIENCE` seconds."""
        with trio.move_on_after(PATIENCE):
            while not is_so():  # noqa: ASYNC110  many tasks bring it about, none could set an event
                await trio.sleep(LOOK)

    def _is_settled(self) -> bool:
        return not any(map(_is_unsettled, self.account.symbol_states.values()))

    async def _adopt(self, reading: BalanceReading) -> None:
        account = self.account
        before, was_known = account.capital, account.is_capital_known
        moved = abs(reading.capital - before) > TOLERANCE * abs(before)
        if moved:
            # Every position needs its price: day start and peak move in proportion to equity.
            await self._until(account.is_marked)
            account.move_capital(reading.capital)
        account.is_capital_known = True
        for symbol, state in account.symbol_states.items():
            self._judge(state, is_missing=symbol in reading.missing)
        if not moved:
            return
        now = f"capital {format_amount(reading.capital)}, equity {format_amount(account.equity())}"
        if was_known or before:
            word = "put in" if reading.capital > before else "taken out"
            text = (
                f"{format_amount(abs(reading.capital - before))} {self.quote_asset} {word}: {now}"
            )
        else:
            text = f"read from the venue: {now} {self.quote_asset}"
        self.report("capital", text)
        await self.control.record_equity()

    def _judge(self, state: SymbolState, *, is_missing: bool) -> None:
        if is_missing and Block.MISSING_BALANCE not in state.blocks:
            state.block(Block.MISSING_BALANCE)
            bought = format_amount(state.position.quantity)
            text = (
                f"the venue holds less {state.position.base_asset} than the fleet has bought "
                f"({bought}), no order leaves until it is there again"
            )
            self.report("balance_missing", text, engine=state.symbol)
        elif not is_missing and Block.MISSING_BALANCE in state.blocks:
            state.unblock(Block.MISSING_BALANCE)
            self.report("balance_found", "the venue holds the position again", engine=state.symbol)


def _is_unsettled(state: SymbolState) -> bool:
    """Whether the venue may know of fills that the position does not include yet."""
    return bool(state.pending_reports) or not state.blocks.isdisjoint(
        (Block.RECONCILING, Block.UNKNOWN_OUTCOME)
    )


def _is_missing(state: SymbolState, held: Decimal) -> bool:
    return state.position.quantity > ZERO and state.in_flight is None and held < state.closable
