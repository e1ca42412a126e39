"""One ordered stream of events, bounded, which no reader can slow."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from levitrio.records.logs.event_log import Event, EventLog, iso_ms


def make(capacity: int = 4) -> EventLog:
    return EventLog(wall_clock_ms=lambda: 1_795_342_500_123, capacity=capacity)


def test_an_event_knows_its_number_and_time() -> None:
    """Events are numbered from one, and show their time in UTC with milliseconds."""
    log = make()

    event = log.emit("crashed", "ValueError: no", "SOLUSDT", restart_in=1.5)

    assert event.as_dict() == {
        "seq": 1,
        "ts": "2026-11-22T10:15:00.123Z",
        "engine": "SOLUSDT",
        "kind": "crashed",
        "text": "ValueError: no",
        "data": {"restart_in": 1.5},
    }
    assert log.last_seq == 1


@given(
    emitted=st.integers(0, 30),
    cursor=st.integers(-3, 35),
    limit=st.none() | st.integers(0, 12),
    capacity=st.integers(1, 10),
)
def test_a_cursor_sees_everything_once_or_is_told(
    emitted: int, cursor: int, limit: int | None, capacity: int
) -> None:
    """Nothing is repeated or out of order, and what was missed is counted."""
    log = make(capacity)
    for n in range(emitted):
        log.emit("kind", str(n))
    start = cursor if 0 <= cursor <= emitted else 0

    backlog = log.since(cursor, limit)

    seqs = [event.seq for event in backlog.events]
    expected = list(range(start + 1, emitted + 1))[backlog.missed :]
    assert seqs == (expected if limit is None else expected[:limit])
    assert backlog.missed == max(0, emitted - capacity - start)


def test_sinks_get_every_event_in_order() -> None:
    """A sink that comes later gets what comes later."""
    first: list[Event] = []
    second: list[Event] = []
    log = EventLog(wall_clock_ms=lambda: 0, sinks=[first.append])
    log.emit("a", "")
    log.add_sink(second.append)
    log.emit("b", "")

    assert [event.kind for event in first] == ["a", "b"]
    assert [event.kind for event in second] == ["b"]


def test_a_sink_may_be_given_the_past() -> None:
    """What is kept of it, oldest first, and then what comes."""
    late: list[Event] = []
    log = EventLog(wall_clock_ms=lambda: 0, capacity=2)
    for kind in "abc":
        log.emit(kind, "")
    log.add_sink(late.append, with_past=True)
    log.emit("d", "")

    assert [event.kind for event in late] == ["b", "c", "d"]


async def test_waiting_ends_with_the_next_event() -> None:
    """Every waiting reader wakes; one that is behind does not wait at all."""
    log = make()
    woken: list[int] = []

    async def read(name: int) -> None:
        await log.wait_newer(0)
        woken.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, 1)
        nursery.start_soon(read, 2)
        await wait_all_tasks_blocked()
        assert woken == []
        log.emit("kind", "text")
    assert sorted(woken) == [1, 2]
    await log.wait_newer(0)
    await log.wait_newer(17)  # a cursor of an earlier run


async def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    """The next event wakes no task that has given up, and the next wait is a wait of its own."""
    log = make()
    with trio.move_on_after(0) as given_up:
        await log.wait_newer(0)
    assert given_up.cancelled_caught
    assert log._lot.statistics().tasks_waiting == 0
    log.emit("kind", "text")
    with trio.fail_after(1):
        await log.wait_newer(0)
    with trio.move_on_after(0) as too_early:
        await log.wait_newer(1)
    assert too_early.cancelled_caught


@pytest.mark.parametrize(
    ("wall_ms", "text"),
    [(0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z")],
)
def test_times_are_exact(wall_ms: int, text: str) -> None:
    """Milliseconds are cut out as integers, never through a float."""
    assert iso_ms(wall_ms) == text
