"""Files that other programs may have put there."""

import os
import socket
from pathlib import Path

import pytest

from levitrio.errors import VenueError, first_error
from levitrio.regular_file import NotARegularFile, open_regular, read_regular


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_file_is_read_with_its_time(tmp_path: Path) -> None:
    """Content and modification time belong together: both are of the opened file."""
    path = tmp_path / "scores.json"
    path.write_bytes(b"{}")
    os.utime(path, (5, 1_000_000))
    assert read_regular(path, 2) == (b"{}", 1_000_000)
    with pytest.raises(OSError, match="expected at most 1 bytes, got 2"):
        read_regular(path, 1)


@pytest.mark.parametrize("kind", ["fifo", "folder", "socket", "device"])
def test_nothing_else_is_opened(tmp_path: Path, kind: str) -> None:
    """A FIFO without a writer would block its reader for ever, a device has no end."""
    path = tmp_path / "odd"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    before = open_descriptors()
    # The kernel refuses to open a socket; the rest is refused after a look at what was opened.
    with pytest.raises(OSError, match=r"regular file|No such device") as refused:
        open_regular(path)
    assert isinstance(refused.value, NotARegularFile) == (kind != "socket")
    assert open_descriptors() == before


def test_links_are_followed_unless_refused(tmp_path: Path) -> None:
    """A user may link a configuration; in our own folder a link is a trick."""
    (tmp_path / "real").write_bytes(b"x")
    link = tmp_path / "link"
    link.symlink_to("real")
    file, status = open_regular(link)
    with file:
        assert (file.read(), status.st_size) == (b"x", 1)
    with pytest.raises(OSError, match="symbolic links"):
        open_regular(link, follow_links=False)


def test_the_first_error_of_groups_in_groups() -> None:
    """Nurseries wrap an error once for each of them."""
    error = VenueError("closed")
    assert first_error(error) is error
    wrapped = BaseExceptionGroup("", [ExceptionGroup("", [error]), KeyboardInterrupt()])
    assert first_error(wrapped) is error
