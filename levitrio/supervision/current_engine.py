"""Whose code a task runs, and what ends a step of it that blocks everybody.

One look at a task's context names its engine. Tasks that the engine's code starts inherit the
name, however deep they hide.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

ENGINE: ContextVar[str | None] = ContextVar("levitrio_engine", default=None)
"""Name of the engine whose code the current task runs; None in the fleet's own tasks."""


@contextmanager
def as_engine(name: str) -> Iterator[None]:
    """Tasks started in this block run the code of the engine `name`.

    Put it around `start_soon`: so the task has its name when its first step begins. A task that
    sets `ENGINE` itself is found by the alarm within that step, but not by the blackbox.
    """
    token = ENGINE.set(name)
    try:
        yield
    finally:
        ENGINE.reset(token)


class EngineBlocked(BaseException):
    """Raised in the code of an engine that blocks the loop.

    No `Exception`, for the code that has to be left may catch those.
    """

    def __init__(self, engine: str, seconds: float, place: tuple[str, int, str]) -> None:
        file, line, function = place
        super().__init__(f"{engine} blocked the loop for {seconds:.2g} s: {file}:{line} {function}")
        self.engine = engine
        self.seconds = seconds
        self.place = place
