"""Opens files that other programs may have put there: regular files only, and never blocking.

Every reader of a file that a user names opens it here: fleet.toml, keys, tokens, models, scores,
recordings, snapshots. What was checked is what is read, whatever happens to the path meanwhile.
"""

import os
import stat
from io import BufferedReader
from pathlib import Path


class NotARegularFile(OSError):
    """The path leads to a folder, a FIFO, a device or a socket; `mode` is its `st_mode`."""

    def __init__(self, mode: int) -> None:
        super().__init__("expected a regular file, got something else")
        self.mode = mode


def open_regular(path: Path, *, follow_links: bool = True) -> tuple[BufferedReader, os.stat_result]:
    """Open a regular file for reading; the caller closes it.

    Args:
        path: where it is.
        follow_links: whether its last part may be a symbolic link.

    Returns:
        The open file, and its status: owner, mode, size and time of the last change.

    Raises:
        NotARegularFile: It is something else.
        OSError: It cannot be opened.
    """
    # Without O_NONBLOCK, opening a FIFO would wait for a writer for ever.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags if follow_links else flags | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotARegularFile(status.st_mode)
        return os.fdopen(descriptor, "rb"), status
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, limit: int) -> tuple[bytes, float]:
    """Return a regular file's content and the time of its last change, in seconds since 1970.

    Raises:
        OSError: It cannot be read, is no regular file, or has more than `limit` bytes.
    """
    file, status = open_regular(path)
    with file:
        if status.st_size > limit:
            raise OSError(f"expected at most {limit} bytes, got {status.st_size}")
        return file.read(limit), status.st_mtime


def reason_of(error: OSError) -> str:
    """Return why a file could not be read, in a few words."""
    return error.strerror or str(error)
