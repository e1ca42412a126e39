"""Formats user-data events: reports of orders and balances for an account. Pure."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from levitrio.venues.simulator.exchange.accounts import VenueAccount, VenueOrder
from levitrio.venues.simulator.market.stream_payloads import fixed

ZERO = Decimal(0)


def execution_report(
    order: VenueOrder, kind: str, *, execution_id: int, cancel_id: str = ""
) -> dict[str, Any]:
    """`executionReport`; a TRADE reports the order's newest trade.

    Args:
        order: after the change.
        kind: the execution type.
        execution_id: id of this report.
        cancel_id: client id of a cancel.
    """
    request, resting = order.request, order.resting
    trade = order.trades[-1] if kind == "TRADE" else None
    report: dict[str, Any] = {
        "e": "executionReport",
        "E": order.update_ms,
        "s": request.symbol,
        "c": cancel_id or order.client_id,
        "S": resting.side.value,
        "o": request.kind.value,
        "f": request.time_in_force.value,
        "q": fixed(resting.quantity),
        "p": fixed(request.price or ZERO),
        "P": fixed(request.stop_price or ZERO),
        "F": fixed(request.iceberg_quantity or ZERO),
        "g": -1,
        "C": order.client_id if cancel_id else "",
        "x": kind,
        "X": order.status.value,
        "r": "NONE",
        "i": order.order_id,
        "l": fixed(trade.quantity if trade else ZERO),
        "z": fixed(filled(order)),
        "L": fixed(trade.price if trade else ZERO),
        "n": fixed(trade.commission) if trade else "0",
        "N": trade.commission_asset if trade else None,
        "T": order.update_ms,
        "t": trade.trade_id if trade else -1,
        "I": execution_id,
        "w": order.is_open and order.working_ms >= 0,
        "m": trade.is_maker if trade else False,
        "M": False,
        "O": order.time_ms,
        "Z": fixed(quote_filled(order)),
        "Y": fixed(trade.amount if trade else ZERO),
        "Q": fixed(request.quote_quantity or ZERO),
        "V": "NONE",
    }
    if order.working_ms >= 0:
        report["W"] = order.working_ms
    if request.strategy_id is not None:
        report["j"] = request.strategy_id
    if request.strategy_type is not None:
        report["J"] = request.strategy_type
    if order.expiry_reason != "NONE":
        report["eR"] = order.expiry_reason
    return report


def position(account: VenueAccount, assets: Iterable[str]) -> dict[str, Any]:
    """`outboundAccountPosition`: the balances of the assets that may have changed."""
    return {
        "e": "outboundAccountPosition",
        "E": account.update_ms,
        "u": account.update_ms,
        "B": [
            {
                "a": asset,
                "f": fixed(account.balance(asset).free),
                "l": fixed(account.balance(asset).locked),
            }
            for asset in assets
        ],
    }


def filled(order: VenueOrder) -> Decimal:
    """Quantity of the recorded trades: the resting order may be ahead by the rest of a plan."""
    return sum((trade.quantity for trade in order.trades), ZERO)


def quote_filled(order: VenueOrder) -> Decimal:
    """Amount of the recorded trades, in the quote asset."""
    return sum((trade.amount for trade in order.trades), ZERO)
