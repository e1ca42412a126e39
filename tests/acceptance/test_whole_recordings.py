"""The whole of the real recordings: cut every few seconds, and recorded again."""

from pathlib import Path

from trio.testing import MockClock

from tests.venues.test_cut_replay import RECORDINGS, play_twice, play_with_cuts, pytestmark

__all__ = ["pytestmark"]


async def test_cut_every_few_seconds(autojump_clock: MockClock) -> None:
    """Dozens of cuts in six minutes: every trade id of both recordings, in order, each once."""
    assert await play_with_cuts(RECORDINGS) > 30


async def test_a_recording_replays_to_the_same(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Six minutes recorded while they were played give the same bars and signals again."""
    for symbol, path in RECORDINGS.items():
        bars, signals = await play_twice(symbol, path, tmp_path / f"{symbol}.gz")
        assert bars >= 5
        assert signals > 100
