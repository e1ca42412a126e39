"""Taking a fleet's socket: the lock first, and only then the path.

Whoever holds the lock file's flock owns the socket path. So a stale socket of a killed run is
replaced, a live one is never touched, and twenty starts at once leave exactly one.
"""

import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from levitrio.control import paths
from levitrio.errors import FleetLocked, UsageError

BACKLOG = 128
"""Clients that may knock while the loop is busy; the kernel's own default limit is higher."""


@contextmanager
def claim_socket(path: str, *, fleet: str) -> Iterator[socket.socket]:
    """Hold the fleet's lock, with a listening socket at `path`; both end with the block.

    The lock file stays: removing it would let two processes hold "the" lock. Clients that
    connect before anybody serves the socket wait in its backlog.

    Raises:
        FleetLocked: another process holds the lock; nothing of it was touched.
        UsageError: the path is too long, or its directory cannot be trusted.
    """
    paths.check_length(path)
    directory = Path(path).parent
    if not Path(path).is_absolute():
        raise UsageError(f"[control] socket: expected an absolute path, got {path}")
    try:
        _make_directory(directory)
        paths.check_directory(str(directory))
    except OSError as error:
        raise UsageError(f"cannot use {directory} for the control socket: {error}") from error
    lock = _lock(paths.lock_path(path), fleet)
    try:
        listener = _bind(path)
        ours = os.lstat(path)
        try:
            yield listener
        finally:
            listener.close()
            _unlink_if_same(path, ours)
    finally:
        os.close(lock)


def _make_directory(directory: Path) -> None:
    """Every missing directory closed to others, whatever the umask says."""
    if not directory.exists():
        _make_directory(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)


def _lock(path: str, fleet: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise UsageError(f"cannot open the lock {path}: {error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        who = f"process {holder}" if holder.isdigit() else "another process"
        raise FleetLocked(
            f"fleet {fleet} is already run by {who}; see it with: levi ctl --fleet {fleet} status"
        ) from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _bind(path: str) -> socket.socket:
    """Only with the lock held: what lies at `path` now is nobody's."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            if not stat.S_ISSOCK(os.lstat(path).st_mode):
                raise UsageError(f"expected a socket or nothing at {path}, found something else")
            Path(path).unlink()
        except FileNotFoundError:
            pass
        previous = os.umask(0o177)  # the socket is never open to others, not for a moment
        try:
            listener.bind(path)
        finally:
            os.umask(previous)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(f"cannot make the control socket {path}: {error}") from error
    except BaseException:
        listener.close()
        raise
    return listener


def _unlink_if_same(path: str, ours: os.stat_result) -> None:
    """Leave alone what somebody else put in our place."""
    try:
        found = os.lstat(path)
        if (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino):
            Path(path).unlink()
    except FileNotFoundError:
        pass
