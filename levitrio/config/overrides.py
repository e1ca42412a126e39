"""Single keys of a fleet.toml, said on the command line: `engines.SOLUSDT.params.fast=8`.

The key is written as in TOML, the value too, except that text needs no quotes. What is wrong with
either is found by the same rules that read the file, and told in the same words.
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
    """One key and its value, which counts in place of the file's."""

    path: KeyPath
    value: Any

    def blames(self, problem: Problem) -> bool:
        """Whether a problem of the file is one of this override."""
        path = problem.path
        made_a_table = 1 < len(path) < len(self.path) and path[0] != "engines"
        return path[: len(self.path)] == self.path or (
            made_a_table and self.path[: len(path)] == path
        )


def parse_override(text: str) -> Override:
    """`KEY=VALUE`; raises UsageError for anything else."""
    key, sign, value = text.partition("=")
    if not sign:
        raise UsageError(f"--set: expected KEY=VALUE, got {printable(text)[:100]!r}")
    return Override(parse_key(key), parse_value(value.strip()))


def parse_key(text: str) -> KeyPath:
    """A dotted key; raises UsageError."""
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
    """A value as TOML has it, or else the text itself."""
    try:
        tables = tomllib.loads(f"value = {text}", parse_float=Decimal)
    except (tomllib.TOMLDecodeError, ValueError):
        return text
    return tables["value"] if set(tables) == {"value"} else text


def override(
    tables: Mapping[str, Any], overrides: Iterable[Override]
) -> tuple[dict[str, Any], list[Override]]:
    """A copy of the tables with the overrides in it, and the overrides under the file's names.

    Raises UsageError for an engine that the file does not have: a typo must not add one.
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
                    f"--set {dotted(each.path)}: expected a table, {dotted(path[:depth])} is none"
                )
        table[path[-1]] = each.value
        placed.append(Override(path, each.value))
    return changed, placed


def _in_the_file(tables: Mapping[str, Any], path: KeyPath) -> KeyPath:
    """The path with an engine under the name that the file gives it."""
    if len(path) < 2 or path[0] != "engines":
        return path
    named = {_symbol(name): name for name in tables.get("engines", {})}
    symbol = _symbol(str(path[1]))
    if symbol not in named:
        close = difflib.get_close_matches(symbol, named, n=1)
        also = f" (did you mean {close[0]}?)" if close else ""
        raise UsageError(
            f"--set {dotted(path)}: expected an engine of this fleet, came {symbol}{also}"
        )
    return (path[0], named[symbol], *path[2:])


def _symbol(name: str) -> str:
    try:
        return normalize_symbol(name)
    except ValueError:
        return name
