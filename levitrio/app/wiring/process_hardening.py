"""What a process does for its own safety before it opens anything of a fleet."""

import ctypes
import logging
import os
import resource
import sys

_PR_SET_DUMPABLE = 4

_CHATTY = ("trio-websocket", "wsproto", "h11")
"""Libraries that log what they send, at levels nobody asked for."""


def harden() -> None:
    """No core dump, no debugger of the same user, no frames in anybody's debug log.

    For live trading, before the key is read. What a system does not know is left out.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, min(hard, 0) if hard >= 0 else 0))
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def occupy_standard_streams() -> None:
    """Put `/dev/null` where standard input, output or error was closed.

    The next file would get that number: a stray line of some library, or of the interpreter's
    last words, would be written into a lock or a journal.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
