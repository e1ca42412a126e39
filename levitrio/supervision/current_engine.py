"""Names the engine whose code a task runs, and the exception that ends a step that blocks.

The name is a context variable: all tasks that the engine's code starts inherit it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

ENGINE: ContextVar[str | None] = ContextVar("levitrio_engine", default=None)
"""Name of the engine whose code the current task runs; None in the fleet's own tasks."""


@contextmanager
def as_engine(name: str) -> Iterator[None]:
    """Mark the tasks started in this block as running the code of the engine `name`.

    Put it around `start_soon`, so that the task has the name when its first step begins. When a
    task sets `ENGINE` itself, the alarm sees it within that step, but the flight recorder does not.
    """
    token = ENGINE.set(name)
    try:
        yield
    finally:
        ENGINE.reset(token)


class EngineBlocked(BaseException):
    """Raised by the watchdog in the code of an engine that blocks the loop.

    Not an `Exception`, because the code that blocks may catch those.
    """

    def __init__(self, engine: str, seconds: float, place: tuple[str, int, str]) -> None:
        file, line, function = place
        super().__init__(f"{engine} blocked the loop for {seconds:.2g} s: {file}:{line} {function}")
        self.engine = engine
        self.seconds = seconds
        self.place = place
