"""The real directory behind snapshots: private files, and no file that is not ours is read."""

import os
import stat
from pathlib import Path

import pytest

from levitrio.records.snapshots.filesystem import Directory


def test_a_file_is_written_read_renamed_and_removed(tmp_path: Path) -> None:
    """The whole life of a snapshot file, readable by us alone."""
    disk = Directory(tmp_path)
    handle = disk.create("a")
    assert disk.write(handle, memoryview(b"text")) == 4
    disk.fsync(handle)
    disk.close(handle)
    disk.rename("a", "b")
    disk.sync()

    assert disk.names() == ["b"]
    assert disk.read("b", 3) == b"tex"
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600
    disk.unlink("b")
    disk.unlink("b")
    assert disk.names() == []


def test_creating_never_follows_what_is_there(tmp_path: Path) -> None:
    """A planted symlink or file of that name is an error, and stays as it was."""
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    disk = Directory(tmp_path)

    for name in ("victim", "link"):
        with pytest.raises(FileExistsError):
            disk.create(name)

    assert (tmp_path / "victim").read_text() == "precious"


def test_only_regular_files_of_our_own_are_read(tmp_path: Path) -> None:
    """A FIFO would hang the start, a symlink or a file open to all may be forged."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dir").mkdir()
    (tmp_path / "open").touch()
    (tmp_path / "open").chmod(0o666)
    (tmp_path / "link").symlink_to(tmp_path / "open")
    disk = Directory(tmp_path)

    for name in ("fifo", "dir", "open", "link"):
        with pytest.raises(OSError, match=r"expected|symbolic|Is a directory"):
            disk.read(name, 10)
    with pytest.raises(FileNotFoundError):
        disk.read("none", 10)
