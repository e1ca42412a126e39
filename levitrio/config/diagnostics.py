"""What is wrong with a fleet.toml, as values; and how it reads.

A problem knows its key, not its line: lines are looked up once, at the end, and only when
there is a problem at all.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date, time
from decimal import Decimal

import attrs

KeyPath = tuple[str | int, ...]
"""Names of tables and keys from the top of the file; an int is a place in an array, from 0."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_LONGEST = 64  # of a value quoted back: enough to recognise it, never a screenful


class InvalidValue(ValueError):
    """One value is not what its key takes.

    `inside` leads from the key to the part of its value that is wrong.
    """

    def __init__(self, expected: str, came: str, inside: KeyPath = ()) -> None:
        super().__init__(f"expected {expected}, came {came}")
        self.inside = inside


@attrs.frozen
class Problem:
    """One finding."""

    path: KeyPath
    text: str
    about: tuple[KeyPath, ...] = ()
    """Other keys the finding rests on. Where one of them is itself refused, it is dropped:
    it would blame a default that nobody wrote."""


def quoted(text: str) -> str:
    """Text as TOML would quote it, in plain ASCII: no terminal escape survives."""
    short = text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
    return json.dumps(short.replace("\x7f", "\\x7f"))


def came(value: object) -> str:
    """A value of the file, named the way its author wrote it."""
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
    """One line of text that somebody else wrote, safe to show."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.split()))


def dotted(path: KeyPath) -> str:
    """`engines."BTC/USDT".after[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE_KEY.match(part) else quoted(part))
    return text


def line_of(path: KeyPath, lines: Mapping[KeyPath, int]) -> int:
    """The line of a key; of the nearest table around it where the key is not written."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def render(file: str, problems: Iterable[Problem], lines: Mapping[KeyPath, int]) -> tuple[str, ...]:
    """`file:line: key: text`, in the order of the file, each once."""
    placed = sorted((line_of(p.path, lines), dotted(p.path), p.text) for p in problems)
    return tuple(
        dict.fromkeys(f"{printable(file)}:{line}: {key}: {text}" for line, key, text in placed)
    )
