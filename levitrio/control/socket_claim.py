"""Claims a fleet's control socket: first the lock file, then the socket path.

The process that holds the lock file's flock owns the socket path. So the stale socket of a killed
run is replaced, a live one is never touched, and of twenty simultaneous starts one succeeds.
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
"""Clients that may wait to be accepted while the loop is busy; below the kernel's own limit."""


@contextmanager
def claim_socket(path: str, *, fleet: str) -> Iterator[socket.socket]:
    """Hold the fleet's lock, with a listening socket at `path`; both end with the block.

    The lock file is never removed: a process that still waits for the removed file and one that
    makes a new file would both hold a lock. Clients that connect before the socket is served
    wait in its backlog.

    Raises:
        FleetLocked: Another process holds the lock; its socket is left alone.
        UsageError: The path is too long, or its directory cannot be trusted.
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
        ours = os.lstat(path)  # to recognise it at the end, when another may be in its place
        try:
            yield listener
        finally:
            listener.close()
            _unlink_if_same(path, ours)
    finally:
        os.close(lock)


def _make_directory(directory: Path) -> None:
    """Make missing directories with mode 0700, whatever the umask."""
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
        # The pid is only for the error text of another start; the flock is what counts.
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
    """Bind and listen; called with the lock held, so a socket at `path` is a stale one."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            if not stat.S_ISSOCK(os.lstat(path).st_mode):
                raise UsageError(f"expected a socket or nothing at {path}, found something else")
            Path(path).unlink()
        except FileNotFoundError:
            pass
        previous = os.umask(0o177)  # the socket is never open to others, not even before a chmod
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
    """Remove the socket, unless another process has replaced it."""
    try:
        found = os.lstat(path)
        if (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino):
            Path(path).unlink()
    except FileNotFoundError:
        pass
