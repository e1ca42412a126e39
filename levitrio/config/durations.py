"""Parses and formats durations: seconds as a number, or text such as `250ms` and `10m`."""

import re

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
"""Unit -> its length in seconds."""

PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,9})? ?(ms|s|m|h|d)$"
"""A duration with its unit; also in the JSON Schema."""

_TEXT = re.compile(PATTERN.removesuffix("$") + r"\Z")


def parse_duration(text: str) -> float:
    """Parse `250ms`, `1.5s`, `10m`, `2h` or `1d` into seconds.

    Raises:
        ValueError: The text is anything else, also a number without a unit: `"10"` in quotes is
            more often a mistake than ten seconds.
    """
    match = _TEXT.match(text)
    if match is None:
        raise ValueError(f"expected a duration such as 250ms, 1.5s or 10m, got {text[:64]!r}")
    unit = match.group(2)
    return float(text.removesuffix(unit)) * UNITS[unit]


def format_duration(seconds: float) -> str:
    """Format seconds as the shortest exact text with one unit: 0.25 as `250ms`, 3600 as `1h`."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.12g}ms"
    for unit in ("d", "h", "m"):
        if seconds and seconds % UNITS[unit] == 0:
            return f"{seconds / UNITS[unit]:.12g}{unit}"
    return f"{seconds:.12g}s"
