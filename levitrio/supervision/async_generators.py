"""Async generators that user code abandons.

One that yields inside a nursery and is then dropped is finalized by trio on a task of its own.
There it leaves a nursery that belongs to the engine's task, which corrupts the scheduler: trio
answers with `TrioInternalError` and the whole run ends. So, while the task that first iterated
a generator lives and has opened a nursery since, the generator is kept instead of finalized; the
open nursery is a crash of that incarnation as soon as its code returns, and what was kept goes
with it. All others go trio's way.
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
"""Generators one incarnation may abandon inside nurseries: a loop of them is a leak, no mistake."""


class Keeper(Protocol):
    """Who holds on to the generators of one incarnation."""

    def keep(self, generator: object) -> None:
        """Called when a generator must not be finalized yet. Must not raise."""


current_keeper: contextvars.ContextVar[Keeper | None] = contextvars.ContextVar(
    "current_keeper", default=None
)
"""Inherited by every task that user code starts."""

_Generator = AsyncGenerator[Any, Any]
_Hook = Callable[[_Generator], None]


@attrs.frozen
class _Origin:
    keeper: "weakref.ref[Keeper]"
    task: "weakref.ref[trio.lowlevel.Task]"
    nurseries: int
    """How many the task had open when the generator was first iterated."""

    def holds_a_nursery(self) -> bool:
        task = self.task()
        # A task that is over had its nurseries taken away: they are safe to leave anywhere.
        return (
            task is not None
            and cast("Any", task.coro).cr_frame is not None
            and len(task.child_nurseries) > self.nurseries
        )


@contextmanager
def keep_abandoned_generators() -> Iterator[None]:
    """Put our hooks in front of trio's, for this thread, until the block is left."""
    before = sys.get_asyncgen_hooks()
    # By address: weak references are gone before a finalizer runs. A generator that ends well
    # never gets there, but the next one at its address writes the entry anew.
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
