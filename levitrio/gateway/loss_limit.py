"""The loss brake: rolls the day and stops the fleet when a loss limit is reached."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import attrs
import trio

from levitrio.gateway.account import Account
from levitrio.gateway.order_execution import Report
from levitrio.trading.clock import utc_day
from levitrio.trading.risk import RiskRules, TradingState, loss_limit_reached

PERIOD = 0.5
"""Seconds between looks at equity: the brake stops a bad hour, it is no stop-loss order."""

DAY_MS = 86_400_000

PEAK_STEP = Decimal("1.001")
"""How far equity rises above the highest that is durable before it is written again."""

DAILY = "daily loss"
"""How the reason of a brake that a new day releases begins."""


@attrs.define(eq=False, kw_only=True)
class LossLimiter:
    """Looks at equity, unrealized loss included, and calls for a trading state."""

    account: Account
    market_ms: Callable[[], int]
    set_state: Callable[[TradingState, str], Awaitable[None]]
    flatten_all: Callable[[], None]
    record_day: Callable[[list[str], str], Awaitable[None]]
    """record_day(symbols, day): these books began a day; with what losses are measured against."""
    record_equity: Callable[[], Awaitable[None]]
    """Makes what losses are measured against durable."""
    report: Report
    _day_number: int = 0
    """Days since 1970 of the last roll."""
    _symbols: int = 0
    """How many books were looked at then; one more is a new symbol."""
    _durable_peak: Decimal = Decimal(0)

    async def run(self, rules: Callable[[], RiskRules]) -> None:
        """Look twice a second, without drift, until cancelled."""
        next_look = trio.current_time()
        while True:
            next_look = max(next_look + PERIOD, trio.current_time())
            await trio.sleep_until(next_look)
            await self.look(rules())

    async def look(self, rules: RiskRules) -> None:
        """One look. Brakes once: a fleet that is reducing or halted already is left alone."""
        await self._roll_day()
        account = self.account
        if not account.is_marked():
            return
        equity = account.equity()
        is_peak = equity > account.peak_equity
        account.peak_equity = max(account.peak_equity, equity)
        broken = loss_limit_reached(
            rules, equity=equity, day_start=account.day_start_equity(), peak=account.peak_equity
        )
        if is_peak and equity >= self._durable_peak * PEAK_STEP:
            self._durable_peak = equity
            await self.record_equity()
        if broken is None or account.trading_state is TradingState.HALTED:
            return
        if rules.on_loss == "reduce":
            if account.trading_state is TradingState.ACTIVE:
                await self.set_state(TradingState.REDUCING, broken)
            return
        await self.set_state(TradingState.HALTED, broken)
        if rules.on_loss == "flatten":
            self.flatten_all()

    def _summary(self, before: Decimal, day: str) -> str:
        """One line about the day that ended."""
        now = self.account.day_start_equity()
        trades = sum(state.position.trade_count for state in self.account.symbol_states.values())
        return (
            f"until {day}: equity {now:.2f}, {now - before:+.2f} in the day, "
            f"{self.account.open_positions()} positions, {trades} trades since the beginning"
        )

    async def _roll_day(self) -> None:
        now_ms = self.market_ms()
        seen = now_ms // DAY_MS, len(self.account.symbol_states)
        if not now_ms or seen == (self._day_number, self._symbols):
            return
        self._day_number, self._symbols = seen
        day = utc_day(now_ms)
        rolled = [
            state for state in self.account.symbol_states.values() if state.position.day != day
        ]
        if not rolled:
            return
        is_new_day = any(state.position.day for state in rolled)
        before = self.account.day_start_equity()
        for state in rolled:
            state.position.roll_day(day, state.market.quote)
        self.account.begin_day(day)
        await self.record_day([state.symbol for state in rolled], day)
        if is_new_day:
            self.report("summary", self._summary(before, day))
        account = self.account
        if (
            is_new_day
            and account.trading_state is TradingState.REDUCING
            and account.trading_reason.startswith(DAILY)
        ):
            await self.set_state(TradingState.ACTIVE, "")
