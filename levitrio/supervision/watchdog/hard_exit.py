"""The last resort of a stop: an exit in C that a deaf loop cannot miss.

A blocked loop never reads what `trio.open_signal_receiver` queues for it, so SIGTERM would be
lost on it. The exit is armed by the signal's own handler, and carried out by faulthandler's
thread, which asks neither the loop nor the GIL. It is the one end without a final snapshot.
"""

import contextlib
import faulthandler
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType


def arm_exit(seconds: float) -> None:
    """End this process in C after `seconds`, whatever the loop does, with all stacks on stderr.

    The exit code is 1. Blames nobody. Elapsed time: a SIGSTOP counts. Arming again moves it.
    """
    try:
        file = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        # Closed, or something of Python's own. Never a bare 2: it may be the journal's by now.
        file = os.open(os.devnull, os.O_WRONLY)
    faulthandler.dump_traceback_later(seconds, exit=True, file=file)


def disarm_exit() -> None:
    """Take back `arm_exit`."""
    faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def exit_armed_by(signum: signal.Signals, seconds: float) -> Iterator[None]:
    """While open, `signum` also arms the exit, even if the loop is blocked and deaf.

    Inside of `trio.open_signal_receiver`, on the main thread: the receiver's own handler is
    called as before. Runs between two bytecodes; a C call that never returns is the sentinel's.
    An exit that was armed stays armed.
    """
    before = signal.getsignal(signum)

    def arm(number: int, frame: FrameType | None) -> None:
        arm_exit(seconds)
        if callable(before):
            before(number, frame)

    signal.signal(signum, arm)
    try:
        yield
    finally:
        signal.signal(signum, before)
