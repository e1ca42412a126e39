"""File operations of the snapshot store, behind a protocol so that a test can simulate power cuts.

Only `SnapshotStore` calls `Disk`, in its thread. Names are plain file names in one directory.
"""

import errno
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from levitrio.records.locks.reserve_descriptor import ReservedDescriptor
from levitrio.regular_file import open_regular

T = TypeVar("T")


class Disk(Protocol):
    """One directory. Contents are durable after `fsync`, names after `sync`.

    Raises:
        OSError: from each method.
    """

    def create(self, name: str) -> int:
        """Open a new, empty file; fails when the name exists. The caller closes the handle."""
        ...

    def write(self, handle: int, data: memoryview) -> int:
        """Append data; return the number of bytes written, which may be less than all."""
        ...

    def fsync(self, handle: int) -> None:
        """Make the written data durable, but not the file's name, see `sync`."""
        ...

    def close(self, handle: int) -> None:
        """Close the handle."""
        ...

    def read(self, name: str, limit: int) -> bytes:
        """Read at most `limit` bytes of a regular file of our own.

        Raises:
            FileNotFoundError: the name does not exist.
        """
        ...

    def rename(self, old: str, new: str) -> None:
        """Rename `old` to `new` atomically, replacing `new`."""
        ...

    def unlink(self, name: str) -> None:
        """Remove a name; does nothing when it does not exist."""
        ...

    def sync(self) -> None:
        """Make creations, renames and removals durable."""
        ...

    def names(self) -> list[str]:
        """The names in the directory."""
        ...


class Directory:
    """The `Disk` of a real directory, which must exist."""

    def __init__(self, path: Path, reserve: ReservedDescriptor | None = None) -> None:
        """With `reserve`, snapshots are written even when user code has used up all descriptors."""
        self.path = path
        self._reserve = reserve

    def _opening(self, call: Callable[[], T]) -> T:
        """Make a call that opens a file; if no descriptor is left, with the reserved one."""
        try:
            return call()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            if self._reserve is None or not self._reserve.spend():
                raise
        return call()

    def _open(self, path: Path, flags: int) -> int:
        return self._opening(partial(os.open, path, flags | os.O_CLOEXEC, 0o600))

    def _closed(self) -> None:
        if self._reserve is not None:
            self._reserve.keep()

    def create(self, name: str) -> int:
        """As in `Disk`; mode 0600."""
        return self._open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW)

    def write(self, handle: int, data: memoryview) -> int:
        """As in `Disk`."""
        return os.write(handle, data)

    def fsync(self, handle: int) -> None:
        """As in `Disk`."""
        os.fsync(handle)

    def close(self, handle: int) -> None:
        """As in `Disk`."""
        os.close(handle)
        self._closed()

    def read(self, name: str, limit: int) -> bytes:
        """As in `Disk`; a symlink, a FIFO or another user's file is an OSError."""
        file, found = open_regular(self.path / name, follow_links=False)
        with file:
            if found.st_uid != os.geteuid():
                raise OSError(f"expected our own file, it belongs to user {found.st_uid}")
            if found.st_mode & stat.S_IWOTH:
                raise OSError("expected a file only this user can write to, all users can")
            return file.read(limit)

    def rename(self, old: str, new: str) -> None:
        """As in `Disk`."""
        os.rename(self.path / old, self.path / new)  # noqa: PTH104  the system call is the point

    def unlink(self, name: str) -> None:
        """As in `Disk`."""
        (self.path / name).unlink(missing_ok=True)

    def sync(self) -> None:
        """As in `Disk`."""
        descriptor = self._open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            self._closed()

    def names(self) -> list[str]:
        """As in `Disk`."""
        try:
            return sorted(self._opening(partial(os.listdir, self.path)))
        finally:
            self._closed()
