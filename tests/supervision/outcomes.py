"""Everything that can come out of user code on its own task, by name."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable

import outcome
import trio

from tests.supervision.test_crash import BadText, deep_group, deep_recursion

Misdeed = Callable[[], Awaitable[None]]


class BadRepr(Exception):
    def __repr__(self) -> str:
        raise ZeroDivisionError


class Odd(BaseException):
    pass


class Foreign:
    """Awaits something of another framework."""

    def __await__(self) -> object:
        yield "not a trap"


def raising(make: Callable[[], BaseException]) -> Misdeed:
    async def raise_it() -> None:
        raise make()

    return raise_it


async def returns() -> None:
    pass


async def exits() -> None:
    sys.exit(0)


async def recurses() -> None:
    deep_recursion()


async def recurses_while_handling() -> None:
    try:
        deep_recursion()
    except RecursionError:
        deep_recursion()


async def stale_cancelled() -> None:
    stale: BaseException | None = None
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as exc:
            stale = exc
            raise
    assert stale is not None
    raise stale


async def own_scope_then_stale_in_group() -> None:
    try:
        await stale_cancelled()
    except trio.Cancelled as exc:
        raise BaseExceptionGroup("mix", [exc, ValueError("a"), SystemExit(1)]) from None


async def cancels_the_nursery_it_lives_in() -> None:
    nursery = trio.lowlevel.current_task().parent_nursery
    assert nursery is not None
    nursery.cancel_scope.cancel()
    await trio.sleep_forever()


async def cancels_it_and_returns() -> None:
    nursery = trio.lowlevel.current_task().parent_nursery
    assert nursery is not None
    nursery.cancel_scope.cancel()


async def leaves_a_scope_open() -> None:
    trio.CancelScope().__enter__()


async def leaves_a_scope_open_and_raises() -> None:
    trio.CancelScope().__enter__()
    raise ValueError("torn")


async def leaves_a_nursery_open() -> None:
    nursery = await trio.open_nursery().__aenter__()
    nursery.start_soon(trio.sleep_forever)


async def leaves_a_nursery_open_and_raises() -> None:
    await leaves_a_nursery_open()
    raise ValueError("torn")


async def leaves_a_nursery_open_and_waits() -> None:
    nursery = await trio.open_nursery().__aenter__()
    nursery.start_soon(raising(lambda: ValueError("in the left nursery")))
    await trio.sleep_forever()


async def leaves_a_task_behind() -> None:
    nursery = trio.lowlevel.current_task().parent_nursery
    assert nursery is not None
    nursery.start_soon(trio.sleep_forever)


async def leaves_a_raising_task_behind() -> None:
    nursery = trio.lowlevel.current_task().parent_nursery
    assert nursery is not None
    nursery.start_soon(raising(lambda: ValueError("left behind")))
    await trio.sleep_forever()


async def yields_in_a_nursery() -> AsyncGenerator[int, None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        yield 1
        yield 2


async def abandons_a_generator() -> None:
    async for _ in yields_in_a_nursery():
        break
    await trio.sleep(1)


async def abandons_many_generators() -> None:
    while True:
        await abandons_a_generator()


async def abandons_a_generator_in_a_cycle() -> None:
    generator = yields_in_a_nursery()
    cycle: list[object] = [generator]
    cycle.append(cycle)
    await anext(generator)


async def keeps_a_generator_for_ever() -> None:
    generator = yields_in_a_nursery()
    KEPT.append(generator)
    await anext(generator)


KEPT: list[object] = []


async def yields_in_a_scope() -> AsyncGenerator[int, None]:
    with trio.move_on_after(0.5):
        yield 1


async def abandons_a_generator_in_a_scope() -> None:
    async for _ in yields_in_a_scope():
        break
    await trio.sleep(1)


async def awaits_something_foreign() -> None:
    await Foreign()  # type: ignore[misc]


async def detaches() -> None:
    await trio.lowlevel.permanently_detach_coroutine_object(outcome.Value(None))


async def raises_through_a_nursery() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        raise BadRepr


OUTCOMES: dict[str, tuple[Misdeed, str]] = {
    "Exception": (raising(lambda: ValueError("boom")), "ValueError"),
    "SystemExit": (exits, "SystemExit"),
    "KeyboardInterrupt": (raising(KeyboardInterrupt), "KeyboardInterrupt"),
    "GeneratorExit": (raising(GeneratorExit), "GeneratorExit"),
    "StopIteration": (raising(StopIteration), "RuntimeError"),
    "StopAsyncIteration": (raising(StopAsyncIteration), "StopAsyncIteration"),
    "asyncio.CancelledError": (raising(asyncio.CancelledError), "CancelledError"),
    "BaseException": (raising(Odd), "Odd"),
    "MemoryError": (raising(MemoryError), "MemoryError"),
    "RecursionError": (recurses, "RecursionError"),
    "RecursionError twice": (recurses_while_handling, "RecursionError"),
    "bad text": (raising(BadText), "BadText"),
    "bad repr": (raising(BadRepr), "BadRepr"),
    "bad repr in a nursery": (raises_through_a_nursery, "ZeroDivisionError"),
    "deep group": (raising(lambda: deep_group(5_000)), "ValueError"),
    "wide group": (
        raising(lambda: BaseExceptionGroup("wide", [ValueError("leaf")] * 100_000)),
        "ValueError",
    ),
    "stale Cancelled": (stale_cancelled, "Cancelled"),
    "stale Cancelled in a group": (own_scope_then_stale_in_group, "ValueError"),
    "early return": (returns, "EarlyReturn"),
    "cancelled its nursery": (cancels_the_nursery_it_lives_in, "ForeignCancel"),
    "cancelled its nursery, returned": (cancels_it_and_returns, "ForeignCancel"),
    "scope open": (leaves_a_scope_open, "RuntimeError"),
    "scope open, raised": (leaves_a_scope_open_and_raises, "ValueError"),
    "nursery open": (leaves_a_nursery_open, "NurseryLeftOpen"),
    "nursery open, raised": (leaves_a_nursery_open_and_raises, "ValueError"),
    "nursery open, its task raised": (leaves_a_nursery_open_and_waits, "NurseryLeftOpen"),
    "task left behind": (leaves_a_task_behind, "TaskLeftBehind"),
    "task left behind raised": (leaves_a_raising_task_behind, "ValueError"),
    "generator abandoned in a nursery": (abandons_a_generator, "NurseryLeftOpen"),
    "many generators abandoned": (abandons_many_generators, "AbandonedGenerators"),
    "generator abandoned in a cycle": (abandons_a_generator_in_a_cycle, "NurseryLeftOpen"),
    "generator kept for ever": (keeps_a_generator_for_ever, "NurseryLeftOpen"),
    "generator abandoned in a scope": (abandons_a_generator_in_a_scope, "Cancelled"),
    "foreign await": (awaits_something_foreign, "TypeError"),
    "task detached": (detaches, "Vanished"),
}
"""Name -> what is done, and the kind of the crash it must become."""
