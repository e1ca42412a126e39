"""Staleness, learnt from the cadence of each stream."""

import random

from levitrio.trading.staleness import CEILING, Cadence, StalenessMonitor

FLOOR = 30.0


def cadence_of(*gaps: float, floor: float = FLOOR) -> Cadence:
    cadence = Cadence(floor)
    now = 0.0
    cadence.hear(now)
    for gap in gaps:
        now += gap
        cadence.hear(now)
    return cadence


def test_nothing_known_is_the_floor() -> None:
    """Before the first gap, the setting alone counts."""
    assert Cadence(FLOOR).allowed == FLOOR
    assert cadence_of().allowed == FLOOR


def test_a_busy_stream_stays_at_the_floor() -> None:
    """However fast it is, `stale_after` is always allowed."""
    assert cadence_of(*[0.01] * 10_000).allowed == FLOOR
    assert cadence_of(*[2.0] * 500).allowed == FLOOR


def test_a_quiet_pair_is_not_a_dead_one() -> None:
    """Random gaps of a minute on average are silent for minutes without an alarm."""
    chance = random.Random(5)
    gaps = [chance.expovariate(1 / 60) for _ in range(400)]
    cadence = cadence_of(*gaps[:40])
    overdue = 0
    for gap in gaps[40:]:
        overdue += gap > cadence.allowed
        assert cadence.received is not None
        cadence.hear(cadence.received + gap)
    assert overdue == 0
    assert 300 < cadence.allowed <= CEILING * FLOOR


def test_bursts_do_not_shorten_it() -> None:
    """A hundred trades in a second, then none for 40 s: the silence is the cadence."""
    cadence = cadence_of(*([0.01] * 100 + [40.0]) * 20)
    assert cadence.allowed > 120


def test_one_outage_teaches_little() -> None:
    """After a stall of five minutes a busy stream is soon watched as closely as before."""
    cadence = cadence_of(*[0.05] * 2_000, 300.0, *[0.05] * 2_000)
    assert cadence.allowed < 45
    assert cadence_of(*[0.05] * 2_000, 300.0, *[0.05] * 12_000).allowed == FLOOR


def test_time_without_a_connection_teaches_nothing() -> None:
    """The gap over a reconnect is the connection's, not the market's."""
    cadence = cadence_of(1.0, 1.0)
    cadence.interrupt()
    cadence.hear(100.0)
    cadence.hear(101.0)
    assert cadence.allowed == FLOOR


def test_there_is_a_ceiling() -> None:
    """A market silent for hours has no price, however usual that is."""
    assert cadence_of(*[7_200.0] * 50).allowed == CEILING * FLOOR


def test_a_pair_that_wakes_up() -> None:
    """What was quiet at night and is busy by day is watched closely again within the hour."""
    cadence = cadence_of(*[60.0] * 60, *[0.05] * 36_000)
    assert cadence.allowed < 60


def test_one_alarm_for_each_episode() -> None:
    """It begins once, names the stream that stopped, and ends once."""
    watch = StalenessMonitor.over(["trade", "bookTicker"], floor=FLOOR, now=0.0)
    changes = []
    for second in range(200):
        now = float(second)
        if not 50 <= second < 120:
            watch.streams["trade"].hear(now)
        watch.streams["bookTicker"].hear(now)
        changed = watch.check(now)
        if changed is not None:
            changes.append((second, watch.is_stale, changed.stream))
    assert changes == [(80, True, "trade"), (120, False, "trade")]
    assert watch.received == 199.0


def test_a_symbol_that_never_spoke() -> None:
    """Without any event there is no age, but an alarm once the floor is over."""
    watch = StalenessMonitor.over(["trade", "bookTicker"], floor=FLOOR, now=100.0)
    assert watch.received is None
    assert watch.worst(1_000.0) is None
    assert watch.check(130.0) is None
    silence = watch.check(130.5)
    assert silence is not None
    assert (silence.stream, silence.age, watch.is_stale) == ("any stream", 30.5, True)
    assert watch.check(131.0) is None
    watch.streams["trade"].hear(140.0)
    assert watch.check(140.0) is not None
    assert not watch.is_stale


def test_the_worst_stream_counts() -> None:
    """One that stalls is seen, however lively the others are; one that never spoke is not."""
    watch = StalenessMonitor.over(["trade", "bookTicker", "depth@100ms"], floor=FLOOR, now=0.0)
    watch.streams["trade"].hear(1.0)
    watch.streams["bookTicker"].hear(40.0)
    worst = watch.worst(41.0)
    assert worst is not None
    assert (worst.stream, worst.age, worst.is_stale) == ("trade", 40.0, True)
    watch.interrupt()
    watch.streams["trade"].hear(50.0)
    assert watch.streams["trade"].allowed == FLOOR
