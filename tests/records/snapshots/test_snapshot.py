"""Snapshots of the fleet go to plain data and back, strictly."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import attrs
import msgspec
import pytest

from levitrio.errors import DamagedRecord
from levitrio.records.snapshots.snapshot import (
    EngineSnapshot,
    RegistrySnapshot,
    encode,
    encode_engines,
    structure,
    unstructure,
)

ENGINE = EngineSnapshot(
    symbol="SOLUSDT",
    status="running",
    wanted="running",
    incarnation=3,
    restarts=2,
    last_error=None,
    position=Decimal("0.50"),
    average_entry=Decimal("151.2"),
    mark=Decimal(152),
    realized_pnl=Decimal("-1E-8"),
    total_pnl=Decimal("12.75"),
    trade_count=9,
    strategy_state={"fast": [1.5, None], "n": 3},
)
SNAPSHOT = RegistrySnapshot(
    fleet="demo",
    saved_at=datetime(2026, 11, 22, 10, 15, tzinfo=UTC),
    market_ms=1_795_342_500_123,
    trading_state="active",
    engines=(ENGINE, attrs.evolve(ENGINE, symbol="BTCUSDT", mark=None, last_error="no")),
)


def test_a_snapshot_survives_json() -> None:
    """Decimals keep every digit, times their instant, strategy state its shape."""
    data = msgspec.json.encode(unstructure(SNAPSHOT))

    found = structure(msgspec.json.decode(data))

    assert found == SNAPSHOT
    assert str(found.engines[0].position) == "0.50"


def test_in_pieces_it_is_the_same_document() -> None:
    """msgspec writes, engine by engine, what cattrs makes of the whole."""
    first, second = SNAPSHOT.engines
    pieces = [encode_engines([first]), encode_engines([]), encode_engines([second])]

    found = encode(attrs.evolve(SNAPSHOT, engines=()), pieces)

    assert msgspec.json.decode(found) == unstructure(SNAPSHOT)


def test_times_are_written_in_utc() -> None:
    """Whatever zone the caller's clock had."""
    zone = timezone(timedelta(hours=2))
    local = attrs.evolve(SNAPSHOT, saved_at=SNAPSHOT.saved_at.astimezone(zone))

    assert unstructure(local)["saved_at"] == "2026-11-22T10:15:00+00:00"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("incarnation", True),
        ("incarnation", "3"),
        ("incarnation", 3.0),
        ("symbol", 7),
        ("symbol", None),
        ("position", "NaN"),
        ("position", "Infinity"),
        ("position", 0.5),
        ("position", None),
        ("position", "half"),
        ("mark", 152),
        ("last_error", 1),
        ("unknown", 1),
    ],
)
def test_what_is_not_exactly_right_is_refused_by_name(key: str, value: Any) -> None:
    """A number as text, a true for one, a NaN: each would be another fleet than the one saved."""
    payload = unstructure(SNAPSHOT)
    payload["engines"][1][key] = value

    with pytest.raises(DamagedRecord, match=key):
        structure(payload)


@pytest.mark.parametrize("payload", [None, [], {}, {"engines": {}}, 1])
def test_another_shape_is_refused(payload: object) -> None:
    """Valid JSON that is no registry."""
    with pytest.raises(DamagedRecord):
        structure(payload)


def test_a_naive_time_is_refused() -> None:
    """A time without a zone is refused."""
    with pytest.raises(DamagedRecord, match="saved_at"):
        structure({**unstructure(SNAPSHOT), "saved_at": "2026-11-22T10:15:00"})
