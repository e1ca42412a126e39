"""The values of the REST calls as JSON Schema. Fields may be added; none is closed."""

from typing import Any

import msgspec

from levitrio.control.params import HaltParams, Params
from levitrio.supervision.lifecycle import State, Wanted
from levitrio.trading.risk import TradingState

_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_COUNT = {"type": "integer", "minimum": 0}
_AMOUNT = {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}
_MAYBE_TEXT = {"type": ["string", "null"]}
_MAYBE_NUMBER = {"type": ["number", "null"]}
_MAYBE_COUNT = {"type": ["integer", "null"]}
_NUMBERS = {"type": "array", "items": _NUMBER}


def _object(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(fields), "properties": fields}


def _params(kind: type[Params]) -> dict[str, Any]:
    _, components = msgspec.json.schema_components([kind])
    schema: dict[str, Any] = components[kind.__name__]
    return schema


_PROCESS = _object(
    cpu_seconds=_NUMBER,
    cpu_percent=_NUMBER,
    memory_bytes=_MAYBE_COUNT,
    descriptors=_MAYBE_COUNT,
    threads=_MAYBE_COUNT,
)

_OPEN_ORDER = _object(
    client_id=_TEXT,
    side=_TEXT,
    type=_TEXT,
    price=_AMOUNT,
    quantity=_AMOUNT,
    filled=_AMOUNT,
    expires_in=_MAYBE_NUMBER,
)

_ENGINE = _object(
    symbol=_TEXT,
    status={"enum": [state.value for state in State]},
    wanted={"enum": [wanted.value for wanted in Wanted]},
    incarnation=_COUNT,
    restarts=_COUNT,
    next_restart_in=_MAYBE_NUMBER,
    uptime_seconds=_NUMBER,
    last_heartbeat=_MAYBE_TEXT,
    heartbeat_age=_MAYBE_NUMBER,
    error_count=_COUNT,
    last_error=_MAYBE_TEXT,
    ticks=_COUNT,
    ticks_dropped=_COUNT,
    data_age=_MAYBE_NUMBER,
    price={"anyOf": [_AMOUNT, {"type": "null"}]},
    position=_AMOUNT,
    average_entry=_AMOUNT,
    unrealized_pnl=_AMOUNT,
    daily_pnl=_AMOUNT,
    total_pnl=_AMOUNT,
    trade_count=_COUNT,
    open_order={"anyOf": [_OPEN_ORDER, {"type": "null"}]},
)

COMPONENTS: dict[str, Any] = {
    "Engine": _ENGINE,
    "Status": _object(
        schema=_COUNT,
        fleet=_TEXT,
        reachable={"const": True},
        pid=_COUNT,
        mode={"enum": ["paper", "simulator", "live"]},
        orders_to=_TEXT,
        trading_state={"enum": [state.value for state in TradingState]},
        equity=_AMOUNT,
        daily_pnl=_AMOUNT,
        drawdown=_AMOUNT,
        process=_PROCESS,
        total=_COUNT,
        **{state.value: _COUNT for state in State},
        engines={"type": "array", "items": {"$ref": "#/components/schemas/Engine"}},
    ),
    "Incidents": _object(
        symbol=_TEXT,
        incidents={
            "type": "array",
            "items": _object(time=_TEXT, cause=_TEXT, error=_TEXT, traceback=_TEXT),
        },
    ),
    "PriceCurve": _object(
        symbol=_TEXT,
        time=_NUMBERS,
        price=_NUMBERS,
        fills={
            "type": "array",
            "items": _object(
                time=_NUMBER, price=_NUMBER, quantity=_NUMBER, side={"enum": ["buy", "sell"]}
            ),
        },
    ),
    "EquityCurve": _object(time=_NUMBERS, equity=_NUMBERS, drawdown=_NUMBERS),
    "Risk": _object(
        trading_state={"enum": [state.value for state in TradingState]},
        equity=_AMOUNT,
        daily_pnl=_AMOUNT,
        limits={"type": "object"},
    ),
    "Trading": _object(ok={"const": True}, trading_state=_TEXT, reason=_TEXT),
    "Health": _object(
        ok={"const": True}, fleet=_TEXT, pid=_COUNT, loop=_object(looks=_COUNT, over_10_ms=_COUNT)
    ),
    "Ready": _object(ok={"const": True}),
    "Problem": {
        "type": "object",
        "required": ["ok", "error"],
        "properties": {"ok": {"const": False}, "error": _TEXT, "hint": _TEXT},
    },
    "NoParams": _params(Params),
    "HaltParams": _params(HaltParams),
}
