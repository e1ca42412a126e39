"""Sample journal entries for the tests of records."""

from levitrio.records.journal.entries import IncidentEntry, IntentEntry, OutcomeEntry
from levitrio.trading.orders import Fill, Order, OrderStatus
from tests.factories import make_fill, make_order


def order(seq: int = 1, symbol: str = "SOLUSDT") -> Order:
    return make_order(
        client_id=f"L-{seq}",
        symbol=symbol,
        quantity="0.50",
        price="151.20",
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
    return make_fill(
        client_id=f"L-{seq}",
        symbol=symbol,
        price="151.20",
        quantity="0.10",
        fee="0.01512",
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
