"""Status documents for the tests of the live view."""

from collections import Counter
from typing import Any, cast

from levitrio.control.status_document import EngineStatus, FleetStatus


def row(symbol: str, **members: Any) -> EngineStatus:
    """One engine, running and flat unless `members` say otherwise."""
    plain = {
        "symbol": symbol,
        "status": "running",
        "wanted": "running",
        "incarnation": 1,
        "restarts": 0,
        "next_restart_in": None,
        "uptime_seconds": 75.0,
        "position": "0",
        "unrealized_pnl": "0",
        "daily_pnl": "0",
        "total_pnl": "0",
        "trade_count": 0,
        "data_age": 0.1,
        "last_error": None,
    }
    return cast(EngineStatus, {**plain, **members})


def document(*rows: EngineStatus, **members: Any) -> FleetStatus:
    """A status document of these engines."""
    head = {
        "schema": 1,
        "fleet": "demo",
        "data_dir": "/nowhere",
        "trading_state": "active",
        "trading_reason": "",
        "equity": "10012.75",
        "daily_pnl": "3.20",
        "drawdown": "0.0125",
        "total": len(rows),
        **Counter(str(engine["status"]) for engine in rows),
    }
    return cast(FleetStatus, {**head, **members, "engines": list(rows)})
