"""Formats a log record as one line: JSON for the files, readable text for the terminal. Pure.

Texts come from strategies and venues, so no character in them may end a line, move the cursor or
change the reading direction (faults T12 and T13).
"""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs
import msgspec

from levitrio.records.logs.event_log import iso_ms

FIELD_LIMIT = 8_192
"""Characters of one field; a traceback of 2,000 frames must not fill the disk."""

FIELDS_LIMIT = 64
"""Entries kept of a record's fields, a mapping or a sequence."""
NESTING_LIMIT = 4
"""Levels of nested mappings and sequences."""

TERMINAL_FIELD_LIMIT = 200
"""Characters of one field on the terminal."""

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]"
)
"""C0 and C1 controls, line separators, and characters that change the reading direction."""

_RESERVED = frozenset({"ts", "level", "symbol", "event"})

_COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[1;31m"}


@attrs.frozen
class LogRecord:
    """One record to log; all its values are plain data."""

    wall_ms: int
    """Wall clock, ms since 1970."""
    level: str
    symbol: str | None
    """The engine's symbol; None for the orchestrator."""
    event: str
    fields: Mapping[str, Any] = attrs.field(factory=dict)
    terminal: bool = False
    """Whether the terminal shows it too."""


def plain(value: object, depth: int = 0) -> Any:
    """Copy `value` into bounded, plain JSON types; keeps no exception, frame or user object.

    Raises only what the `__str__` of a user object raises.
    """
    match value:
        case None | bool():
            return value
        case str():
            return _cut(str(value))
        case int():
            return int(value) if -(2**63) <= value < 2**64 else _cut(str(Decimal(value)))
        case float():
            return float(value) if math.isfinite(value) else str(value)
        case Decimal():
            return _cut(str(value))
        case Mapping() if depth < NESTING_LIMIT:
            pairs = list(value.items())[:FIELDS_LIMIT]
            return {_cut(str(key)): plain(item, depth + 1) for key, item in pairs}
        case list() | tuple() if depth < NESTING_LIMIT:
            return [plain(item, depth + 1) for item in value[:FIELDS_LIMIT]]
        case Mapping() | list() | tuple():
            return "..."
        case BaseException():
            return _cut(f"{type(value).__name__}: {value}")
        case _:
            return _cut(str(value))


def _cut(text: str) -> str:
    if len(text) > FIELD_LIMIT:
        text = f"{text[:FIELD_LIMIT]}... ({len(text) - FIELD_LIMIT} more)"
    # Lone surrogates cannot be UTF-8.
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def plain_fields(fields: Mapping[str, object]) -> dict[str, Any]:
    """Copy a record's fields into plain data; a name that `json_line` reserves gets a `_`."""
    pairs = list(fields.items())[:FIELDS_LIMIT]
    return {_cut(f"{key}_" if key in _RESERVED else key): plain(value) for key, value in pairs}


def json_line(record: LogRecord) -> bytes:
    """Format as `{"ts", "level", "symbol" (engines only), "event", ...}` and one newline."""
    head: dict[str, Any] = {"ts": iso_ms(record.wall_ms), "level": record.level}
    if record.symbol is not None:
        head["symbol"] = record.symbol
    head["event"] = record.event
    text = msgspec.json.encode({**head, **record.fields}).decode("utf-8")
    # Compact JSON has these characters only inside strings, where the escape is valid.
    return _UNSAFE.sub(_escape, text).encode("utf-8") + b"\n"


def human_line(record: LogRecord, *, colour: bool = False) -> bytes:
    """Format as `12:00:01 SOLUSDT crashed ValueError: ... (restarting in 1.7 s)`, time in UTC.

    Of a record with a `text` only that field is shown. Long fields are cut, and fields of several
    lines (tracebacks) left out; the file has them.
    """
    event = _harmless(record.event)
    if colour and record.level in _COLOURS:
        event = f"{_COLOURS[record.level]}{event}\x1b[0m"
    words = [iso_ms(record.wall_ms)[11:19], record.symbol or "fleet", event]
    fields = record.fields
    if isinstance(fields.get("text"), str):
        fields = {"text": fields["text"]}
    for key, value in fields.items():
        if value is None or (isinstance(value, str) and "\n" in value.strip()):
            continue
        shown = _harmless(str(value).strip())[:TERMINAL_FIELD_LIMIT]
        if key == "text":
            if shown:
                words.append(shown)
        else:
            words.append(f"{_harmless(key)}=" + (f'"{shown}"' if " " in shown else shown))
    return (" ".join(words) + "\n").encode("utf-8")


def _harmless(text: str) -> str:
    return _UNSAFE.sub(_escape, text)


def _escape(match: "re.Match[str]") -> str:
    return f"\\u{ord(match[0]):04x}"
