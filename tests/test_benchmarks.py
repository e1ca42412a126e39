"""The framework of the benchmarks: quick, and without a single real measurement."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.measurement import MEASUREMENTS, Goal, Measurement, Row, chosen
from benchmarks.sampling import interleaved, median_percentile, percentile


def measure_two() -> Iterable[Row]:
    yield Row(name="fast", value=2.0, unit="us", floor_name="bare", floor=1.0, goal=Goal(limit=3))
    yield Row(name="slow", value=9.0, unit="ms", goal=Goal(limit=5, target=4, of="value"))


def measure_nothing() -> Iterable[Row]:
    raise RuntimeError("expected a disk, found none")


TWO = Measurement(name="two", subject="sample", run=measure_two)
BROKEN = Measurement(name="broken", subject="sample", run=measure_nothing)


@pytest.mark.parametrize(
    ("goal", "value", "floor", "is_met"),
    [
        (Goal(limit=2), 4.0, 2.0, True),
        (Goal(limit=2), 4.1, 2.0, False),
        (Goal(limit=2), 1.0, None, False),
        (Goal(limit=2, at_least=True), 4.1, 2.0, True),
        (Goal(limit=2, at_least=True), 3.9, 2.0, False),
        (Goal(limit=20, of="value"), 20.0, None, True),
    ],
)
def test_goals(goal: Goal, value: float, floor: float | None, is_met: bool) -> None:
    """A goal is about the ratio or the value, upwards or downwards."""
    assert Row(name="x", value=value, unit="us", floor=floor, goal=goal).is_met is is_met


def test_a_missed_goal_fails_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is shown in the table and in the document, and the exit code is 0."""
    file = tmp_path / "bench.json"
    assert command.run([TWO], str(file)) == 0
    document = json.loads(file.read_text())
    assert [row["met"] for row in document["rows"]] == [True, False]
    assert document["rows"][0]["ratio"] == 2.0
    assert document["rows"][1]["goal"] == "<= 5 (4)"
    assert {"processor", "cores", "python", "load"} <= document["machine"].keys()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] == "WHAT"
    assert lines[2].endswith("NO")


def test_a_broken_measurement_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The others are measured all the same; without a file the last line is the document."""
    assert command.run([BROKEN, TWO], None) == 1
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert document["broken"] == {"broken": "RuntimeError: expected a disk, found none"}
    assert len(document["rows"]) == 2


def test_names_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    """A measurement or a subject can be named; an unknown name is refused with those there are."""
    for measurement in (TWO, BROKEN):
        monkeypatch.setitem(MEASUREMENTS, measurement.name, measurement)
    assert [each.name for each in chosen(["two"])] == ["two"]
    assert [each.name for each in chosen(["sample"])] == ["two", "broken"]
    with pytest.raises(ValueError, match=r"expected any of .*sample.*, got 'tow'"):
        chosen(["tow"])


def test_subjects_take_turns() -> None:
    """There and back, and the first round, which warms up, does not count."""
    order: list[str] = []

    def subject(name: str) -> int:
        order.append(name)
        return len(order)

    found = interleaved({"a": lambda: subject("a"), "b": lambda: subject("b")}, 2)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert found == {"a": [4, 5], "b": [3, 6]}


def test_percentiles() -> None:
    """The smallest value that so many percent do not exceed; one disturbed block is outvoted."""
    assert percentile([3.0, 1.0, 2.0, 4.0], 50) == 2.0
    assert percentile([3.0, 1.0, 2.0, 4.0], 99) == 4.0
    assert median_percentile([[1.0], [100.0], [2.0]], 50) == 2.0
