"""Keeps async generators that user code abandons inside a nursery from ending the trio run.

trio finalizes an abandoned generator on another task. If the generator yielded inside a nursery,
it leaves there a nursery that belongs to the engine's task, which corrupts the scheduler: trio
raises `TrioInternalError` and the whole run ends. So, while the task that first iterated a
generator lives and has opened a nursery since, the generator is kept instead of finalized. The
open nursery is a crash of that incarnation as soon as its code returns, and the kept generators
are dropped with it. trio finalizes all others as usual.
"""

import contextvars
import sys
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

import attrs
import trio

MAX_KEPT = 100
"""Generators one incarnation may abandon inside nurseries; more than this is a leak in a loop."""


class Keeper(Protocol):
    """Keeps the abandoned generators of one incarnation alive."""

    def keep(self, generator: object) -> None:
        """Called by the finalizer hook for a generator that must live on; must not raise."""


current_keeper: contextvars.ContextVar[Keeper | None] = contextvars.ContextVar(
    "current_keeper", default=None
)
"""Keeper of the incarnation that runs; every task that user code starts inherits it."""

_Generator = AsyncGenerator[Any, Any]
_Hook = Callable[[_Generator], None]


@attrs.frozen
class _Origin:
    keeper: "weakref.ref[Keeper]"
    task: "weakref.ref[trio.lowlevel.Task]"
    nurseries: int
    """Nurseries that the task had open when the generator was first iterated."""

    def holds_a_nursery(self) -> bool:
        task = self.task()
        # trio has closed the nurseries of a task that is over: they can be left on any task.
        return (
            task is not None
            and cast("Any", task.coro).cr_frame is not None
            and len(task.child_nurseries) > self.nurseries
        )


@contextmanager
def keep_abandoned_generators() -> Iterator[None]:
    """Install asyncgen hooks in front of trio's, for this thread, until the block is left."""
    before = sys.get_asyncgen_hooks()
    # Keyed by address: weak references are cleared before a finalizer runs. A generator that ends
    # normally never reaches the finalizer, but the next one at its address overwrites the entry.
    origins: dict[int, _Origin] = {}

    def first_iteration(generator: _Generator) -> None:
        keeper = current_keeper.get()
        if keeper is None:
            origins.pop(id(generator), None)
        else:
            task = trio.lowlevel.current_task()
            origins[id(generator)] = _Origin(
                weakref.ref(keeper), weakref.ref(task), len(task.child_nurseries)
            )
        if before.firstiter is not None:
            before.firstiter(generator)

    def finalize(generator: _Generator) -> None:
        origin = origins.pop(id(generator), None)
        keeper = None if origin is None else origin.keeper()
        if origin is not None and keeper is not None and origin.holds_a_nursery():
            keeper.keep(generator)
        elif before.finalizer is not None:
            before.finalizer(generator)

    sys.set_asyncgen_hooks(cast("_Hook", first_iteration), cast("_Hook", finalize))
    try:
        yield
    finally:
        sys.set_asyncgen_hooks(*before)
