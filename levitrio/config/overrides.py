"""Overrides single keys of a fleet.toml from the command line: `engines.SOLUSDT.params.fast=8`.

Key and value are written as in TOML, except that text needs no quotes. The rules that check the
file check them too, with the same error texts.
"""

import copy
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import attrs

from levitrio.config.diagnostics import KeyPath, Problem, dotted, printable
from levitrio.errors import UsageError
from levitrio.trading.market import normalize_symbol


@attrs.frozen
class Override:
    """One key, and the value that replaces the file's."""

    path: KeyPath
    value: Any

    def blames(self, problem: Problem) -> bool:
        """Whether a problem is caused by this override."""
        path = problem.path
        made_a_table = 1 < len(path) < len(self.path) and path[0] != "engines"
        return path[: len(self.path)] == self.path or (
            made_a_table and self.path[: len(path)] == path
        )


def parse_override(text: str) -> Override:
    """Parse `KEY=VALUE`.

    Raises:
        UsageError: The text has no `=`, or its key is no TOML key.
    """
    key, sign, value = text.partition("=")
    if not sign:
        raise UsageError(
            f"--set: expected KEY=VALUE such as broker.fee=0.001, got {printable(text)[:100]!r}"
        )
    return Override(parse_key(key), parse_value(value.strip()))


def parse_key(text: str) -> KeyPath:
    """Parse a dotted TOML key.

    Raises:
        UsageError: The text is no such key.
    """
    try:
        tables: Any = tomllib.loads(f"{text.strip()} = 0")
    except tomllib.TOMLDecodeError:
        tables = {}
    path: list[str] = []
    while isinstance(tables, dict) and len(tables) == 1:
        ((name, tables),) = tables.items()
        path.append(name)
    if not path or tables != 0:
        raise UsageError(
            f"expected a key such as broker.fee or engines.BTCUSDT.params.fast, "
            f"got {printable(text)[:100]!r}"
        )
    return tuple(path)


def parse_value(text: str) -> Any:
    """Parse a TOML value; anything that is none is text."""
    try:
        tables = tomllib.loads(f"value = {text}", parse_float=Decimal)
    except (tomllib.TOMLDecodeError, ValueError):
        return text
    return tables["value"] if set(tables) == {"value"} else text


def override(
    tables: Mapping[str, Any], overrides: Iterable[Override]
) -> tuple[dict[str, Any], list[Override]]:
    """Apply overrides to a copy of the tables.

    Returns:
        The copy, and the overrides with engines under the file's own spelling.

    Raises:
        UsageError: An override names an engine that the file does not have (a typo must not add
            one), or goes through a key that is no table.
    """
    changed = copy.deepcopy(dict(tables))
    placed = []
    for each in overrides:
        path = _in_the_file(changed, each.path)
        table: Any = changed
        for depth, name in enumerate(path[:-1], start=1):
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                raise UsageError(
                    f"--set {dotted(each.path)}: expected {dotted(path[:depth])} to be a table, "
                    "it is a value"
                )
        table[path[-1]] = each.value
        placed.append(Override(path, each.value))
    return changed, placed


def _in_the_file(tables: Mapping[str, Any], path: KeyPath) -> KeyPath:
    """Replace an engine's symbol by its spelling in the file."""
    if len(path) < 2 or path[0] != "engines":
        return path
    named = {_symbol(name): name for name in tables.get("engines", {})}
    symbol = _symbol(str(path[1]))
    if symbol not in named:
        close = difflib.get_close_matches(symbol, named, n=1)
        also = f" (did you mean {close[0]}?)" if close else ""
        raise UsageError(
            f"--set {dotted(path)}: expected an engine of this file, came {symbol}{also}"
        )
    return (path[0], named[symbol], *path[2:])


def _symbol(name: str) -> str:
    try:
        return normalize_symbol(name)
    except ValueError:
        return name
