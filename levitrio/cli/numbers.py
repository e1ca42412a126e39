"""Checks numbers on a command line: the range check of Typer lets `nan` pass."""

import math

import typer


def finite(value: float | None) -> float | None:
    """The value of an option; raises BadParameter for `nan` and `inf`."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"expected a finite number, got {value}")
    return value
