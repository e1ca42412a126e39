"""One process per data directory, and only a directory that is ours."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from levitrio.errors import FleetLocked, UsageError
from levitrio.records.locks.file_lock import LOCK_NAME, DataDirLock


def test_a_missing_directory_is_made_private(tmp_path: Path) -> None:
    """No other user may read or replace the files in it."""
    directory = tmp_path / "deep" / "data"

    with DataDirLock(directory):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert (directory / LOCK_NAME).read_text() == f"{os.getpid()}\n"


def test_the_second_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    """The text names the process, and the winner keeps its lock."""
    with DataDirLock(tmp_path):
        with pytest.raises(FleetLocked, match=f"process {os.getpid()}"):
            DataDirLock(tmp_path).acquire()
        with pytest.raises(FleetLocked):
            DataDirLock(tmp_path).acquire()
    with DataDirLock(tmp_path):
        pass


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    """A killed process leaves the file and the pid in it, and they have no effect."""
    code = (
        "import os, pathlib, signal, sys\n"
        "from levitrio.records.locks.file_lock import DataDirLock\n"
        "DataDirLock(pathlib.Path(sys.argv[1])).acquire()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert ended.returncode == -9
    assert (tmp_path / LOCK_NAME).exists()

    with DataDirLock(tmp_path) as lock:
        assert (tmp_path / LOCK_NAME).read_text() == f"{os.getpid()}\n"
        lock.release()
        lock.release()


def test_a_lock_is_not_inherited_by_a_program_we_start(tmp_path: Path) -> None:
    """The descriptor is closed at exec, or a worker would hold the fleet's data for ever."""
    with DataDirLock(tmp_path):
        listing = (
            "import os; names = [f'/proc/self/fd/{n}' for n in range(3, 20)];"
            " print([os.readlink(name) for name in names if os.path.exists(name)])"
        )
        found = subprocess.run(
            [sys.executable, "-c", listing],
            capture_output=True,
            text=True,
            check=True,
            close_fds=False,
        )
    assert str(tmp_path) not in found.stdout


def test_what_is_no_directory_of_ours_is_refused(tmp_path: Path) -> None:
    """A symlink, a file, or a directory that all users may write to."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").touch()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)

    for name, text in [
        ("link", "symlink"),
        ("file", "no directory"),
        ("open", "chmod 700"),
        ("file/below", "create a directory"),
    ]:
        with pytest.raises(UsageError, match=text):
            DataDirLock(tmp_path / name).acquire()
    assert list((tmp_path / "real").iterdir()) == []


def test_a_planted_lock_file_is_not_followed(tmp_path: Path) -> None:
    """A symlink named like the lock would make us write our pid into another file."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / LOCK_NAME).symlink_to(victim)

    with pytest.raises(UsageError, match="lock file"):
        DataDirLock(tmp_path).acquire()

    assert victim.read_text() == "precious"
