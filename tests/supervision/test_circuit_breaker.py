"""When crashes are a wave."""

from levitrio.supervision.circuit_breaker import Breaker


def crash_all(breaker: Breaker, count: int, *, now: float, children: int) -> list[float | None]:
    return [breaker.crashed(f"E{n}", now=now, children=children) for n in range(count)]


def test_more_than_a_fifth_is_a_wave() -> None:
    """Exactly a fifth is none, and the pause comes with the one that completes the wave."""
    assert crash_all(Breaker(), 4, now=0.0, children=20) == [None] * 4
    breaker = Breaker()
    assert crash_all(breaker, 5, now=0.0, children=20) == [None, None, None, None, 0.05]
    assert breaker.held_until == 0.05


def test_two_are_never_a_wave() -> None:
    """In a small fleet two crashes prove nothing."""
    assert crash_all(Breaker(), 2, now=0.0, children=2) == [None, None]
    assert crash_all(Breaker(), 3, now=0.0, children=5) == [None, None, 0.05]


def test_one_that_crashes_often_is_no_wave() -> None:
    """Children are counted, not crashes."""
    breaker = Breaker()
    assert not any(breaker.crashed("A", now=float(n), children=4) for n in range(50))


def test_a_minute_is_forgotten() -> None:
    """Crashes farther apart than the window have nothing to do with each other."""
    breaker = Breaker()
    pauses = [breaker.crashed(f"E{n}", now=n * 31.0, children=10) for n in range(10)]
    assert pauses == [None] * 10


def test_the_pause_grows_and_calms_down() -> None:
    """Fivefold with each wave up to the cap; small again after ten calm minutes."""
    breaker = Breaker()
    pauses, now = [], 0.0
    for _ in range(30):
        pauses += [pause for pause in crash_all(breaker, 3, now=now, children=3) if pause]
        now = breaker.held_until
    assert pauses[:6] == [0.05, 0.25, 1.25, 6.25, 31.25, 156.25]
    assert set(pauses[6:]) == {300.0}
    assert crash_all(breaker, 3, now=now + 600.0, children=3)[-1] == 0.05
