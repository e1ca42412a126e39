"""What a benchmark says: rows, each with what it is compared to, and the goals they are held to.

A figure alone says something about the machine it was taken on. So every row that can have one
brings its floor along: the least that anybody could pay for the same, measured in the same run.
"""

from collections.abc import Callable, Iterable
from typing import Literal

import attrs


@attrs.frozen(kw_only=True)
class Goal:
    """What a row must reach. A goal that is missed is shown, it fails nothing."""

    limit: float
    target: float | None = None
    """Better than the limit, and what we would like."""
    of: Literal["ratio", "value"] = "ratio"
    at_least: bool = False
    """More is better; else less is."""

    def is_met_by(self, row: "Row") -> bool:
        """Whether the limit is kept. A ratio without a floor keeps none."""
        figure = row.ratio if self.of == "ratio" else row.value
        if figure is None:
            return False
        return figure >= self.limit if self.at_least else figure <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        unit = "x" if self.of == "ratio" else ""
        target = "" if self.target is None else f" ({self.target:g}{unit})"
        return f"{sign} {self.limit:g}{unit}{target}"


@attrs.frozen(kw_only=True)
class Row:
    """One figure."""

    name: str
    value: float
    unit: str
    """Of `value` and of `floor`."""
    floor_name: str = ""
    """What it is compared to; empty without a floor."""
    floor: float | None = None
    goal: Goal | None = None

    @property
    def ratio(self) -> float | None:
        """The value in floors; None without one."""
        return None if not self.floor else self.value / self.floor

    @property
    def is_met(self) -> bool | None:
        """None without a goal."""
        return None if self.goal is None else self.goal.is_met_by(self)


@attrs.frozen(kw_only=True)
class Measurement:
    """Something that can be measured."""

    name: str
    subject: str
    """The part of levitrio it is about: `supervision` for all of `bench_supervision`."""
    run: Callable[[], Iterable[Row]]
    """Takes seconds. What it raises means that it is broken, never that a goal is missed."""


MEASUREMENTS: dict[str, Measurement] = {}
"""By name, in the order of their modules."""


def measures(run: Callable[[], Iterable[Row]]) -> Callable[[], Iterable[Row]]:
    """Register a function of a `bench_*` module under its own name."""
    name = run.__name__
    assert name not in MEASUREMENTS, f"expected a new name, got {name} twice"
    subject = run.__module__.rpartition(".")[2].removeprefix("bench_")
    MEASUREMENTS[name] = Measurement(name=name, subject=subject, run=run)
    return run


def chosen(names: Iterable[str]) -> list[Measurement]:
    """The measurements of these names or subjects, all of them without any.

    Raises ValueError for a name that is neither.
    """
    wanted = set(names)
    known = set(MEASUREMENTS) | {each.subject for each in MEASUREMENTS.values()}
    if unknown := wanted - known:
        raise ValueError(f"expected any of {', '.join(sorted(known))}, got {min(unknown)!r}")
    return [
        each
        for each in MEASUREMENTS.values()
        if not wanted or each.name in wanted or each.subject in wanted
    ]
