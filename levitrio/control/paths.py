"""Where a fleet's control socket is, and whether its directory can be trusted.

Imports little, because the client that cron runs pays for every import. Reads no XDG variable:
cron has none, and every shell must find the same fleet.
"""

import os
import re
import stat

from levitrio.errors import UsageError

MAX_PATH = 100
"""Bytes. The kernel takes 107; the rest is left for the name of the lock beside it."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"


def home() -> str:
    """HOME, or the home of the passwd entry where HOME is unset or no absolute path."""
    path = os.environ.get("HOME", "")
    if not path.startswith("/"):
        import pwd

        path = pwd.getpwuid(os.geteuid()).pw_dir
    return path.rstrip("/")


def run_directory() -> str:
    """The directory in which every fleet of this user has its socket and lock."""
    return f"{home()}/.local/state/levitrio/run"


def default_socket(fleet: str) -> str:
    """The socket of a fleet whose fleet.toml names none.

    Raises:
        UsageError: `fleet` cannot be a fleet's name.
    """
    if not re.match(_NAME, fleet) or ".." in fleet:
        raise UsageError(f"expected a fleet name of letters, digits, . _ -, got {fleet[:64]!r}")
    return f"{run_directory()}/{fleet}.sock"


def lock_path(socket_path: str) -> str:
    """The lock file beside a socket; the process that holds it owns the socket."""
    return f"{socket_path.removesuffix('.sock')}.lock"


def check_length(socket_path: str) -> None:
    """Check the length of a socket path.

    Raises:
        UsageError: The path is too long for a Unix socket.
    """
    length = len(os.fsencode(socket_path))
    if length > MAX_PATH:
        raise UsageError(
            f"expected a socket path of at most {MAX_PATH} bytes, got {length}: {socket_path}; "
            "name a shorter one as [control] socket"
        )


def check_directory(directory: str) -> None:
    """Check that only this user can reach into a directory.

    Raises:
        UsageError: It is no directory, belongs to another user, or is open to others.
        OSError: It does not exist.
    """
    found = os.lstat(directory)
    if not stat.S_ISDIR(found.st_mode):
        raise UsageError(f"expected a directory that is no symbolic link: {directory}")
    if found.st_uid != os.geteuid():
        raise UsageError(
            f"expected a directory owned by uid {os.geteuid()}, "
            f"{directory} belongs to uid {found.st_uid}"
        )
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise UsageError(
            f"expected a directory closed to others, {directory} has mode {mode:04o}; "
            f"type: chmod 700 {directory}"
        )
