"""Ends the process in C after a SIGTERM whose stop is late, even while the loop is blocked.

A blocked loop never reads what `trio.open_signal_receiver` queues for it, so SIGTERM would have
no effect. The signal's handler arms the exit, and faulthandler's thread carries it out, which
needs neither the loop nor the GIL. Only this exit writes no final snapshot.
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

    The exit code is 1, and no engine is blamed. Elapsed time counts, a SIGSTOP too. Arming again
    moves the exit.
    """
    try:
        file = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        # stderr is closed or has no descriptor. Never the number 2: the journal may have it.
        file = os.open(os.devnull, os.O_WRONLY)
    faulthandler.dump_traceback_later(seconds, exit=True, file=file)


def disarm_exit() -> None:
    """Cancel the exit that `arm_exit` armed."""
    faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def exit_armed_by(signum: signal.Signals, seconds: float) -> Iterator[None]:
    """While open, `signum` also arms the exit, even if the loop is blocked.

    Open it inside `trio.open_signal_receiver`, on the main thread: the receiver's handler is
    called as before. The handler runs between two bytecodes, so it misses a C call that never
    returns; the sentinel ends those. An exit that was armed stays armed.
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
