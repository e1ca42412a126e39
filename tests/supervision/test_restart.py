"""The restart policy as a pure value, and the log it is asked with."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levitrio.supervision.restart import CrashLog, GiveUp, Restart, RestartPolicy

POLICY = RestartPolicy()
chances = st.floats(0, 1, exclude_max=True)


def test_the_delays_of_a_crash_loop() -> None:
    """At once, then doubling from the base, then the end: the documented sequence."""
    log = CrashLog()
    decisions = [log.crashed(POLICY, now=float(n), ran=0.0, chance=0.0) for n in range(6)]
    assert decisions[:5] == [Restart(delay=d) for d in (0.0, 1.0, 2.0, 4.0, 8.0)]
    assert decisions[5] == GiveUp(reason="5 restarts within 3600 s, at most 5")


@pytest.mark.parametrize("attempt", [1, 2, 7, 1_000, 1_025, 10**6, 10**30])
def test_backoff_holds_for_every_attempt(attempt: int) -> None:
    """Also where no float can represent the power."""
    assert POLICY.backoff(attempt, 0.0) == (2.0 ** (attempt - 1) if attempt < 7 else 60.0)
    assert RestartPolicy(backoff_base=0.0).backoff(attempt, 0.5) == 0.0
    assert RestartPolicy(backoff_factor=1.0).backoff(attempt, 0.0) == 1.0


def test_backoff_counts_from_one() -> None:
    """There is no attempt zero."""
    with pytest.raises(ValueError, match="expected 1 or more, got 0"):
        POLICY.backoff(0, 0.0)


@given(st.integers(1, 10**40), chances)
def test_jitter_only_shortens(attempt: int, chance: float) -> None:
    """No delay exceeds the cap, and none is shortened by more than the jitter."""
    full = POLICY.backoff(attempt, 0.0)
    assert full * 0.8 <= POLICY.backoff(attempt, chance) <= full <= 60.0


def test_a_stable_run_resets_the_delay() -> None:
    """After 600 s of running the next restart is immediate, though it still counts."""
    log = CrashLog()
    for now in (0.0, 1.0, 2.0):
        log.crashed(POLICY, now=now, ran=0.0, chance=0.0)
    assert log.crashed(POLICY, now=620.0, ran=599.9, chance=0.0) == Restart(delay=4.0)
    assert log.crashed(POLICY, now=1230.0, ran=600.0, chance=0.0) == Restart(delay=0.0)
    assert log.restarts(POLICY, 1230.0) == 5


def test_what_left_the_window_does_not_count() -> None:
    """The oldest restart falls out of the window exactly when it is that old."""
    log = CrashLog()
    for now in range(5):
        log.crashed(POLICY, now=float(now), ran=0.0, chance=0.0)
    assert log.restarts(POLICY, 3599.9) == 5
    assert log.restarts(POLICY, 3600.0) == 4
    assert isinstance(log.crashed(POLICY, now=3600.0, ran=0.0, chance=0.0), Restart)


def test_no_restart_at_all() -> None:
    """With `max_restarts = 0` the first crash is the last."""
    policy = RestartPolicy(max_restarts=0)
    assert isinstance(CrashLog().crashed(policy, now=0.0, ran=0.0, chance=0.0), GiveUp)


@given(
    st.integers(0, 6),
    st.floats(0, 100),
    st.lists(st.tuples(st.floats(0, 50), chances), max_size=60),
)
def test_at_most_n_restarts_in_any_window(
    most: int, window: float, crashes: list[tuple[float, float]]
) -> None:
    """Whatever the gaps and delays: no window of that length holds more restarts."""
    policy = RestartPolicy(max_restarts=most, window=window, backoff_max=20.0)
    log, now, restarts = CrashLog(), 0.0, []
    for gap, chance in crashes:
        now += gap
        decision = log.crashed(policy, now=now, ran=gap, chance=chance)
        if isinstance(decision, Restart):
            now += decision.delay
            log.restarted(now)
            restarts.append(now)
    for index, first in enumerate(restarts):
        assert sum(1 for time in restarts[index:] if time - first < window) <= most


def test_the_log_is_loaded_from_ages() -> None:
    """Monotonic time dies with the process, ages do not."""
    loaded = CrashLog.from_ages([1000.0, 990.0, 10.0], now=7.0, policy=POLICY)
    assert list(loaded.times) == [-993.0, -983.0, -3.0]
    assert loaded.streak == 1


def test_a_clock_set_back_makes_entries_new() -> None:
    """An age is never negative, so that nothing counts for longer than the window."""
    loaded = CrashLog.from_ages([-7.0, 1.0], now=5.0, policy=POLICY)
    assert list(loaded.times) == [4.0, 5.0]
    assert loaded.streak == 2


def test_loading_is_bounded() -> None:
    """No more entries than could ever change a decision."""
    loaded = CrashLog.from_ages(range(100_000), now=0.0, policy=POLICY)
    assert len(loaded.times) == POLICY.max_restarts + 1


def test_clear_forgets() -> None:
    """A reset starts a new life."""
    log = CrashLog.from_ages([1.0, 2.0], now=0.0, policy=POLICY)
    log.clear()
    log.restarted(3.0)
    assert (log.restarts(POLICY, 0.0), log.streak) == (0, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_restarts", -1),
        ("window", math.nan),
        ("backoff_base", -1.0),
        ("backoff_factor", 0.5),
        ("backoff_max", math.inf),
        ("jitter", 1.5),
        ("stable_after", -0.1),
    ],
)
def test_nonsense_is_refused(field: str, value: float) -> None:
    """A policy that could never work is not a value."""
    with pytest.raises(ValueError, match=field):
        RestartPolicy(**{field: value})  # type: ignore[arg-type]
