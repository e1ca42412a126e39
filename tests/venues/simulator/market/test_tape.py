"""Merging sources by time."""

from hypothesis import given
from hypothesis import strategies as st

from levitrio.venues.recordings.frames import TapeEvent
from levitrio.venues.simulator.market.tape import forward_only, merge


def source(name: str, times: list[int]) -> list[TapeEvent]:
    return [TapeEvent(time, name, b"%d" % number) for number, time in enumerate(times)]


def test_the_envelope_of_combined_streams() -> None:
    """A combined frame names its stream and holds the payload as it is."""
    event = TapeEvent(1, "btcusdt@trade", b'{"e":"trade"}')
    assert event.combined() == b'{"stream":"btcusdt@trade","data":{"e":"trade"}}'


def test_time_never_runs_backwards() -> None:
    """A clock that stepped back stands still until it has caught up."""
    assert [event.time_ns for event in forward_only(source("a", [3, 1, 5, 4]))] == [3, 3, 5, 5]


@given(st.lists(st.lists(st.integers(0, 50), max_size=20), min_size=1, max_size=4))
def test_merging_keeps_every_event_in_its_sources_order(times: list[list[int]]) -> None:
    """Times ascend, nothing is lost or doubled, and each source keeps its order."""
    sources = [source(str(number), each) for number, each in enumerate(times)]
    merged = list(merge(sources))
    assert [event.time_ns for event in merged] == sorted(event.time_ns for event in merged)
    for number, each in enumerate(sources):
        mine = [event.data for event in merged if event.stream == str(number)]
        assert mine == [event.data for event in each]


def test_equal_times_keep_the_order_of_the_sources() -> None:
    """The first file named comes first."""
    merged = merge([source("a", [5]), source("b", [5]), source("c", [4])])
    assert [event.stream for event in merged] == ["c", "a", "b"]
