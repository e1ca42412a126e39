"""One table for people, one JSON document for machines."""

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.measurement import Row

_HEADER = ("WHAT", "VALUE", "UNIT", "COMPARED TO", "FLOOR", "RATIO", "GOAL", "MET")
_RIGHT = {1, 4, 5}
_VERDICTS = {True: "yes", False: "NO", None: ""}
_PARTS = ("trio", "trio-websocket", "msgspec", "attrs")


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "parts": {part: version(part) for part in _PARTS},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), ""
    )


def document(rows: Sequence[Row], broken: Mapping[str, str]) -> dict[str, Any]:
    """Everything that was measured, as plain data. `broken`: measurement -> its error."""
    return {
        "machine": machine(),
        "rows": [
            {
                "name": row.name,
                "value": _rounded(row.value),
                "unit": row.unit,
                "floor_name": row.floor_name or None,
                "floor": _rounded(row.floor),
                "ratio": _rounded(row.ratio),
                "goal": None if row.goal is None else str(row.goal),
                "met": row.is_met,
            }
            for row in rows
        ],
        "broken": dict(broken),
    }


def table(rows: Sequence[Row]) -> str:
    """The rows below each other, as wide as they are."""
    cells = [_HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADER))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if column in _RIGHT else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        _figure(row.value),
        row.unit,
        row.floor_name,
        "" if row.floor is None else _figure(row.floor),
        "" if row.ratio is None else f"{_figure(row.ratio)}x",
        "" if row.goal is None else str(row.goal),
        _VERDICTS[row.is_met],
    )


def _figure(value: float) -> str:
    """Three digits that count, and all those before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
