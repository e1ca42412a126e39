"""The columns of the live view: text, colour, sort order and minimum width. Pure."""

from array import array
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import attrs

from levitrio.cli.terminal import duration, neutral
from levitrio.control.status_document import EngineStatus

TROUBLE_FIRST = (
    "stuck",
    "failed",
    "crashed",
    "stopping",
    "starting",
    "paused",
    "stopped",
    "running",
)
"""States in the order in which the table is sorted by them."""

TONES = {
    "running": "good",
    "active": "good",
    "starting": "busy",
    "stopping": "busy",
    "paused": "warning",
    "reducing": "warning",
    "crashed": "bad",
    "failed": "alarm",
    "stuck": "alarm",
    "halted": "alarm",
}
"""State: its tone, a key of `table.STYLES`."""

_BARS = "▁▂▃▄▅▆▇█"

_HALF_A_CENT = Decimal("0.005")

_STALE = 30.0
"""Seconds without data that are highlighted: the default of `[feed] stale_after`."""


@attrs.frozen
class EngineRow:
    """One row of the status document, and the PnL of its engine at each poll."""

    row: EngineStatus
    pnl: "array[float]"
    """Total PnL at each poll, oldest first."""

    def text(self, key: str) -> str:
        """A member as printable text; `-` where it is absent."""
        value = self.row.get(key)
        return "-" if value is None or value == "" else neutral(value)

    def number(self, key: str) -> Decimal | None:
        """A member as a finite number; None for anything else."""
        return number(self.row.get(key))


def number(value: object) -> Decimal | None:
    """A number or a decimal string of the status document; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def money(value: Decimal | None) -> str:
    """Format money: `+12.75`, `-1.20M`, `0`; less than half a cent is `0.00`."""
    if value is None:
        return "-"
    if value and abs(value) <= _HALF_A_CENT:
        return "0.00"
    for unit, name in ((10**9, "G"), (10**6, "M")):
        if abs(value) >= unit:
            return f"{value / unit:+.2f}{name}" if abs(value) < 10**15 else f"{value:+.2e}"
    return f"{value:+.2f}" if value else "0"


def sparkline(samples: Sequence[float], width: int) -> str:
    """Draw `samples` in `width` characters, newest at the right; flat is a low line."""
    if not samples:
        return " " * width
    per = max(1, -(-len(samples) // width))
    # Bucketed from the newest, so that each bucket keeps its samples until it leaves at the left.
    points = [samples[i] for i in range(len(samples) - 1, -1, -per)][::-1][-width:]
    low, high = min(points), max(points)
    step = (high - low) / (len(_BARS) - 1)
    bars = "".join(_BARS[round((p - low) / step)] if step else _BARS[0] for p in points)
    return bars.rjust(width)


def _quantity(value: Decimal | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _age(engine: EngineRow) -> str:
    age = engine.number("data_age")
    return "-" if age is None else duration(float(age))


def _error(engine: EngineRow) -> str:
    error = "" if engine.row.get("last_error") is None else engine.text("last_error")
    wait = engine.number("next_restart_in")
    if engine.row.get("status") == "crashed" and wait is not None:
        return f"restart in {duration(float(wait))}: {error}"
    return error


def _money_tone(key: str) -> Callable[[EngineRow], str]:
    def tone(engine: EngineRow) -> str:
        value = engine.number(key)
        return "plain" if not value else "good" if value > 0 else "bad"

    return tone


def _age_tone(engine: EngineRow) -> str:
    age = engine.number("data_age")
    return "warning" if engine.row.get("stale") or (age or 0) > _STALE else "plain"


def _status_tone(engine: EngineRow) -> str:
    return TONES.get(str(engine.row.get("status")), "plain")


def _rank(engine: EngineRow) -> int:
    status = engine.row.get("status")
    return TROUBLE_FIRST.index(status) if status in TROUBLE_FIRST else 0


def _plain(_: EngineRow) -> str:
    return "plain"


@attrs.frozen(kw_only=True)
class Column:
    """One column of the table."""

    key: str
    """The member of the row that it sorts by."""
    title: str
    width: int
    """Characters."""
    need: int
    """Columns of the narrowest terminal that shows it."""
    text: Callable[[EngineRow], str]
    tone: Callable[[EngineRow], str] = _plain
    order: Callable[[EngineRow], Any] | None = None
    """Sort key, ascending at first; None sorts by number, the largest first."""
    right: bool = False

    def sorted(self, engines: list[EngineRow], *, turned: bool) -> list[EngineRow]:
        """Engines in the order of this column, stable; those without a number come last."""
        if self.order is not None:
            return sorted(engines, key=self.order, reverse=turned)
        known = [(value, e) for e in engines if (value := e.number(self.key)) is not None]
        known.sort(key=lambda pair: pair[0], reverse=not turned)
        return [e for _, e in known] + [e for e in engines if e.number(self.key) is None]


def _money(key: str, title: str, need: int) -> Column:
    return Column(
        key=key,
        title=title,
        width=9,
        need=need,
        text=lambda engine: money(engine.number(key)),
        tone=_money_tone(key),
        right=True,
    )


SPARK_WIDTH = 10

COLUMNS = (
    Column(
        key="symbol",
        title="SYMBOL",
        width=12,
        need=0,
        text=lambda e: e.text("symbol"),
        order=lambda e: str(e.row.get("symbol")),
    ),
    Column(
        key="status",
        title="STATUS",
        width=8,
        need=0,
        text=lambda e: e.text("status"),
        tone=_status_tone,
        order=_rank,
    ),
    Column(
        key="uptime_seconds",
        title="UPTIME",
        width=6,
        need=60,
        text=lambda e: duration(e.row.get("uptime_seconds")),
        right=True,
    ),
    Column(
        key="restarts",
        title="RST",
        width=3,
        need=50,
        text=lambda e: e.text("restarts"),
        tone=lambda e: "warning" if e.number("restarts") else "plain",
        right=True,
    ),
    Column(
        key="position",
        title="POSITION",
        width=12,
        need=100,
        text=lambda e: _quantity(e.number("position")),
        right=True,
    ),
    _money("unrealized_pnl", "UNREAL", 110),
    _money("daily_pnl", "TODAY", 120),
    _money("total_pnl", "PNL", 0),
    Column(
        key="total_pnl",
        title="PNL COURSE",
        width=SPARK_WIDTH,
        need=70,
        text=lambda e: sparkline(e.pnl, SPARK_WIDTH),
        tone=lambda _: "busy",
    ),
    Column(
        key="trade_count",
        title="TRADES",
        width=6,
        need=130,
        text=lambda e: e.text("trade_count"),
        right=True,
    ),
    Column(
        key="data_age",
        title="AGE",
        width=6,
        need=80,
        text=_age,
        tone=_age_tone,
        right=True,
    ),
    Column(
        key="last_error",
        title="LAST ERROR",
        width=12,
        need=0,
        text=_error,
        tone=lambda e: "bad" if e.row.get("status") != "running" else "dim",
        order=lambda e: (not e.row.get("last_error"), str(e.row.get("last_error") or "")),
    ),
)
"""From left to right; the last one takes the rest of the line."""

GAP = 1


def shown(width: int) -> tuple[Column, ...]:
    """The columns that a terminal of `width` characters shows."""
    return tuple(column for column in COLUMNS if column.need <= width)
