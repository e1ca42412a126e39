"""Fleet-wide risk: every reason by itself, and what is never refused."""

from decimal import Decimal
from typing import Any

import pytest

from levitrio.trading.orders import NEXT, Order, OrderStatus, Side
from levitrio.trading.risk import (
    DataState,
    Exposure,
    Permission,
    RiskRules,
    TradingState,
    judge,
    loss_limit_reached,
)
from tests.factories import make_order

ENTRY = make_order(
    client_id="a",
)
EXIT = make_order(client_id="b", side=Side.SELL, is_exit=True)
RULES = RiskRules(cooldown=10.0)


def facts(**changes: Any) -> Exposure:
    calm: dict[str, Any] = {
        "trading_state": TradingState.ACTIVE,
        "permission": Permission.ALL,
        "equity": Decimal(10000),
        "symbol_notional": Decimal(0),
        "gross_notional": Decimal(0),
        "open_positions": 0,
        "orders_last_minute": 0,
        "since_last_order": None,
        "data": DataState(age=0.1),
        "price": Decimal(1000),
        "last_trade": Decimal(1000),
    }
    return Exposure(**{**calm, **changes})


HALTED = {"trading_state": TradingState.HALTED}
REDUCING = {"trading_state": TradingState.REDUCING}
PAUSED = {"permission": Permission.EXITS}
STOPPED = {"permission": Permission.NONE}


@pytest.mark.parametrize(
    ("order", "changes", "reason"),
    [
        (ENTRY, {}, None),
        (EXIT, {}, None),
        (ENTRY, HALTED, "halted"),
        (EXIT, HALTED, "halted"),
        (EXIT, {**HALTED, "is_flatten": True}, None),
        (ENTRY, REDUCING, "reducing"),
        (EXIT, REDUCING, None),
        (ENTRY, PAUSED, "paused"),
        (EXIT, PAUSED, None),
        (ENTRY, STOPPED, "engine_not_running"),
        (EXIT, STOPPED, "engine_not_running"),
        (EXIT, {**STOPPED, "is_flatten": True}, None),
        (ENTRY, {"data": DataState(age=30.1)}, "stale_data"),
        (EXIT, {"data": DataState(age=30.1)}, "stale_data"),
        (EXIT, {"data": DataState(age=30.1), "is_flatten": True}, None),
        (ENTRY, {"data": DataState(age=None)}, None),
        (ENTRY, {"data": DataState(age=99.0, allowed=100.0)}, None),
        (ENTRY, {"data": DataState(age=29.0, allowed=10.0)}, None),
        (ENTRY, {"data": DataState(age=101.0, allowed=100.0)}, "stale_data"),
        (EXIT, {"data": DataState(age=0.1, is_suspended=True)}, "data_suspended"),
        (EXIT, {"data": DataState(age=0.1, is_suspended=True), "is_flatten": True}, None),
        (ENTRY, {"price": Decimal(1051)}, "price_band"),
        (EXIT, {"price": Decimal(949)}, "price_band"),
        (ENTRY, {"price": Decimal(1050), "last_trade": None}, None),
        (ENTRY, {"open_positions": 5}, "max_open_positions"),
        (EXIT, {"open_positions": 9}, None),
        (ENTRY, {"symbol_notional": Decimal(1001)}, "max_symbol_exposure"),
        (ENTRY, {"gross_notional": Decimal(9001)}, "max_gross_exposure"),
        (EXIT, {"gross_notional": Decimal(90001)}, None),
        (ENTRY, {"orders_last_minute": 120}, "max_orders_per_minute"),
        (EXIT, {"orders_last_minute": 500}, None),
        (ENTRY, {"since_last_order": 9.9}, "cooldown"),
        (ENTRY, {"since_last_order": 10.0}, None),
        (EXIT, {"since_last_order": 0.0}, None),
    ],
)
def test_each_reason(order: Order, changes: dict[str, Any], reason: str | None) -> None:
    """One broken limit gives its own reason; an exit is refused only where no order may leave."""
    denial = judge(RULES, order, facts(**changes))
    assert (denial and denial.reason) == reason


@pytest.mark.parametrize(
    ("equity", "day_start", "peak", "reason"),
    [
        ("9701", "10000", "10000", None),
        ("9700", "10000", "10000", "daily loss"),
        ("9100", "9200", "10000", None),
        ("9000", "9100", "10000", "drawdown"),
        ("12000", "10000", "12000", None),
    ],
)
def test_loss_limits(equity: str, day_start: str, peak: str, reason: str | None) -> None:
    """Daily loss counts from 00:00 UTC, drawdown from the highest equity."""
    found = loss_limit_reached(
        RULES, equity=Decimal(equity), day_start=Decimal(day_start), peak=Decimal(peak)
    )
    assert (found is None) == (reason is None)
    assert reason is None or (found or "").startswith(reason)


def test_no_order_leaves_an_end() -> None:
    """What is filled, cancelled, expired, rejected or lost stays so."""
    ends = {status for status, then in NEXT.items() if not then}
    assert ends == {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
        OrderStatus.REJECTED,
        OrderStatus.LOST,
    }
    assert set(NEXT) == set(OrderStatus)
