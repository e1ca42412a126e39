"""Numbers on a command line: the range of an option lets `nan` through, for it is not too large."""

import math

import typer


def finite(value: float | None) -> float | None:
    """The value of an option; `nan` and `inf` are refused as Typer refuses what is out of range."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"expected a finite number, got {value}")
    return value
