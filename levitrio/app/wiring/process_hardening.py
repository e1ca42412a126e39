"""Hardens the process before it opens keys and files: core dumps, debuggers, standard streams."""

import ctypes
import logging
import os
import resource
import sys

_PR_SET_DUMPABLE = 4

_CHATTY = ("trio-websocket", "wsproto", "h11")
"""Libraries that log what they send, secrets included, at debug level."""


def harden() -> None:
    """Forbid core dumps, debuggers of the same user, and debug logs of sent frames.

    For live trading, before the key is read. A step that the system does not know is skipped.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, min(hard, 0) if hard >= 0 else 0))
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def occupy_standard_streams() -> None:
    """Open `/dev/null` as standard input, output or error where that is closed.

    Otherwise the next opened file gets that descriptor, and a line that a library or the ending
    interpreter prints is written into a lock or the journal.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
