"""File locks, and the lock that allows one process per data directory.

The kernel holds the lock (flock) and drops it when the process ends, however that happens; a lock
file left behind has no effect. The file is never unlinked: two processes could then each hold a
lock on a different file of the same name.
"""

import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from levitrio.errors import FleetLocked, UsageError

LOCK_NAME = "lock"


def checked_directory(directory: Path) -> Path:
    """Create the directory with mode 0700 if it is missing, and check that it is safe to use.

    Returns:
        `directory`.

    Raises:
        UsageError: it cannot be created, is a symlink, no directory, not ours, or writable by all
            users. A user who can replace files in it could change the fleet's positions.
    """
    try:
        directory.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        pass
    except OSError as error:
        raise UsageError(f"{directory}: expected to create a directory: {error.strerror}") from None
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        kind = "a symlink" if stat.S_ISLNK(found.st_mode) else "no directory"
        raise UsageError(f"{directory}: expected a directory of our own, it is {kind}")
    if found.st_uid != os.geteuid():
        raise UsageError(f"{directory}: expected our own directory, it belongs to {found.st_uid}")
    if found.st_mode & stat.S_IWOTH:
        raise UsageError(
            f"{directory}: expected a directory only this user can write to, all users can;"
            f" type: chmod 700 {directory}"
        )
    return directory


def hold(path: Path, holder: str, refusal: Callable[[str], str]) -> int:
    """Lock a file without waiting and write `holder` into it.

    Returns:
        The descriptor that holds the lock; closing it releases the lock.

    Raises:
        FleetLocked: another process holds the lock. The text is `refusal` of what that process
            wrote into the file; nothing was changed.
        UsageError: the file cannot be created or opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise UsageError(f"{path}: expected a lock file: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.pread(descriptor, 100, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise FleetLocked(refusal(other)) from None
    except BaseException:
        os.close(descriptor)
        raise
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{holder}\n".encode("ascii"), 0)
    return descriptor


@attrs.define(eq=False)
class DataDirLock:
    """Locks a data directory for this process; a context manager."""

    data_dir: Path
    _descriptor: int | None = attrs.field(default=None, init=False)

    def acquire(self) -> None:
        """Take the lock without waiting; `release` gives it back.

        Raises:
            FleetLocked: another process has the directory; the text names it, and nothing was
                changed.
            UsageError: the directory or the lock file is not safe to use.
        """
        checked_directory(self.data_dir)
        self._descriptor = hold(
            self.data_dir / LOCK_NAME,
            f"{os.getpid()}",
            lambda holder: (
                f"{self.data_dir} is in use by process {holder or 'unknown'}:"
                " one data directory serves one fleet;"
                " see it with `levi ctl status`, end it with `levi ctl shutdown`"
            ),
        )

    def release(self) -> None:
        """Release the lock; does nothing when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
