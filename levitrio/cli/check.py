"""`levi check FLEET.toml`: lists every mistake, starts nothing."""

from pathlib import Path

import typer

from levitrio.config.diagnostics import printable
from levitrio.config.engine_sections import CheckStrategy
from levitrio.config.loader import load
from levitrio.config.sections import FleetConfig
from levitrio.errors import ConfigError


def check(path: Path, *, check_strategy: CheckStrategy | None = None) -> int:
    """Print every problem of a fleet.toml, or a summary of a valid one.

    Returns:
        The exit code: 0 when `levi run` would accept the file, 2 otherwise.
    """
    try:
        config = load(path, check_strategy=check_strategy)
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(problem)
        count = len(error.problems)
        typer.echo(f"{count} {'problem' if count == 1 else 'problems'}; nothing was started")
        return 2
    typer.echo(f"{printable(str(path))}: fine: {summary(config)}")
    return 0


def summary(config: FleetConfig) -> str:
    """The fleet in one line: name, engines, market data, orders."""
    count = len(config.engines)
    return (
        f"fleet {config.fleet.name}, {count} {'engine' if count == 1 else 'engines'}, "
        f"market data: {config.feed.kind}, orders: {config.broker.kind}"
    )
