"""`levi strategies`: lists strategies and their parameters."""

import inspect
from collections.abc import Sequence

from levitrio.cli import terminal
from levitrio.strategies.base import Strategy
from levitrio.strategies.catalog import BUILT_IN, parameters, resolve


def list_strategies(names: Sequence[str]) -> int:
    """Print strategies with their parameters; without names the built-in ones.

    Returns:
        The exit code, 0.

    Raises:
        UsageError: A name is no strategy.
    """
    for name in names or BUILT_IN:
        terminal.write(describe(name, resolve(name)))
    if not names:
        terminal.write('\nYour own: strategy = "package.module:Class", a file beside fleet.toml.')
    return 0


def describe(name: str, strategy: type[Strategy]) -> str:
    """Name, first line of the docstring, and one line for each parameter."""
    lines = [f"{name}: {(inspect.getdoc(strategy) or '').partition(chr(10))[0]}"]
    for parameter in parameters(strategy).values():
        required = parameter.default is parameter.empty
        value = "required" if required else f"= {parameter.default!r}"
        lines.append(f"    {parameter.name} {value}")
    return "\n".join(lines)
