"""`levi record`: a real feed on a real socket into a real file, ended by time, tape or signal."""

import signal
import threading
from pathlib import Path

import pytest

from levitrio.cli import record as module
from levitrio.cli.main import main
from levitrio.cli.record import record
from levitrio.config.loader import load
from levitrio.venues.recordings.reader import RecordingReader
from tests.venues.simulator.recordings import quote_line, trade_line, write

FLEET = """
[simulator]
speed = 50.0
{simulator}
[feed]
streams = ["trade", "bookTicker", "depth@100ms"]
[engines.BTCUSDT]
"""


def fleet(folder: Path, simulator: str = "") -> Path:
    path = folder / "fleet.toml"
    path.write_text(FLEET.format(simulator=simulator))
    return path


def frames(path: Path) -> list[str]:
    """The streams of a recording, none of its lines refused."""
    refused: list[str] = []
    streams = [event.stream for event in RecordingReader(path, refused.append)]
    assert refused == []
    return streams


def test_for_some_seconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It ends by itself, says what it wrote, and leaves the file closed and whole."""
    out = tmp_path / "a.gz"
    assert main(["record", str(fleet(tmp_path)), "--out", str(out), "--for", "1"]) == 0
    streams = frames(out)
    assert {"btcusdt@trade", "btcusdt@bookTicker"} <= set(streams)
    assert capsys.readouterr().out.startswith(f"{out}: ")
    assert main(["record", str(fleet(tmp_path)), "--out", str(out), "--for", "1"]) == 2


def test_to_the_end_of_a_tape(tmp_path: Path) -> None:
    """A recording that is played is recorded to its last line, in the same order."""
    lines = [trade_line(n, after_ms=n * 10) for n in range(50)]
    write(tmp_path / "tape.txt", *lines, quote_line(1, after_ms=600))
    config = load(fleet(tmp_path, 'recording = ["tape.txt"]'))
    assert record(config, out=tmp_path / "b.txt") == 0
    assert frames(tmp_path / "b.txt") == ["btcusdt@trade"] * 50 + ["btcusdt@bookTicker"]


def test_a_signal_ends_it(tmp_path: Path) -> None:
    """Ctrl-C is the usual end: exit 0, and everything that came is in the file."""
    timer = threading.Timer(1.0, signal.raise_signal, [signal.SIGINT])
    timer.start()
    try:
        assert record(load(fleet(tmp_path)), out=tmp_path / "c.txt") == 0
    finally:
        timer.cancel()
        timer.join()
    assert "btcusdt@trade" in frames(tmp_path / "c.txt")


def test_dropped_frames_are_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dropped frames are reported, with exit 1."""
    monkeypatch.setattr("levitrio.venues.recordings.writer.MAX_BUFFERED", 1)
    assert record(load(fleet(tmp_path)), out=tmp_path / "d.txt", seconds=1.0) == 1
    assert "frames were dropped" in capsys.readouterr().err


def test_events_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Events of the feed are shown with control characters escaped."""
    module._report("feed_gap", "BTCUSDT: \x1b[2J", engine="BTCUSDT")
    assert capsys.readouterr() == ("", "feed_gap: BTCUSDT: \\x1b[2J\n")
