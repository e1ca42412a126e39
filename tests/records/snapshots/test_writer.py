"""Snapshots are written off the loop, seldom, and a failed write never ends the fleet."""

import errno
from pathlib import Path

import attrs
import msgspec
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from levitrio.records.snapshots.filesystem import Directory
from levitrio.records.snapshots.snapshot import encode, encode_engines, structure
from levitrio.records.snapshots.store import SnapshotStore
from levitrio.records.snapshots.writer import RETRY_MAX, SnapshotWriter
from levitrio.records.worker_threads import inline
from tests.records.power import PowerDisk
from tests.records.snapshots.test_snapshot import SNAPSHOT


@attrs.define
class Camera:
    """Counts its snapshots in `market_ms`."""

    taken: int = 0

    async def __call__(self) -> msgspec.Raw:
        await trio.lowlevel.checkpoint()
        self.taken += 1
        head = attrs.evolve(SNAPSHOT, market_ms=self.taken)
        return encode(head, [encode_engines(SNAPSHOT.engines)])


def loaded(disk: PowerDisk) -> int:
    found = SnapshotStore(disk).load()
    assert found is not None
    return structure(found.payload).market_ms


async def test_many_requests_are_one_write_a_second(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """A thousand requests become one write a second."""
    disk, camera = PowerDisk(), Camera()
    writer = SnapshotWriter(SnapshotStore(disk), camera, offload=inline)
    await nursery.start(writer.run)

    for _ in range(50):
        writer.request()
        await trio.sleep(0.1)

    assert camera.taken == 5
    assert writer.generation == 5
    nursery.cancel_scope.cancel()


async def test_nothing_is_written_unasked(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """An idle fleet leaves the disk alone."""
    disk, camera = PowerDisk(), Camera()
    writer = SnapshotWriter(SnapshotStore(disk), camera, offload=inline)
    await nursery.start(writer.run)
    await trio.sleep(100)

    assert camera.taken == 0
    nursery.cancel_scope.cancel()


async def test_trouble_is_told_once_and_retried_ever_more_rarely(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """Disk full for an hour: one alarm, the old generation stays, then it goes on by itself."""
    disk, camera = PowerDisk(), Camera()
    troubles: list[str] = []
    writer = SnapshotWriter(SnapshotStore(disk), camera, offload=inline, on_trouble=troubles.append)
    await nursery.start(writer.run)
    assert await writer.flush()

    def refuse(_: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    disk.on_call = refuse
    writer.request()
    await trio.sleep(3_600)
    assert len(troubles) == 1
    assert "No space left" in troubles[0]
    assert writer.failing
    assert camera.taken < 3_600 / RETRY_MAX + 10
    assert loaded(disk.after_kill()) == 1

    disk.on_call = lambda _: None
    await trio.sleep(RETRY_MAX)
    assert not writer.failing
    assert loaded(disk) == camera.taken
    assert not await failing_flush(writer, disk, refuse)
    assert len(troubles) == 2
    nursery.cancel_scope.cancel()


async def failing_flush(writer: SnapshotWriter, disk: PowerDisk, refuse: object) -> bool:
    disk.on_call = refuse  # type: ignore[assignment]
    return await writer.flush()


async def test_a_payload_that_cannot_be_written_is_trouble_too() -> None:
    """A state that slipped past `plain_state` is an alarm, not the end of the fleet."""
    engine = attrs.evolve(SNAPSHOT.engines[0], strategy_state=object())

    async def capture() -> msgspec.Raw:
        return encode(SNAPSHOT, [encode_engines([engine])])

    troubles: list[str] = []
    writer = SnapshotWriter(
        SnapshotStore(PowerDisk()),
        capture,
        offload=inline,
        on_trouble=troubles.append,
    )

    assert not await writer.flush()
    assert "TypeError" in troubles[0]


async def test_the_last_photograph_does_not_wait(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """`flush` ignores the interval and needs no running writer."""
    disk, camera = PowerDisk(), Camera()
    writer = SnapshotWriter(SnapshotStore(disk), camera, offload=inline)
    await nursery.start(writer.run)
    writer.request()
    await wait_all_tasks_blocked()

    assert await writer.flush()

    assert trio.current_time() == 0
    assert loaded(disk) == 2
    nursery.cancel_scope.cancel()


async def test_a_flush_cancelled_before_it_began_stays_requested(
    nursery: trio.Nursery,
) -> None:
    """Nothing was written, and the next chance writes it."""
    disk, camera = PowerDisk(), Camera()
    writer = SnapshotWriter(SnapshotStore(disk), camera, offload=inline)
    writer.request()
    with trio.move_on_after(0) as scope:
        await writer.flush()
    assert scope.cancelled_caught
    assert camera.taken == 0
    await nursery.start(writer.run)
    await wait_all_tasks_blocked()

    assert writer.generation == 1
    nursery.cancel_scope.cancel()


async def test_writing_happens_in_a_thread_of_its_own(tmp_path: Path) -> None:
    """The default offload writes a real file while the loop goes on."""
    writer = SnapshotWriter(SnapshotStore(Directory(tmp_path)), Camera())

    assert await writer.flush()

    assert (tmp_path / "registry.json").exists()
