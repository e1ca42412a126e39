"""Log files: one per symbol and day, whole lines only, few of them open."""

import os
import resource
import signal
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from levitrio.records.logs.log_files import LogFiles, file_name
from levitrio.records.logs.log_format import LogRecord

DAY = 86_400_000


def open_in(directory: Path) -> set[str]:
    """Names of the files of a directory that this process has open, as the kernel knows them."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor of this very listing
            found.add(link.readlink())
    return {path.name for path in found if path.parent == directory}


def test_the_name_follows_the_records_own_date() -> None:
    """A record of 23:59 that is written after midnight belongs to yesterday."""
    at = 1_795_391_999_999

    assert file_name(LogRecord(at, "info", "SOLUSDT", "x")) == "engine-SOLUSDT-20261122.jsonl"
    assert file_name(LogRecord(at + 1, "info", None, "x")) == "orchestrator-20261123.jsonl"


@pytest.mark.parametrize("symbol", ["../X", "A/B", "", "A..B", "a", "A\0B", "A" * 33, "A\n"])
def test_a_symbol_that_is_no_file_name_is_refused(symbol: str) -> None:
    """A name must not lead out of the directory."""
    with pytest.raises(ValueError, match="expected a symbol"):
        file_name(LogRecord(0, "info", symbol, "x"))


def test_lines_are_appended_to_private_files(tmp_path: Path) -> None:
    """The directory is made when it is needed, and what is there stays."""
    for n in range(2):
        files = LogFiles(tmp_path / "logs")
        files.append("a.jsonl", [b"%d\n" % n, b"x\n"])
        files.close()

    path = tmp_path / "logs" / "a.jsonl"
    assert path.read_bytes() == b"0\nx\n1\nx\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_few_files_are_open(tmp_path: Path) -> None:
    """The least recently written one is closed, and opened again when it is its turn."""
    files = LogFiles(tmp_path, open_limit=2)
    for name in ("a", "b", "a", "c", "b"):
        files.append(name, [b"line\n"])

    assert open_in(tmp_path) == {"b", "c"}
    files.close()
    assert (tmp_path / "b").read_bytes() == b"line\nline\n"


@pytest.mark.parametrize("torn", [b'{"half', b'one\n{"half', b"x" * 70_000])
def test_a_torn_line_is_cut(tmp_path: Path, torn: bytes) -> None:
    """A kill left an incomplete line; the next one must not be appended to it."""
    (tmp_path / "a").write_bytes(torn)
    files = LogFiles(tmp_path)
    files.append("a", [b"whole\n"])
    files.close()

    assert (tmp_path / "a").read_bytes().endswith(b"whole\n")
    if len(torn) < 100:
        assert b"half" not in (tmp_path / "a").read_bytes()


def test_a_planted_file_is_not_written_to(tmp_path: Path) -> None:
    """A symlink or FIFO in place of a log is refused, without waiting for a reader."""
    (tmp_path / "victim").write_text("precious\n")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    os.mkfifo(tmp_path / "fifo")
    files = LogFiles(tmp_path)

    for name in ("link", "fifo"):
        with pytest.raises(OSError, match=r"symbolic|expected"):
            files.append(name, [b"line\n"])

    assert open_in(tmp_path) == set()
    assert (tmp_path / "victim").read_text() == "precious\n"


def test_a_write_that_fails_half_way_leaves_no_half_line(tmp_path: Path) -> None:
    """A real short write, by a limit on file size: every line in the file still parses."""
    files = LogFiles(tmp_path)
    files.append("a", [b"first\n"])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, hard))
    try:
        with pytest.raises(OSError, match="large"):
            files.append("a", [b"x" * 5_000 + b"\n"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / "a").read_bytes() == b"first\n"

    files.append("a", [b"second\n"])
    files.close()
    assert (tmp_path / "a").read_bytes() == b"first\nsecond\n"
