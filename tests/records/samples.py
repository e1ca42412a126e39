"""Entries to write down, for the tests of this room."""

from decimal import Decimal

from levitrio.records.journal.entries import IncidentEntry, IntentEntry, OutcomeEntry
from levitrio.trading.orders import Fill, Order, OrderStatus, OrderType, Side


def order(seq: int = 1, symbol: str = "SOLUSDT") -> Order:
    return Order(
        client_id=f"L-{seq}",
        symbol=symbol,
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal("0.50"),
        price=Decimal("151.20"),
    )


def intent(seq: int = 1, symbol: str = "SOLUSDT") -> IntentEntry:
    return IntentEntry(
        seq=seq,
        order=order(seq, symbol),
        incarnation=1,
        reason="signal",
        wall_ms=1_000 + seq,
        market_ms=2_000 + seq,
    )


def fill(seq: int = 1, trade_id: int | None = None, symbol: str = "SOLUSDT") -> Fill:
    return Fill(
        client_id=f"L-{seq}",
        symbol=symbol,
        side=Side.BUY,
        price=Decimal("151.20"),
        quantity=Decimal("0.10"),
        fee=Decimal("0.01512"),
        fee_asset="USDT",
        time_ms=3_000,
        venue="paper" if trade_id is None else "binance",
        trade_id=trade_id,
    )


def outcome(seq: int = 1, status: OrderStatus = OrderStatus.FILLED, *fills: Fill) -> OutcomeEntry:
    return OutcomeEntry(client_id=f"L-{seq}", status=status, fills=fills, wall_ms=4_000)


def incident(wall_ms: int = 5_000, symbol: str = "SOLUSDT", counts: bool = True) -> IncidentEntry:
    return IncidentEntry(
        symbol=symbol,
        incarnation=1,
        cause="crash",
        error=f"ValueError: at {wall_ms}",
        traceback="File ...\n  line",
        counts=counts,
        delay=0,
        wall_ms=wall_ms,
    )
