"""Faults: what may be asked for, and that counting is exact."""

from typing import Any

import pytest

from levitrio.errors import UsageError
from levitrio.venues.recordings.frames import TapeEvent
from levitrio.venues.simulator.exchange.faults import FaultPlan, Faults


def event(number: int, stream: str = "a@trade") -> TapeEvent:
    return TapeEvent(number, stream, str(number).encode())


def test_plain_values() -> None:
    """A table of a file or a JSON object; whole numbers are fine as seconds."""
    faults = Faults.parse({"disconnect_every": 5, "gap_every": 3, "stall": "a@trade"})
    assert faults == Faults(disconnect_every=5, gap_every=3, stall="a@trade")
    assert Faults.parse({"gap_every": 0}, base=faults).disconnect_every == 5


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"gap_evry": 3}, "did you mean gap_every"),
        ({"zzz": 3}, "'zzz' is not one: disconnect_every, "),
        ({"gap_every": 3.5}, "gap_every: expected int, got 3.5"),
        ({"gap_every": True}, "gap_every: expected int, got True"),
        ({"gap_every": -1}, "gap_every: expected 0 or more, got -1"),
        ({"late_by": float("nan")}, "late_by: expected 0 or more, got nan"),
        ({"late_by": float("inf")}, "late_by: expected 0 or more, got inf"),
        ({"late_by": "2"}, "late_by: expected float, got '2'"),
        ({"refuse": 404}, "refuse: expected one of 0, 418, 429"),
    ],
)
def test_what_cannot_be_is_named(values: dict[str, Any], text: str) -> None:
    """Unknown names with a suggestion, wrong types and bounds with what came."""
    with pytest.raises(UsageError) as caught:
        Faults.parse(values)
    assert text in str(caught.value)


def test_no_fault_changes_nothing() -> None:
    """Every event once."""
    plan = FaultPlan()
    assert [plan.on_event(event(number)) for number in range(3)] == [
        [event(number)] for number in range(3)
    ]
    assert plan.on_order() == ""
    assert plan.refusal(0) is None


def test_streams_are_counted_apart() -> None:
    """The second event of each stream is left out, whatever the other does."""
    plan = FaultPlan(Faults(gap_every=2))
    assert plan.on_event(event(1)) == [event(1)]
    assert plan.on_event(event(1, "b@trade")) == [event(1, "b@trade")]
    assert plan.on_event(event(2)) == []


def test_replacing_counts_anew_and_says_so() -> None:
    """A callback is called at each change."""
    plan = FaultPlan(Faults(timeout_every=2))
    calls: list[int] = []
    plan.on_replaced = lambda: calls.append(1)
    assert plan.on_order() == ""
    plan.replace(Faults(timeout_every=2))
    assert [plan.on_order() for _ in range(4)] == ["", "timeout", "", "timeout"]
    assert calls == [1]


def test_one_fault_for_each_order() -> None:
    """Where several are due the first of timeout, late and lost reply happens."""
    plan = FaultPlan(Faults(timeout_every=3, late_every=2, lost_reply_every=5))
    assert [plan.on_order() for _ in range(6)] == [
        "",
        "late",
        "timeout",
        "late",
        "lost_reply",
        "timeout",
    ]
