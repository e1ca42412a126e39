"""Reading recording files, good and torn."""

import gzip
import os
from pathlib import Path

import pytest

from levitrio.errors import UsageError
from levitrio.venues.recordings.reader import RecordingReader
from tests.venues.simulator.recordings import LOCAL_NS, quote_line, trade_line, write


def read(path: Path) -> tuple[list[str], list[str]]:
    refused: list[str] = []
    return [event.stream for event in RecordingReader(path, refused.append)], refused


@pytest.mark.parametrize("name", ["plain.txt", "packed.gz"])
def test_frames_come_as_they_were_recorded(tmp_path: Path, name: str) -> None:
    """Local time, stream and payload bytes are those of the line, packed or not."""
    path = write(tmp_path / name, trade_line(1), quote_line(2, after_ms=3))
    trade, quote = RecordingReader(path, pytest.fail)
    assert (trade.time_ns, trade.stream) == (LOCAL_NS, "btcusdt@trade")
    assert (quote.time_ns, quote.stream) == (LOCAL_NS + 3_000_000, "btcusdt@bookTicker")
    assert trade.data.startswith(b'{"e":"trade","E":1700000001200,"s":"BTCUSDT","t":1,')
    assert trade.combined() == trade_line(1).partition(" ")[2].encode()


def test_a_packed_file_is_known_by_its_content(tmp_path: Path) -> None:
    """The name of the file decides nothing."""
    packed = write(tmp_path / "a.gz", trade_line(1))
    assert len(list(RecordingReader(packed.rename(tmp_path / "a.txt"), pytest.fail))) == 1


def test_answers_between_the_frames_are_passed_over(tmp_path: Path) -> None:
    """A depth snapshot has no stream; it is neither an event nor refused."""
    snapshot = f'{LOCAL_NS} {{"lastUpdateId":5,"bids":[],"asks":[]}}'
    path = write(tmp_path / "a", trade_line(1), snapshot, "", trade_line(2))
    assert read(path) == (["btcusdt@trade"] * 2, [])


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        '{"stream":"a@trade","data":{}}',
        '-5 {"stream":"a@trade","data":{}}',
        '1e9 {"stream":"a@trade","data":{}}',
        f"{'9' * 20} " + '{"stream":"a@trade","data":{}}',
        f'{LOCAL_NS} {{"stream":"a@trade","data":{{',
        f'{LOCAL_NS} {{"stream":5,"data":{{}}}}',
        f"{LOCAL_NS} []",
        f"{LOCAL_NS}",
    ],
)
def test_a_line_that_does_not_parse_is_refused_by_number(tmp_path: Path, line: str) -> None:
    """File and line are named, and the lines after it are read."""
    path = write(tmp_path / "a", trade_line(1), line, trade_line(2))
    streams, refused = read(path)
    assert len(streams) == 2
    (problem,) = refused
    assert problem.startswith(f"{path}:2: expected ")


def test_a_torn_packed_file_gives_what_was_whole(tmp_path: Path) -> None:
    """The end that is missing is reported, what came before it is played."""
    path = write(tmp_path / "a.gz", *(trade_line(n, price=str(n**9)) for n in range(1, 3_000)))
    path.write_bytes(path.read_bytes()[:-2_000])
    streams, refused = read(path)
    assert 0 < len(streams) < 2_999
    assert "expected more of the file" in refused[0]


def test_garbage_after_the_gzip_magic_is_reported(tmp_path: Path) -> None:
    """A file that only begins like gzip is refused, not raised."""
    path = tmp_path / "a.gz"
    path.write_bytes(b"\x1f\x8b" + b"x" * 100)
    assert read(path)[0] == []
    path.write_bytes(gzip.compress(b"x")[:-4] + b"abcd")
    assert "expected" in read(path)[1][0]


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    """A missing file, a folder and a pipe never get to block a read."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path / "missing", tmp_path, pipe):
        with pytest.raises(UsageError, match="expected a recording"):
            RecordingReader(path, pytest.fail)
