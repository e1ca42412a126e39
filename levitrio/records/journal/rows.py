"""Converts journal entries to database rows and back. Pure: knows no connection.

A value that cannot be stored raises here, in the caller of `append`, so that one bad value never
fails the commit of other callers' records.
"""

import math
import zlib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import attrs
import msgspec

from levitrio.errors import DamagedRecord
from levitrio.records.journal.entries import (
    CommandEntry,
    DayEntry,
    Entry,
    EquityEntry,
    FailedEntry,
    HaltEntry,
    IncidentEntry,
    IntentEntry,
    MarketTimeEntry,
    OutcomeEntry,
    WantedEntry,
)
from levitrio.trading.orders import Fill, Order, OrderStatus, OrderType, Side

Value = str | int | float | None

_INTEGER_LIMIT = 2**63
"""SQLite's integers are 64 bits, signed."""


@attrs.frozen
class Row:
    """One row to insert; its position and checksum are added when it is written."""

    table: str
    values: tuple[Value, ...]
    fill: Fill | None = None
    """The fill that the row was made from, to report it when the journal has it already."""


def checksum(table: str, position: int, values: Iterable[Value]) -> int:
    """CRC-32 over a row's table, position and values."""
    return zlib.crc32(msgspec.json.encode([table, position, *values]))


_WORDS: dict[type, dict[object, str]] = {
    kind: {word: word.value for word in kind} for kind in (Side, OrderType, OrderStatus)
}


def _stored(value: object) -> Value:
    """Convert `value` to what SQLite stores; ValueError for what it could not return unchanged."""
    if type(value) is str and value.isascii():
        return value  # the most frequent case first
    if (words := _WORDS.get(type(value))) is not None:
        return words[value]
    match value:
        case None:
            return None
        case float():
            if not math.isfinite(value):
                raise ValueError(f"expected a finite number, got {value}")
            return value
        case bool() | int():
            if not -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
                raise ValueError(f"expected an integer of 64 bits, got {value}")
            return int(value)
        case Decimal():
            if not value.is_finite():
                raise ValueError(f"expected a finite decimal, got {value}")
            return str(value)
        case str():
            # Lone surrogates cannot be UTF-8; the text of a strategy's error may hold some.
            return str(value).encode("utf-8", "backslashreplace").decode("utf-8")
        case _:
            raise ValueError(f"expected plain data, got {type(value).__name__}")


def _row(table: str, *values: object, fill: Fill | None = None) -> Row:
    return Row(table, tuple(map(_stored, values)), fill)


def _fill_row(fill: Fill) -> Row:
    return _row(
        "fills",
        fill.client_id,
        fill.symbol,
        fill.side,
        fill.price,
        fill.quantity,
        fill.fee,
        fill.fee_asset,
        fill.time_ms,
        fill.venue,
        fill.trade_id,
        fill=fill,
    )


_PLAIN: dict[type, str] = {
    IncidentEntry: "incidents",
    WantedEntry: "wanted",
    FailedEntry: "failed",
    HaltEntry: "halts",
    DayEntry: "days",
    EquityEntry: "equity",
    CommandEntry: "commands",
    MarketTimeEntry: "market_time",
}
"""Entries whose fields are the columns of their table, in the same order."""


def rows_of(entry: Entry) -> tuple[Row, ...]:
    """The rows of an entry: one, and for an outcome one more for each fill.

    Raises:
        ValueError: a value cannot be stored (NaN, more than 64 bits).
    """
    match entry:
        case IntentEntry():
            order = entry.order
            return (
                _row(
                    "intents",
                    entry.seq,
                    order.client_id,
                    order.symbol,
                    order.side,
                    order.type,
                    order.quantity,
                    order.price,
                    order.is_exit,
                    entry.incarnation,
                    entry.reason,
                    entry.wall_ms,
                    entry.market_ms,
                ),
            )
        case OutcomeEntry():
            head = _row("outcomes", entry.client_id, entry.status, entry.reason, entry.wall_ms)
            return (head, *(_fill_row(fill) for fill in entry.fills))
        case IncidentEntry(delay=int(delay)):
            # The REAL column returns 2 as 2.0, and the checksum of the two differs.
            return rows_of(attrs.evolve(entry, delay=float(delay)))
        case _:
            return (_row(_PLAIN[type(entry)], *attrs.astuple(entry, recurse=False)),)


def _decimal(text: Any) -> Decimal:
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError(f"expected a finite decimal, got {text!r}")
    return value


def _intent(values: tuple[Any, ...]) -> IntentEntry:
    (seq, client_id, symbol, side, kind, quantity, price, is_exit, *rest) = values
    incarnation, reason, wall_ms, market_ms = rest
    order = Order(
        client_id=client_id,
        symbol=symbol,
        side=Side(side),
        type=OrderType(kind),
        quantity=_decimal(quantity),
        price=None if price is None else _decimal(price),
        is_exit=bool(is_exit),
    )
    return IntentEntry(
        seq=seq,
        order=order,
        incarnation=incarnation,
        reason=reason,
        wall_ms=wall_ms,
        market_ms=market_ms,
    )


def _fill(values: tuple[Any, ...]) -> Fill:
    client_id, symbol, side, price, quantity, fee, fee_asset, time_ms, venue, trade_id = values
    return Fill(
        client_id=client_id,
        symbol=symbol,
        side=Side(side),
        price=_decimal(price),
        quantity=_decimal(quantity),
        fee=_decimal(fee),
        fee_asset=fee_asset,
        time_ms=time_ms,
        venue=venue,
        trade_id=trade_id,
    )


def incident_of(values: tuple[Any, ...]) -> IncidentEntry:
    """Make an incident from the values of its row."""
    symbol, incarnation, cause, error, traceback, last_lines, counts, delay, wall_ms = values
    return IncidentEntry(
        symbol=symbol,
        incarnation=incarnation,
        cause=cause,
        error=error,
        traceback=traceback,
        last_lines=last_lines,
        counts=bool(counts),
        delay=delay,
        wall_ms=wall_ms,
    )


def _outcome(values: tuple[Any, ...]) -> OutcomeEntry:
    client_id, status, reason, wall_ms = values
    return OutcomeEntry(
        client_id=client_id, status=OrderStatus(status), reason=reason, wall_ms=wall_ms
    )


def _day(values: tuple[Any, ...]) -> DayEntry:
    symbol, day, total_pnl, wall_ms = values
    return DayEntry(symbol=symbol, day=day, total_pnl=_decimal(total_pnl), wall_ms=wall_ms)


def _equity(values: tuple[Any, ...]) -> EquityEntry:
    account, day, capital, day_capital, peak_equity, wall_ms = values
    return EquityEntry(
        account=account,
        day=day,
        capital=_decimal(capital),
        day_capital=_decimal(day_capital),
        peak_equity=_decimal(peak_equity),
        wall_ms=wall_ms,
    )


def _command(values: tuple[Any, ...]) -> CommandEntry:
    method, params, pid, uid, wall_ms = values
    return CommandEntry(method=method, params=params, pid=pid, uid=uid, wall_ms=wall_ms)


_FROM_ROW: dict[str, Any] = {
    "intents": _intent,
    "outcomes": _outcome,
    "fills": _fill,
    "incidents": incident_of,
    "wanted": lambda v: WantedEntry(symbol=v[0], wanted=v[1], wall_ms=v[2]),
    "failed": lambda v: FailedEntry(symbol=v[0], reason=v[1], wall_ms=v[2]),
    "halts": lambda v: HaltEntry(trading_state=v[0], reason=v[1], wall_ms=v[2]),
    "days": _day,
    "equity": _equity,
    "commands": _command,
    "market_time": lambda v: MarketTimeEntry(market_ms=v[0]),
}


def checked(table: str, raw: tuple[Any, ...]) -> Entry | Fill:
    """Convert a stored row (position, values, crc) back to an entry or a fill.

    Raises:
        DamagedRecord: the checksum or the content is wrong; the text names the row.
    """
    position, *values, crc = raw
    try:
        sound = checksum(table, position, values) == crc
        value: Entry | Fill = _FROM_ROW[table](tuple(values))
    except (ValueError, ArithmeticError, TypeError) as error:
        raise DamagedRecord(f"table {table}, position {position}: {error}") from None
    if not sound:
        raise DamagedRecord(f"table {table}, position {position}: checksum does not match")
    return value


def entries_of(rows: Iterable[tuple[int, str, tuple[Any, ...]]]) -> Iterator[Entry]:
    """Yield entries from rows (position, table, raw) in journal order; an outcome has its fills.

    Raises:
        DamagedRecord: a row is damaged, out of order, or a fill without an outcome.
    """
    outcome: OutcomeEntry | None = None
    last = 0
    for position, table, raw in rows:
        if position <= last:
            raise DamagedRecord(f"table {table}: expected a position above {last}, got {position}")
        last = position
        value = checked(table, raw)
        if isinstance(value, Fill):
            if outcome is None:
                raise DamagedRecord(
                    f"table {table}, position {position}: a fill without an outcome"
                )
            outcome = attrs.evolve(outcome, fills=(*outcome.fills, value))
            continue
        if outcome is not None:
            yield outcome
            outcome = None
        if isinstance(value, OutcomeEntry):
            outcome = value
        else:
            yield value
    if outcome is not None:
        yield outcome
