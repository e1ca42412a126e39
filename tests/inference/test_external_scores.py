"""External scores from a file."""

import os
from pathlib import Path

import pytest
import trio

from levitrio.inference.external_scores import MAX_BYTES, ScoreFiles, Scores, read_scores
from levitrio.inference.interface import Missing


def code_of(found: float | Missing) -> str | float:
    return found.code if isinstance(found, Missing) else found


def files(folder: Path, *, now: float = 1_000.0, in_replay: bool = False) -> ScoreFiles:
    return ScoreFiles(folder=folder, wall_clock=lambda: now, in_replay=in_replay)


async def read_once(scores: ScoreFiles) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scores.run)
        with trio.fail_after(5):
            while scores._files and any(
                each.trouble == Scores().trouble for each in scores._files.values()
            ):
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()


async def test_a_score_is_read_from_the_file(tmp_path: Path) -> None:
    """With its age, which is that of the file."""
    path = tmp_path / "s.json"
    path.write_text('{"BTCUSDT": 0.7, "ETHUSDT": 7}')
    os.utime(path, (900.0, 900.0))
    scores = files(tmp_path)
    scores.add("s.json")
    assert code_of(scores.look_up("s.json", "BTCUSDT", 200.0)) == "no_file"
    await read_once(scores)
    assert scores.look_up("s.json", "BTCUSDT", 200.0) == 0.7
    assert code_of(scores.look_up("s.json", "BTCUSDT", 50.0)) == "too_old"
    assert code_of(scores.look_up("s.json", "SOLUSDT", 200.0)) == "no_symbol"
    assert code_of(scores.look_up("s.json", "ETHUSDT", 200.0)) == "bad_score"
    assert code_of(scores.look_up("other.json", "ETHUSDT", 200.0)) == "no_file"


def test_a_file_in_replay_has_no_past(tmp_path: Path) -> None:
    """Today's scores were not known in the past."""
    scores = files(tmp_path, in_replay=True)
    scores.add("s.json")
    assert code_of(scores.look_up("s.json", "BTCUSDT", 200.0)) == "no_past"
    assert not scores._wanted.is_set()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"BTCUSDT": "much"}', b"\xff", b"{"])
def test_a_damaged_file_says_so(tmp_path: Path, content: bytes) -> None:
    """And is read again when it is repaired."""
    path = tmp_path / "s.json"
    path.write_bytes(content)
    broken = read_scores(path, Scores())
    assert "expected an object" in broken.trouble
    path.write_text('{"BTCUSDT": 0.5}')
    assert read_scores(path, broken).by_symbol == {"BTCUSDT": 0.5}


def test_an_unchanged_file_is_not_decoded_again(tmp_path: Path) -> None:
    """Its time of change is enough to know."""
    path = tmp_path / "s.json"
    path.write_text("{}")
    once = read_scores(path, Scores())
    assert read_scores(path, once) is once


def test_what_is_no_plain_file_says_so(tmp_path: Path) -> None:
    """A pipe, a folder, nothing, and too much."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with (tmp_path / "giant").open("wb") as giant:
        giant.truncate(MAX_BYTES + 1)
    for name in ("pipe", "folder", "giant", "none"):
        assert read_scores(tmp_path / name, Scores()).trouble
