"""Fleet-wide risk: whether an order may leave, and whether a loss limit is reached.

Pure: the gateway collects the facts, these functions judge them. A refusal is a `Denial`, never
an exception.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Literal

import attrs

from levitrio.trading.orders import Order


class TradingState(StrEnum):
    """What the whole fleet may do."""

    ACTIVE = "active"
    REDUCING = "reducing"
    """Exits only."""
    HALTED = "halted"
    """Nothing but the operator's `flatten`."""


class Permission(StrEnum):
    """What one engine may do."""

    ALL = "all"
    EXITS = "exits"
    NONE = "none"


@attrs.frozen(kw_only=True)
class RiskRules:
    """Limits of the whole fleet; `[risk]` of fleet.toml. Fractions, not percents."""

    max_daily_loss: Decimal = Decimal("0.03")
    """Fraction of the equity at 00:00 UTC, unrealized loss included."""
    max_drawdown: Decimal = Decimal("0.10")
    """Fraction of the highest equity, unrealized loss included."""
    on_loss: Literal["reduce", "halt", "flatten"] = "reduce"
    max_symbol_exposure: Decimal = Decimal("0.20")
    """Largest position of one symbol, as a fraction of equity."""
    max_gross_exposure: Decimal = Decimal("1.0")
    """Largest sum of all positions, as a fraction of equity."""
    max_open_positions: int = 5
    max_orders_per_minute: int = 120
    """Limit for entries of the whole fleet; exits count towards it, but are never refused."""
    cooldown: float = 0.0
    """Seconds between an order of a symbol and its next entry."""
    price_band: Decimal = Decimal("0.05")
    """Largest distance of the order's price from the last trade, as a fraction."""
    stale_after: float = 30.0
    """Seconds without data after which no order leaves but the operator's `flatten`."""


@attrs.frozen(kw_only=True)
class Denial:
    """An order refused by our own risk."""

    reason: str
    """One of a closed set, listed in docs/orders.md: `halted`, `max_open_positions`, ..."""
    detail: str = ""
    """The numbers behind it, for people; may be empty."""


@attrs.frozen(kw_only=True)
class DataState:
    """How far a symbol's market data can be trusted at one moment."""

    age: float | None
    """Seconds since the last event of its most overdue stream; None before the first event and
    after the tape's end."""
    allowed: float = 0.0
    """Seconds of silence that are usual for that stream; `stale_after` is allowed in any case."""
    is_suspended: bool = False
    """Whether too much of its recent input was implausible."""


@attrs.frozen(kw_only=True)
class Exposure:
    """The facts by which risk judges an order, orders in flight included.

    Amounts are in the quote asset. For an exit `equity`, `symbol_notional`, `gross_notional` and
    `open_positions` are not computed: no exposure limit refuses one.
    """

    trading_state: TradingState
    permission: Permission
    equity: Decimal
    symbol_notional: Decimal
    """Worth of the symbol's position, without the order."""
    gross_notional: Decimal
    """Worth of all positions, without the order."""
    open_positions: int
    """Number of other symbols that hold, or are about to hold, a position."""
    orders_last_minute: int
    """Orders of the whole fleet in the last 60 s."""
    since_last_order: float | None
    """Seconds since the symbol's last order; None before the first."""
    data: DataState
    """The symbol's market data."""
    price: Decimal
    """Price the order would be filled at."""
    last_trade: Decimal | None
    """Price of the symbol's last trade; None before the first."""
    is_flatten: bool = False
    """Whether the operator asked for the order with `flatten`."""


def judge(rules: RiskRules, order: Order, facts: Exposure) -> Denial | None:
    """Judge an order; None lets it pass."""
    return (
        _judge_resting(order, facts)
        or _judge_data(rules, facts)
        or _judge_entry(rules, order, facts)
    )


def _judge_resting(order: Order, facts: Exposure) -> Denial | None:
    if facts.is_flatten:
        return None
    if facts.trading_state is TradingState.HALTED:
        return Denial(reason="halted", detail="only `levi ctl unhalt` ends a halt")
    if facts.permission is Permission.NONE:
        return Denial(reason="engine_not_running")
    if not order.is_exit:
        if facts.trading_state is TradingState.REDUCING:
            return Denial(reason="reducing", detail="a loss limit was reached: exits only")
        if facts.permission is Permission.EXITS:
            return Denial(reason="paused", detail="a paused engine only closes")
    return None


def _judge_data(rules: RiskRules, facts: Exposure) -> Denial | None:
    if facts.is_flatten:
        return None  # the operator wants out at any price, and the venue knows the price
    if facts.data.is_suspended:
        return Denial(reason="data_suspended", detail="too much of its market data was implausible")
    if silence := overdue(rules, facts.data):
        return Denial(reason="stale_data", detail=silence)
    if facts.last_trade:
        distance = abs(facts.price - facts.last_trade) / facts.last_trade
        if distance > rules.price_band:
            detail = f"{facts.price} is {distance:.1%} from the last trade {facts.last_trade}"
            return Denial(reason="price_band", detail=detail)
    return None


def overdue(rules: RiskRules, data: DataState) -> str:
    """Describe how long a symbol's data has been missing; empty while it is fresh."""
    allowed = max(rules.stale_after, data.allowed)
    if data.age is None or data.age <= allowed:
        return ""
    return f"last data {data.age:.1f} s ago, allowed {allowed:.3g} s"


def _judge_entry(rules: RiskRules, order: Order, facts: Exposure) -> Denial | None:
    if order.is_exit:
        return None
    notional = order.quantity * facts.price
    if facts.open_positions >= rules.max_open_positions:
        return Denial(
            reason="max_open_positions",
            detail=f"{facts.open_positions} open, allowed {rules.max_open_positions}",
        )
    if facts.symbol_notional + notional > rules.max_symbol_exposure * facts.equity:
        return Denial(reason="max_symbol_exposure")
    if facts.gross_notional + notional > rules.max_gross_exposure * facts.equity:
        return Denial(reason="max_gross_exposure")
    if facts.orders_last_minute >= rules.max_orders_per_minute:
        return Denial(
            reason="max_orders_per_minute", detail=f"{facts.orders_last_minute} in the last minute"
        )
    if facts.since_last_order is not None and facts.since_last_order < rules.cooldown:
        return Denial(reason="cooldown", detail=f"{facts.since_last_order:.1f} s since the last")
    return None


def loss_limit_reached(
    rules: RiskRules, *, equity: Decimal, day_start: Decimal, peak: Decimal
) -> str | None:
    """Describe the loss limit that is reached; None when none is.

    Args:
        rules: The limits.
        equity: Equity now.
        day_start: Equity at 00:00 UTC.
        peak: Highest equity so far.
    """
    if day_start > 0 and day_start - equity >= rules.max_daily_loss * day_start:
        return f"daily loss {(day_start - equity) / day_start:.2%} of {day_start:.2f}"
    if peak > 0 and peak - equity >= rules.max_drawdown * peak:
        return f"drawdown {(peak - equity) / peak:.2%} from {peak:.2f}"
    return None
