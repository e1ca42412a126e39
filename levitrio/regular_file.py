"""Reads a whole small file that somebody else wrote, and nothing that only looks like one."""

import os
import stat
from pathlib import Path


def read_plain(path: Path, limit: int) -> tuple[bytes, float]:
    """The content and the time of its last change, seconds since 1970; opened once.

    Raises OSError when it cannot be read, and when it is no plain file or over `limit` bytes.
    """
    # Without NONBLOCK a pipe would hold up its reader for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise OSError("expected a plain file, got something else")
        if about.st_size > limit:
            raise OSError(f"expected at most {limit} bytes, got {about.st_size}")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(limit), about.st_mtime
    finally:
        os.close(descriptor)


def reason_of(error: OSError) -> str:
    """Why, in a few words."""
    return error.strerror or str(error)
