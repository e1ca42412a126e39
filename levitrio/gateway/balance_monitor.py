"""What the account holds besides what the fleet traded: the venue's balances, read and compared.

    capital = the venue's balance of the quote asset - what the fills in our books moved of it

Capital moves when somebody deposits, withdraws, or trades what is not the fleet's. A difference
counts once it was seen twice: the first time a fill may be on its way to us. Equity is capital
and profit, so until the venue has told for the first time no entry can be sized, and none leaves.
Coins that no fill of ours explains are not the fleet's, and not in its equity.
"""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import attrs
import trio

from levitrio.gateway.account import ZERO, Account
from levitrio.gateway.order_execution import Report
from levitrio.gateway.symbol_state import Block, SymbolState
from levitrio.trading.amounts import format_amount
from levitrio.venues.base import Broker, BrokerUnavailable

PERIOD = 60.0
"""Seconds between two readings while nothing has changed."""

CONFIRM = 5.0
"""Seconds between the two readings that must agree: longer than a fill needs to reach us."""

RETRY = 1.0
"""Seconds until another try when a fill came in while the venue was asked."""

RETRY_MAX = 30.0
"""Seconds, at most, between two tries while the venue cannot be asked."""

PATIENCE = 30.0
"""Seconds to wait for outcomes that are unknown and prices that are missing: one symbol that
never gets them must not keep the others from trading."""

LOOK = 0.25
"""Seconds between two looks whether they have come."""

TOLERANCE = Decimal("0.000001")
"""Of the capital: the venue rounds each fill to its own decimals."""


@attrs.frozen(kw_only=True)
class BalanceReading:
    """What one answer of the venue means."""

    capital: Decimal
    missing: frozenset[str] = frozenset()
    """Symbols of which the venue holds less than we believe, by more than it takes orders for."""

    def agrees(self, other: "BalanceReading") -> bool:
        """They say the same, but for rounding."""
        apart = abs(self.capital - other.capital)
        return self.missing == other.missing and apart <= TOLERANCE * abs(other.capital)


@attrs.define(eq=False, kw_only=True)
class BalanceMonitor:
    """Compares the account's capital with the venue's balances for as long as it runs."""

    account: Account
    broker: Broker
    quote_asset: str
    cash: Decimal
    """The capital of paper: what fleet.toml says, which may be other than in the last run."""
    record: Callable[[], Awaitable[None]]
    """Makes durable whose account it is, its capital, and what losses are measured against."""
    halt: Callable[[str], None]
    """No order may leave, for a reason that an operator must look at."""
    report: Report
    _wake: trio.Event = attrs.field(factory=trio.Event)

    async def run(self) -> None:
        """Read at once, after each `look_soon`, and each minute. On paper there is one reading."""
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
                candidate = None  # seen twice is seen with the whole time between

    def look_soon(self) -> None:
        """Something may have been missed: do not wait for the minute to end."""
        self._wake.set()

    def _believed(self) -> BalanceReading:
        missing = (
            s for s, d in self.account.symbol_states.items() if Block.MISSING_BALANCE in d.blocks
        )
        return BalanceReading(capital=self.account.capital, missing=frozenset(missing))

    async def _read(self) -> BalanceReading | None:
        """A reading during which no fill came in; None: the fleet's own cash is all there is."""
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
        """Whether this is the account that the journal is about; halts when it is another."""
        account = self.account
        venue, _, number = account.name.partition(":")
        if number and name not in (account.name, venue):
            self.halt(
                f"the key belongs to account {name}, the journal to {account.name}: "
                "give each account its own [fleet] data_dir"
            )
            return False
        if not number and name != account.name:
            account.name = name
            await self.record()
        return True

    async def _until(self, is_so: Callable[[], bool]) -> None:
        """Returns when it is so, or patience has ended."""
        with trio.move_on_after(PATIENCE):
            while not is_so():  # noqa: ASYNC110  many tasks bring it about, none of them ours
                await trio.sleep(LOOK)

    def _is_settled(self) -> bool:
        return not any(map(_is_unsettled, self.account.symbol_states.values()))

    async def _adopt(self, reading: BalanceReading) -> None:
        account = self.account
        before, was_known = account.capital, account.is_capital_known
        moved = abs(reading.capital - before) > TOLERANCE * abs(before)
        if moved:
            # What is held must have its price: the capital moves in proportion to equity.
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
        await self.record()

    def _judge(self, state: SymbolState, *, is_missing: bool) -> None:
        if is_missing and Block.MISSING_BALANCE not in state.blocks:
            state.block(Block.MISSING_BALANCE)
            bought = format_amount(state.position.quantity)
            text = (
                f"the venue holds less {state.position.base_asset} than our fills amount to "
                f"({bought}), no order leaves until it is there again"
            )
            self.report("balance_missing", text, engine=state.symbol)
        elif not is_missing and Block.MISSING_BALANCE in state.blocks:
            state.unblock(Block.MISSING_BALANCE)
            self.report("balance_found", "the venue holds the position again", engine=state.symbol)


def _is_unsettled(state: SymbolState) -> bool:
    """The venue may know of fills that the book has not."""
    return bool(state.pending_reports) or not state.blocks.isdisjoint(
        (Block.RECONCILING, Block.UNKNOWN_OUTCOME)
    )


def _is_missing(state: SymbolState, held: Decimal) -> bool:
    return state.position.quantity > ZERO and state.in_flight is None and held < state.closable
