"""Problems of a fleet.toml as values, and their text: `file:line: key: expected ..., came ...`.

A problem knows its key, not its line: lines are looked up once, at the end, and only when
there is a problem.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date, time
from decimal import Decimal

import attrs

KeyPath = tuple[str | int, ...]
"""Names of tables and keys from the top of the file; an int is an index in an array, from 0."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_LONGEST = 64  # characters of a quoted value: enough to recognise it, never a screenful


class InvalidValue(ValueError):
    """A value that its key does not take.

    `inside` is the path from the key to the wrong part of its value.
    """

    def __init__(self, expected: str, came: str, inside: KeyPath = ()) -> None:
        super().__init__(f"expected {expected}, came {came}")
        self.inside = inside


@attrs.frozen
class Problem:
    """One problem of the file."""

    path: KeyPath
    text: str
    about: tuple[KeyPath, ...] = ()
    """Other keys the problem depends on. When one of them is refused itself, this problem is
    dropped: it would blame a default that is not in the file."""


def quoted(text: str) -> str:
    """Quote text as TOML does, in plain ASCII: no terminal escape survives."""
    short = text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
    return json.dumps(short.replace("\x7f", "\\x7f"))


def came(value: object) -> str:
    """Describe a value of the file as its author wrote it."""
    match value:
        case str():
            return quoted(value)
        case bool():
            return "true" if value else "false"
        case dict():
            return "a table"
        case list():
            return "an array"
        case date() | time():
            return "a date or time"
        case Decimal() if not value.is_finite():
            return str(value).lower()
        case int() if abs(value) >= 10**_LONGEST:
            return "a number of more than 64 digits"
        case _:
            return str(value)[:_LONGEST]


def printable(text: str) -> str:
    """Turn foreign text into one line that is safe to show on a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.split()))


def dotted(path: KeyPath) -> str:
    """Write a path as TOML does, for example `engines."BTC/USDT".after[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE_KEY.match(part) else quoted(part))
    return text


def line_of(path: KeyPath, lines: Mapping[KeyPath, int]) -> int:
    """Line of a key, or of the nearest table around it when the key is not in the file."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def render(file: str, problems: Iterable[Problem], lines: Mapping[KeyPath, int]) -> tuple[str, ...]:
    """Write problems as `file:line: key: text`, in the order of the file, each once."""
    placed = sorted((line_of(p.path, lines), dotted(p.path), p.text) for p in problems)
    return tuple(
        dict.fromkeys(f"{printable(file)}:{line}: {key}: {text}" for line, key, text in placed)
    )
