"""Values of a snapshot of the fleet, and their conversion to and from JSON.

Positions and PnL are folded from the journal, never read from a snapshot. A start takes from it
only what the journal does not have: the strategies' states, and marks until the first quote.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import attrs
import msgspec
from cattrs import BaseValidationError, Converter, transform_error

from levitrio.errors import DamagedRecord


@attrs.frozen(kw_only=True)
class EngineSnapshot:
    """State of one engine at the moment of the snapshot."""

    symbol: str
    status: str
    wanted: str
    incarnation: int
    restarts: int
    last_error: str | None
    position: Decimal
    """In the base asset."""
    average_entry: Decimal
    """In the quote asset."""
    mark: Decimal | None
    """Last price the position was valued at, in the quote asset."""
    realized_pnl: Decimal
    """Net of fees, in the quote asset."""
    total_pnl: Decimal
    trade_count: int
    strategy_state: Any = None
    """Result of `Strategy.state()`, converted by `plain_state`."""


@attrs.frozen(kw_only=True)
class RegistrySnapshot:
    """The whole fleet at one moment."""

    fleet: str
    saved_at: datetime
    """Wall clock, UTC."""
    market_ms: int
    """Market time, ms since 1970."""
    trading_state: str
    engines: tuple[EngineSnapshot, ...]


def _exactly(kind: type) -> Any:
    def structure(value: object, _: object) -> Any:
        if type(value) is not kind:
            raise ValueError(f"expected {kind.__name__}, got {value!r:.80}")
        return value

    return structure


def _decimal(value: object, _: object) -> Decimal:
    try:
        number = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise ValueError(f"expected a decimal as text, got {value!r:.80}")
    return number


def _time(value: object, _: object) -> datetime:
    time = datetime.fromisoformat(value) if isinstance(value, str) else None
    if time is None or time.tzinfo is None:
        raise ValueError(f"expected a time with its zone, got {value!r:.80}")
    return time.astimezone(UTC)


def _make_converter() -> Converter:
    converter = Converter(forbid_extra_keys=True)
    for kind in (int, str):  # the default hooks take True for 1 and 7 for "7"
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(Decimal, _decimal)
    converter.register_unstructure_hook(Decimal, str)
    converter.register_structure_hook(datetime, _time)
    converter.register_unstructure_hook(datetime, lambda time: time.astimezone(UTC).isoformat())
    converter.register_structure_hook(str | None, _or_none(_exactly(str)))
    converter.register_structure_hook(Decimal | None, _or_none(_decimal))
    return converter


def _or_none(structure: Any) -> Any:
    return lambda value, kind: None if value is None else structure(value, kind)


_converter = _make_converter()

Payload = dict[str, Any]


def unstructure(snapshot: RegistrySnapshot) -> Payload:
    """Convert a snapshot to plain JSON data."""
    payload = _converter.unstructure(snapshot)
    assert isinstance(payload, dict)
    return payload


def encode_engines(engines: Sequence[EngineSnapshot]) -> bytes:
    """Encode engines as the members of a JSON array, without its brackets.

    The result is the same as with `unstructure`, in a tenth of the time that cattrs takes.

    Raises:
        TypeError: a state is not plain data.
        ValueError: as above.
    """
    return msgspec.json.encode(engines)[1:-1]


def encode(head: RegistrySnapshot, engines: Iterable[bytes]) -> msgspec.Raw:
    """Encode `head` as JSON, with the results of `encode_engines` for its engines."""
    payload = unstructure(head)
    payload["engines"] = msgspec.Raw(b"[%s]" % b",".join(piece for piece in engines if piece))
    return msgspec.Raw(msgspec.json.encode(payload))


def structure(payload: object) -> RegistrySnapshot:
    """Convert plain data to a snapshot.

    Raises:
        DamagedRecord: the data has another shape; the text lists all differences.
    """
    try:
        return _converter.structure(payload, RegistrySnapshot)
    except (BaseValidationError, ValueError, TypeError, AttributeError) as error:
        findings = "; ".join(transform_error(error, path="registry"))
        raise DamagedRecord(f"expected a registry snapshot: {findings}") from None
