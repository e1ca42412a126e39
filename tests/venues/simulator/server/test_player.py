"""The player: when it starts, how fast it goes, whom it waits for. In virtual time."""

import json
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from levitrio.venues.simulator.market.generated_tape import GeneratedTape
from levitrio.venues.simulator.market.recorded_tape import RecordedTape
from levitrio.venues.simulator.market.stream_protocol import StreamSession
from levitrio.venues.simulator.market.tape import SimulatorTape
from levitrio.venues.simulator.server.player import RESERVED_SECONDS, Player, StreamSubscriber
from levitrio.venues.simulator.server.send_queue import FULL_BYTES, SendQueue
from tests.venues.simulator.recordings import trade_line, write

NOW = 1_750_000_000.0


def player(
    tape: SimulatorTape | None = None,
    *,
    speed: float = 1.0,
    expected: frozenset[str] | None = None,
    reserve: Callable[[int], Awaitable[None]] | None = None,
    start_after_ms: int = 0,
) -> Player:
    return Player(
        tape=tape or GeneratedTape(7),
        speed=speed,
        expected_streams=expected,
        wall_clock=lambda: NOW,
        reserve=reserve,
        start_after_ms=start_after_ms,
    )


@attrs.define(eq=False)
class Reader:
    """Subscribes at once and keeps what it reads, with the time of reading."""

    player: Player
    streams: tuple[str, ...] = ("btcusdt@trade",)
    listener: StreamSubscriber = attrs.field(init=False)
    read: list[tuple[float, Any]] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        session = StreamSession.open("/ws")
        assert session is not None
        self.listener = StreamSubscriber(session, SendQueue())
        for stream in self.streams:
            self.player.subscribe(self.listener, stream)
        self.player.check_start()

    async def run(self) -> None:
        while True:
            batch = await self.listener.send_queue.take()
            now = trio.current_time()
            while batch:
                # Frames of these tests are shorter than 64 KiB, so there are two forms.
                is_short = batch[1] < 126
                start = 2 if is_short else 4
                end = start + (batch[1] if is_short else int.from_bytes(batch[2:4], "big"))
                self.read.append((now, json.loads(batch[start:end])))
                batch = batch[end:]

    def ids(self) -> list[int]:
        return [data["t"] for _, data in self.read]


def recorded(tmp_path: Path, *, trades: int, every_ms: int = 1) -> RecordedTape:
    lines = (trade_line(number, after_ms=number * every_ms) for number in range(trades))
    return RecordedTape([write(tmp_path / "a", *lines)], pytest.fail)


async def test_the_tape_starts_once_every_expected_stream_is_subscribed(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """With one stream missing nothing is played; the market begins at the start, not before."""
    playing = player(expected=frozenset({"btcusdt@trade", "ethusdt@trade"}))
    nursery.start_soon(playing.run)
    one = Reader(playing)
    nursery.start_soon(one.run)
    await trio.sleep(100)
    assert not playing.started.is_set()
    assert one.read == []
    other = Reader(playing, ("ethusdt@trade",))
    nursery.start_soon(other.run)
    await trio.sleep(1.2)
    assert playing.started.is_set()
    common = min(len(one.read), len(other.read))
    assert common >= 2
    assert one.ids()[:common] == other.ids()[:common]


async def test_speed_is_market_seconds_per_second_and_never_more(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """At speed 4 a trade comes exactly when its market time does."""
    playing = player(speed=4.0)
    reader = Reader(playing)
    nursery.start_soon(playing.run)
    nursery.start_soon(reader.run)
    await trio.sleep(10)
    assert len(reader.read) == pytest.approx(80, abs=2)
    first_at, first = reader.read[0]
    for at, data in reader.read:
        assert at - first_at == pytest.approx((data["T"] - first["T"]) / 4000, abs=0.002)


async def test_a_slow_reader_holds_the_tape_and_loses_nothing(
    nursery: trio.Nursery, autojump_clock: MockClock, tmp_path: Path
) -> None:
    """The tape is at most a full outbox ahead, and goes on where it stood."""
    tape = recorded(tmp_path, trades=6_000)
    playing = player(tape, speed=math.inf)
    reader, quick = Reader(playing), Reader(playing)
    nursery.start_soon(playing.run)
    nursery.start_soon(quick.run)
    await trio.sleep(1_000)
    held_at = tape.trades
    assert FULL_BYTES / 300 < held_at < 6_000
    assert len(quick.read) == held_at
    nursery.start_soon(reader.run)
    await playing.ended.wait()
    await wait_all_tasks_blocked()
    assert reader.ids() == quick.ids() == list(range(6_000))


async def test_lost_time_is_not_caught_up(
    nursery: trio.Nursery, autojump_clock: MockClock, tmp_path: Path
) -> None:
    """After a reader held the tape, the rest comes at `speed`, not in a burst."""
    playing = player(recorded(tmp_path, trades=4_000, every_ms=10), speed=1.0)
    reader = Reader(playing)
    nursery.start_soon(playing.run)
    await trio.sleep(1_000)
    nursery.start_soon(reader.run)
    await playing.ended.wait()
    await wait_all_tasks_blocked()
    resumed = [(at, data) for at, data in reader.read if at > reader.read[0][0]]
    assert len(resumed) > 1_000
    (first_at, first), (last_at, last) = resumed[0], resumed[-1]
    assert last_at - first_at == pytest.approx((last["T"] - first["T"]) / 1000, abs=0.1)


async def test_a_listener_that_leaves_lets_the_tape_go(
    nursery: trio.Nursery, autojump_clock: MockClock, tmp_path: Path
) -> None:
    """Closing the outbox that held the tape is enough for the others."""
    playing = player(recorded(tmp_path, trades=6_000), speed=math.inf)
    stalled, reader = Reader(playing), Reader(playing)
    nursery.start_soon(reader.run)
    nursery.start_soon(playing.run)
    await trio.sleep(10)
    assert len(reader.read) < 6_000
    stalled.listener.send_queue.close()
    playing.unsubscribe_all(stalled.listener)
    await playing.ended.wait()
    await wait_all_tasks_blocked()
    assert reader.ids() == list(range(6_000))


async def test_a_recording_waits_without_a_listener(
    nursery: trio.Nursery, autojump_clock: MockClock, tmp_path: Path
) -> None:
    """The next listener gets the next line, however long it took."""
    playing = player(recorded(tmp_path, trades=10, every_ms=1_000))
    first = Reader(playing)
    nursery.start_soon(first.run)
    nursery.start_soon(playing.run)
    await trio.sleep(2.5)
    playing.unsubscribe_all(first.listener)
    await trio.sleep(1_000)
    second = Reader(playing)
    nursery.start_soon(second.run)
    await playing.ended.wait()
    await wait_all_tasks_blocked()
    assert first.ids() == [0, 1, 2]
    assert second.ids() == list(range(3, 10))


async def test_a_generated_market_goes_on_without_a_listener(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """A listener that comes back finds the market where time has brought it."""
    playing = player(speed=2.0)
    first = Reader(playing)
    nursery.start_soon(first.run)
    nursery.start_soon(playing.run)
    await trio.sleep(10)
    playing.unsubscribe_all(first.listener)
    await trio.sleep(500)
    second = Reader(playing)
    nursery.start_soon(second.run)
    await trio.sleep(10)
    assert second.ids()[0] - first.ids()[-1] == pytest.approx(2 * 2 * 500, abs=4)


async def test_market_time_is_reserved_before_it_is_played(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """No trade is later than the newest reservation; there are few of them."""
    marks: list[int] = []

    async def reserve(market_ms: int) -> None:
        assert all(data["T"] <= marks[-1] for _, data in reader.read)
        await trio.sleep(0.01)
        marks.append(market_ms)

    playing = player(speed=10.0, reserve=reserve)
    reader = Reader(playing)
    nursery.start_soon(reader.run)
    nursery.start_soon(playing.run)
    await trio.sleep(100)
    assert marks == sorted(marks)
    assert len(marks) == pytest.approx(100 / RESERVED_SECONDS, abs=2)
    assert reader.read[-1][1]["T"] <= marks[-1]


async def test_the_next_start_goes_on_after_the_reservation(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """The wall clock stands still between two runs, and yet no trade id comes twice."""
    marks: list[int] = []

    async def reserve(market_ms: int) -> None:
        marks.append(market_ms)

    ids: list[int] = []
    for _ in range(2):
        playing = player(reserve=reserve, start_after_ms=marks[-1] if marks else 0)
        reader = Reader(playing)
        nursery.start_soon(reader.run)
        with trio.move_on_after(30):
            await playing.run()
        await wait_all_tasks_blocked()
        ids += reader.ids()
    assert ids == sorted(set(ids))
    assert len(ids) > 100


async def test_cancelled_while_reserving_nothing_was_played(autojump_clock: MockClock) -> None:
    """A reservation that never became durable lets no event out."""

    async def reserve(market_ms: int) -> None:
        await trio.sleep_forever()

    playing = player(reserve=reserve)
    reader = Reader(playing)
    with trio.move_on_after(1) as scope:
        await playing.run()
    assert scope.cancelled_caught
    assert playing.tape.market_ms == 0
    with trio.move_on_after(1) as scope:
        await reader.run()
    assert reader.read == []


async def test_an_error_of_reserve_ends_the_playing(autojump_clock: MockClock) -> None:
    """The caller decides what an unusable journal means."""

    async def reserve(market_ms: int) -> None:
        raise OSError("no room")

    playing = player(reserve=reserve)
    Reader(playing)
    with pytest.raises(OSError, match="no room"):
        await playing.run()


async def test_subscribing_twice_and_leaving_what_one_never_had(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Each event comes once; unknown streams are ignored."""
    playing = player()
    reader = Reader(playing, ("btcusdt@trade", "btcusdt@trade", "nonsense"))
    playing.unsubscribe(reader.listener, ["never@trade", "nonsense"])
    nursery.start_soon(reader.run)
    nursery.start_soon(playing.run)
    await trio.sleep(5)
    assert reader.ids() == sorted(set(reader.ids()))
    playing.unsubscribe(reader.listener, ["btcusdt@trade"])
    got = len(reader.read)
    await trio.sleep(5)
    assert len(reader.read) <= got + 1


async def test_an_idle_market_at_unbounded_speed_stands_still(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Without a bound no market time can pass without listeners."""
    playing = player(speed=math.inf)
    first = Reader(playing)
    nursery.start_soon(playing.run)
    await trio.sleep(1)
    first.listener.send_queue.close()
    playing.unsubscribe_all(first.listener)
    await trio.sleep(100)
    stood_at = playing.tape.market_ms
    Reader(playing)
    await trio.sleep(1)
    assert playing.tape.market_ms > stood_at
