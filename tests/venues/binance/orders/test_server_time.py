"""Timestamps that the venue's clock cannot be behind, whatever the line does."""

from hypothesis import given
from hypothesis import strategies as st

from levitrio.venues.binance.orders.server_time import Sample, VenueClock, is_plausible

SERVER_MS = 1_790_000_000_000


@given(
    true_offset=st.floats(1e9, 2e9),
    trips=st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), min_size=1, max_size=5),
    later=st.floats(0, 900),
)
def test_a_timestamp_is_never_ahead(
    true_offset: float, trips: list[tuple[float, float]], later: float
) -> None:
    """However unequal there and back are, it is behind by the quickest trip at most."""
    clock, now, samples = VenueClock(), 1_000.0, []
    for there, back in trips:
        server_ms = int((now + there + true_offset) * 1000)
        samples.append(Sample(sent=now, received=now + there + back, server_ms=server_ms))
        now += there + back
    clock.learn(samples)
    behind = (now + later + true_offset) * 1000 - clock.now_ms(now + later)
    assert -1 <= behind <= min(sample.trip for sample in samples) * 1000 + 3
    assert clock.uncertainty == min(sample.trip for sample in samples)


def test_nothing_is_known_before_a_measurement() -> None:
    """Who would sign now must measure first."""
    assert not VenueClock().is_known


def test_what_can_be_a_time() -> None:
    """Milliseconds of this century; neither seconds, microseconds, text nor nothing."""
    assert is_plausible(SERVER_MS)
    for wrong in (0, SERVER_MS // 1000, SERVER_MS * 1000, "1790000000000", None, 1.79e12):
        assert not is_plausible(wrong)
