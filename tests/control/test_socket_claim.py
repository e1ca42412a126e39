"""Taking the socket: one winner, nothing of his touched, nothing left behind."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from levitrio.control.socket_claim import claim_socket
from levitrio.errors import FleetLocked, UsageError
from tests.control.serving import private_directory

_HOLD = """
import sys
from levitrio.control.socket_claim import claim_socket
with claim_socket(sys.argv[1], fleet="demo"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place() -> Iterator[Path]:
    with private_directory() as path:
        yield path / "demo.sock"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_the_socket_is_ours_alone_whatever_the_umask(place: Path) -> None:
    """0600 in 0700 directories that are made on the way, and the umask is given back."""
    deep = place.parent / "a" / "b" / "demo.sock"
    previous = os.umask(0)
    try:
        with claim_socket(str(deep), fleet="demo"):
            assert mode(deep) == 0o600
            assert mode(deep.parent) == mode(deep.parent.parent) == 0o700
            assert mode(deep.with_suffix(".lock")) == 0o600
        assert os.umask(0) == 0
    finally:
        os.umask(previous)
    assert not deep.exists()
    assert deep.with_suffix(".lock").exists()


def test_a_second_claim_is_refused_and_harms_nothing(place: Path) -> None:
    """Also within one process; the winner still accepts."""
    with claim_socket(str(place), fleet="demo") as listener:
        before = place.lstat()
        with (
            pytest.raises(FleetLocked, match=f"process {os.getpid()}"),
            claim_socket(str(place), fleet="demo"),
        ):
            pass
        assert place.lstat().st_ino == before.st_ino
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(place))
            listener.accept()[0].close()


@pytest.mark.slow
def test_what_a_killed_process_left_is_replaced(place: Path) -> None:
    """`kill -9` leaves a socket and a lock file; the next start takes both over."""
    command = [sys.executable, "-c", _HOLD, str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(FleetLocked), claim_socket(str(place), fleet="demo"):
            pass
        process.kill()
    assert place.exists()
    with claim_socket(str(place), fleet="demo"), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(place))


def test_only_what_is_ours_is_unlinked(place: Path) -> None:
    """A socket that another process put in place of ours stays; a removed one is no error."""
    with claim_socket(str(place), fleet="demo"):
        place.unlink()
        place.write_text("theirs")
    assert place.read_text() == "theirs"
    place.unlink()
    with claim_socket(str(place), fleet="demo"):
        place.unlink()


def test_what_is_no_socket_is_not_replaced(place: Path) -> None:
    """A regular file at the path is refused and left alone."""
    place.write_text("precious")
    with pytest.raises(UsageError, match="something else"), claim_socket(str(place), fleet="demo"):
        pass
    assert place.read_text() == "precious"


def test_places_that_cannot_be_trusted_are_refused(place: Path) -> None:
    """Open directory, linked lock, relative or too long a path, a directory that cannot be."""
    linked = place.parent / "linked.lock"
    linked.symlink_to(place.parent / "elsewhere")
    with pytest.raises(UsageError, match="lock"):
        _claim(place.parent / "linked.sock")
    assert not (place.parent / "elsewhere").exists()
    with pytest.raises(UsageError, match=r"\[control\] socket"):
        _claim(place.parent / ("x" * 120))
    with pytest.raises(UsageError, match="absolute"):
        _claim(Path("demo.sock"))
    (place.parent / "file").touch()
    with pytest.raises(UsageError, match="cannot use"):
        _claim(place.parent / "file" / "run" / "demo.sock")
    place.parent.chmod(0o755)
    with pytest.raises(UsageError, match="chmod 700"):
        _claim(place)
    assert not place.exists()


def _claim(path: Path) -> None:
    with claim_socket(str(path), fleet="demo"):
        pass
