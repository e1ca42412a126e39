"""Fleet-wide risk: may this order leave, and may the fleet still open positions.

Pure: the gateway gathers the facts, these functions judge them. A refusal is a `Denial`, a
value with its reason, never an exception.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Literal

import attrs

from levitrio.trading.orders import Order


class TradingState(StrEnum):
    """What the whole fleet may do (contracts.md, "What the words of control do")."""

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
    """Limits of the whole fleet; fractions, not percents."""

    max_daily_loss: Decimal = Decimal("0.03")
    """Of the equity at 00:00 UTC, unrealized loss included."""
    max_drawdown: Decimal = Decimal("0.10")
    """Of the highest equity, unrealized loss included."""
    on_loss: Literal["reduce", "halt", "flatten"] = "reduce"
    max_symbol_exposure: Decimal = Decimal("0.20")
    """Of equity."""
    max_gross_exposure: Decimal = Decimal("1.0")
    """Of equity, all symbols together."""
    max_open_positions: int = 5
    max_orders_per_minute: int = 120
    """Entries of the whole fleet; an exit is never refused for its rate, but counts."""
    cooldown: float = 0.0
    """Seconds of rest for a symbol after an order, before its next entry."""
    price_band: Decimal = Decimal("0.05")
    """How far the touch may be from the last trade."""
    stale_after: float = 30.0
    """Seconds without data after which no order leaves but the operator's `flatten`."""


@attrs.frozen(kw_only=True)
class Denial:
    """Refused by our own risk."""

    reason: str
    """A short closed set: `halted`, `max_open_positions`, ..."""
    detail: str = ""


@attrs.frozen(kw_only=True)
class DataState:
    """How far the data of a symbol can be trusted at one moment."""

    age: float | None
    """Seconds since its most overdue stream spoke; None: none ever did, or the tape ended."""
    allowed: float = 0.0
    """Seconds of silence that are usual for that stream; `stale_after` is allowed in any case."""
    is_suspended: bool = False
    """Too much of its input was absurd: nothing of it is believed for now."""


@attrs.frozen(kw_only=True)
class Exposure:
    """The facts of one moment, orders under way included. Amounts in the quote asset.

    Of an exit `equity`, `symbol_notional`, `gross_notional` and `open_positions` are not looked up:
    no limit of money refuses one.
    """

    trading_state: TradingState
    permission: Permission
    equity: Decimal
    symbol_notional: Decimal
    """Of the order's symbol, without the order."""
    gross_notional: Decimal
    """Of all symbols, without the order."""
    open_positions: int
    """Symbols other than the order's that hold, or are about to hold, a position."""
    orders_last_minute: int
    since_last_order: float | None
    """Seconds, of this symbol; None: none yet."""
    data: DataState
    """Of this symbol."""
    price: Decimal
    """What the order would be filled at."""
    last_trade: Decimal | None
    is_flatten: bool = False
    """The operator's own `flatten`."""


def judge(rules: RiskRules, order: Order, facts: Exposure) -> Denial | None:
    """None lets the order pass."""
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
        return None  # who wants out knows that the price is unknown: the venue decides
    if facts.data.is_suspended:
        return Denial(reason="data_suspended", detail="its market data is not believed for now")
    if silence := overdue(rules, facts.data):
        return Denial(reason="stale_data", detail=silence)
    if facts.last_trade:
        distance = abs(facts.price - facts.last_trade) / facts.last_trade
        if distance > rules.price_band:
            detail = f"{facts.price} is {distance:.1%} from the last trade {facts.last_trade}"
            return Denial(reason="price_band", detail=detail)
    return None


def overdue(rules: RiskRules, data: DataState) -> str:
    """For how long a symbol's data is missing, in words; empty while it is as fresh as usual."""
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
    """The loss limit that `equity` breaks, in words; None when none."""
    if day_start > 0 and day_start - equity >= rules.max_daily_loss * day_start:
        return f"daily loss {(day_start - equity) / day_start:.2%} of {day_start:.2f}"
    if peak > 0 and peak - equity >= rules.max_drawdown * peak:
        return f"drawdown {(peak - equity) / peak:.2%} from {peak:.2f}"
    return None
