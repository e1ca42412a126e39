"""Taps, and the market's present as the exchange sees it. In virtual time."""

import json
import math

import pytest
import trio
from trio.testing import MockClock

from levitrio.venues.recordings.frames import TapeEvent
from levitrio.venues.simulator.server.player import Player
from tests.venues.simulator.server.test_player import NOW, Reader, player

TRADE = "btcusdt@trade"
START_MS = int(NOW * 1000)


async def test_a_tap_alone_does_not_make_the_tape_play(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """It gets what others let play; with a reason to keep playing it gets everything."""
    playing = player()
    nursery.start_soon(playing.run)
    seen: list[TapeEvent] = []
    playing.tap(TRADE, seen.append)
    await trio.sleep(60)
    assert seen == []
    playing.keep_playing("BTCUSDT", True)
    await trio.sleep(10)
    assert len(seen) == pytest.approx(20, abs=2)
    playing.keep_playing("BTCUSDT", False)
    playing.untap(TRADE)
    before = len(seen)
    await trio.sleep(60)
    assert len(seen) == before


async def test_a_tap_hears_before_any_listener_and_without_faults(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """The exchange knows every trade, also one that clients are not shown."""
    playing = player()
    playing.faults.replace(type(playing.faults.now)(gap_every=2))
    seen: list[int] = []
    playing.tap(TRADE, lambda event: seen.append(json.loads(event.data)["t"]))
    reader = Reader(playing)
    nursery.start_soon(playing.run)
    nursery.start_soon(reader.run)
    await trio.sleep(10)
    assert reader.ids() == seen[::2]
    playing.untap(TRADE)
    before = len(seen)
    await trio.sleep(20)
    assert len(seen) == before
    assert len(reader.ids()) > before


@pytest.mark.parametrize("speed", [1.0, 10.0])
async def test_the_present_lies_between_past_and_future(
    speed: float, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Never before what was published, never after what waits, and it goes on between events and
    without listeners."""
    playing = player(speed=speed)
    assert playing.now_ms() == START_MS
    reader = Reader(playing)
    nursery.start_soon(playing.run)
    nursery.start_soon(reader.run)
    latest = 0
    for _ in range(200):
        await trio.sleep(0.03)
        now_ms = playing.now_ms()
        assert now_ms >= latest
        latest = now_ms
        if reader.read:
            assert now_ms >= reader.read[-1][1]["T"] - 1
            assert now_ms == pytest.approx(_due_ms(playing, reader, speed), abs=2)
    playing.unsubscribe_all(reader.listener)
    await trio.sleep(100)
    assert playing.now_ms() - latest == pytest.approx(100_000 * speed, abs=1_100)


def _due_ms(playing: Player, reader: Reader, speed: float) -> float:
    """Where the tape's own pace puts the present."""
    first_at, first = reader.read[0]
    return float(first["T"] + (trio.current_time() - first_at) * speed * 1000)


async def test_at_unbounded_speed_the_present_is_what_was_published(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """There is no pace to go by: the end of the slot that was stepped last."""
    playing = player(speed=math.inf)
    reader = Reader(playing)
    nursery.start_soon(playing.run)
    nursery.start_soon(reader.run)
    while len(reader.read) < 10:
        await trio.lowlevel.checkpoint()
    assert reader.read[-1][1]["T"] <= playing.now_ms() <= playing.tape.market_ms
