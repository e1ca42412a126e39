"""Rolls the trading day, and stops the fleet's trading when a loss limit is reached."""

from collections.abc import Callable
from decimal import Decimal

import attrs
import trio

from levitrio.gateway.account import Account
from levitrio.gateway.context import GatewayContext
from levitrio.gateway.trading_control import TradingControl
from levitrio.trading.clock import utc_day
from levitrio.trading.risk import RiskRules, TradingState, loss_limit_reached

PERIOD = 0.5
"""Seconds between two looks at equity: a loss limit stops a bad hour, it is no stop-loss order."""

DAY_MS = 86_400_000

PEAK_STEP = Decimal("1.001")
"""Equity is journaled as a new peak once it exceeds the journaled one by this factor."""

DAILY = "daily loss"
"""First words of the reason of a daily limit, which a new day releases."""


@attrs.define(eq=False, kw_only=True)
class LossLimiter:
    """Compares equity, unrealized loss included, with the loss limits."""

    account: Account
    control: TradingControl
    context: GatewayContext
    _day_number: int = 0
    """Days since 1970 at the last roll."""
    _symbols: int = 0
    """Number of symbols at the last roll; another number means that one was added."""
    _durable_peak: Decimal = Decimal(0)

    async def run(self, rules: Callable[[], RiskRules]) -> None:
        """Look twice a second, without drift, until cancelled."""
        next_look = trio.current_time()
        while True:
            next_look = max(next_look + PERIOD, trio.current_time())
            await trio.sleep_until(next_look)
            await self.look(rules())

    async def look(self, rules: RiskRules) -> None:
        """Look once: roll the day, keep the peak, act on a loss limit that is reached.

        A halted fleet is left alone; `on_loss = "reduce"` acts on an active one only.
        """
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
            await self.control.record_equity()
        if broken is None or account.trading_state is TradingState.HALTED:
            return
        if rules.on_loss == "reduce":
            if account.trading_state is TradingState.ACTIVE:
                await self.control.force_trading_state(TradingState.REDUCING, broken)
            return
        await self.control.force_trading_state(TradingState.HALTED, broken)
        if rules.on_loss == "flatten":
            self.control.flatten_all()

    def _summary(self, before: Decimal, day: str) -> str:
        """One line about the day that ended."""
        now = self.account.day_start_equity()
        trades = sum(state.position.trade_count for state in self.account.symbol_states.values())
        return (
            f"until {day}: equity {now:.2f}, {now - before:+.2f} in the day, "
            f"{self.account.open_positions()} positions, {trades} trades since the beginning"
        )

    async def _roll_day(self) -> None:
        now_ms = self.context.market_ms()
        seen = now_ms // DAY_MS, len(self.account.symbol_states)
        if not now_ms or seen == (self._day_number, self._symbols):
            return
        self._day_number, self._symbols = seen
        account, day = self.account, utc_day(now_ms)
        rolled = [state for state in account.symbol_states.values() if state.position.day != day]
        if not rolled:
            return
        is_new_day = any(state.position.day for state in rolled)
        before = account.day_start_equity()
        for state in rolled:
            state.position.roll_day(day, state.market.quote)
        account.begin_day(day)
        await self.control.record_equity(rolled)
        if not is_new_day:
            return
        self.context.report("summary", self._summary(before, day))
        is_daily_limit = account.trading_reason.startswith(DAILY)
        if account.trading_state is TradingState.REDUCING and is_daily_limit:
            await self.control.force_trading_state(TradingState.ACTIVE, "")
