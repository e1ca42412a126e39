"""Recordings: written as they came, bounded, never overwritten."""

import gzip
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from levitrio.errors import UsageError
from levitrio.venues.recordings import writer as module
from levitrio.venues.recordings.reader import RecordingReader
from levitrio.venues.recordings.writer import RecordingWriter

FRAME = '{"stream":"btcusdt@trade","data":{"t":1}}'


async def inline(work: object) -> None:
    await trio.lowlevel.checkpoint()
    assert callable(work)
    work()


def recorder_of(path: Path) -> RecordingWriter:
    clock = iter(range(100, 10_000))
    return RecordingWriter(path, clock_ns=lambda: next(clock), offload=inline)


@pytest.mark.parametrize("name", ["a.txt", "a.gz"])
async def test_lines_are_written_while_it_runs(
    name: str, autojump_clock: MockClock, tmp_path: Path
) -> None:
    """Within a period they are on disk, and `close` writes the rest."""
    path = tmp_path / name
    async with trio.open_nursery() as nursery:
        with recorder_of(path) as recorder:
            await nursery.start(recorder.run)
            recorder.take(FRAME)
            recorder.take(FRAME.encode())
            await trio.sleep(1)
            assert recorder.statistics().frames == 2
            assert path.stat().st_size > 0
            recorder.take('{"result":null,\n"id":1}')
            nursery.cancel_scope.cancel()
    data = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    assert data.decode().splitlines() == [
        f"100 {FRAME}",
        f"101 {FRAME}",
        '102 {"result":null, "id":1}',
    ]
    refused: list[str] = []
    events = list(RecordingReader(path, refused.append))
    assert [(event.time_ns, event.stream) for event in events] == [
        (100, "btcusdt@trade"),
        (101, "btcusdt@trade"),
    ]
    assert refused == []
    recorder.close()  # twice is fine
    assert recorder.statistics().bytes == len(data)


def test_none_is_overwritten(tmp_path: Path) -> None:
    """A recording cannot be made again, so a file that is there is left alone."""
    path = tmp_path / "a.txt"
    path.write_text("precious")
    with pytest.raises(UsageError, match="expected a new file"):
        recorder_of(path)
    with pytest.raises(UsageError, match="expected a file to write"):
        recorder_of(tmp_path / "nowhere" / "a.txt")
    assert path.read_text() == "precious"


def test_a_disk_that_cannot_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The buffer is bounded, and what there was no room for is counted."""
    monkeypatch.setattr(module, "MAX_BUFFERED", 200)
    with recorder_of(tmp_path / "a.txt") as recorder:
        for _ in range(10):
            recorder.take(FRAME)
    statistics = recorder.statistics()
    assert statistics.dropped == 10 - statistics.frames
    assert statistics.frames == len((tmp_path / "a.txt").read_text().splitlines()) == 4


def test_frames_that_are_no_text(tmp_path: Path) -> None:
    """Whatever a peer sends is one line."""
    with recorder_of(tmp_path / "a.txt") as recorder:
        recorder.take(b"\xff\r\n\x00")
        recorder.take("\ud800")
    assert (tmp_path / "a.txt").read_bytes().count(b"\n") == 2


async def test_in_a_thread(tmp_path: Path) -> None:
    """The writer of real runs works off the loop."""
    done: list[bool] = []
    await module.in_a_thread(lambda: done.append(True))
    assert done == [True]
