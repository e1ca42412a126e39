"""A process that holds a real key leaves no copy of its memory anywhere."""

import ctypes
import logging
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
