"""The wrapper around user code: whatever comes out of it is sorted, and none of it gets past.

Rules:

- What ended is judged by the scope, never by the exception. Told to stop: `Stopped`, whatever
  came out. Not told: `Crashed`, whatever came out, a plain return and a `Cancelled` too.
- User code runs on a task of its own, in a nursery nobody else is in. Cancelling that nursery,
  leaving one open, starting tasks behind our back, or tearing the scopes of its task apart hurts
  nobody else; the task and the nursery are thrown away afterwards.
- While they stay clean they are kept: the next incarnation begins on the same task after one
  checkpoint, in the same scope and with a fresh context. This is what makes a restart cost
  little more than a `try` in a loop: a scope of its own for each incarnation costs as much as
  that loop, a nursery three times as much.
- A cancellation from outside is never swallowed: it ends the incarnation, and whoever called
  `Containment.run` meets it again at the next checkpoint.
"""

import contextvars
import decimal
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

import attrs
import trio

from levitrio.supervision.async_generators import MAX_KEPT, current_keeper
from levitrio.supervision.crash import Crash, capture
from levitrio.supervision.current_engine import as_engine

_LEFTOVER_POLL = 0.05
_MAX_FRAMES = 1_000
_TRIO = str(Path(trio.__file__).parent) + os.sep

RETURNED = Crash(kind="EarlyReturn", text="run() returned; it must run until it is cancelled")
VANISHED = Crash(kind="Vanished", text="the task ended without running to its end")
LEFT_OPEN = Crash(kind="NurseryLeftOpen", text="a nursery was opened and never closed")
FOREIGN_CANCEL = Crash(kind="ForeignCancel", text="a nursery was cancelled by code it is not of")
LEFT_BEHIND = Crash(kind="TaskLeftBehind", text="a task was started outside of any own nursery")
ABANDONED = Crash(
    kind="AbandonedGenerators", text=f"over {MAX_KEPT} async generators abandoned in a nursery"
)
_UNRAISED = (RETURNED, FOREIGN_CANCEL, LEFT_BEHIND)


@attrs.frozen(kw_only=True)
class Stopped:
    """It ended because it was told to, or because everything around it ends."""

    incident: Crash | None = None
    """What it raised on its way out, if that was anything but cancellation."""


@attrs.frozen(kw_only=True)
class Crashed:
    """It ended, and nobody had told it to."""

    crash: Crash


Ending = Stopped | Crashed


def _never(_: Crash) -> bool:
    return False


@attrs.define(eq=False)
class Containment:
    """Incarnations of one child, one after the other, until one ends that is not followed at once.

    Used once. `incarnate` lives one incarnation; `again` is called without a checkpoint when a
    clean one has crashed, and answers whether the next may begin at once. What `again` was asked
    about is not told differently later: `run` returns that very crash.
    """

    incarnate: Callable[[], Awaitable[None]]
    again: Callable[[Crash], bool] = _never
    name: str = "incarnation"
    over: bool = False
    """Nothing of it is alive any more."""

    _told_to_stop: bool = attrs.field(default=False, init=False)
    """As `_stop.cancel_called`, which the shields of `calm` hide, without its look at the clock."""
    _stop: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    _life: trio.CancelScope | None = attrs.field(default=None, init=False)
    _task: trio.lowlevel.Task | None = attrs.field(default=None, init=False)
    _crash: Crash | None = attrs.field(default=None, init=False)
    _told: Crash | None = attrs.field(default=None, init=False)
    _left_open: list[trio.Nursery] = attrs.field(factory=list, init=False)
    _token: trio.lowlevel.TrioToken = attrs.field(
        factory=trio.lowlevel.current_trio_token, init=False
    )
    _kept: list[object] = attrs.field(factory=list, init=False)

    def stop(self) -> None:
        """Tell it to end. Returns at once; telling it twice is telling it once."""
        self._told_to_stop = True
        self._stop.cancel()

    def quiesce(self) -> None:
        """Hide the cancellation from code that swallows it.

        A loop around `except BaseException` is woken by every cancelled checkpoint and keeps
        a core busy for ever. With the shields up it waits like everybody else, and still may
        end by itself. There is no way back: only for what has not obeyed within its grace.
        """
        # The nursery's shield hides our own stop from all tasks in it; the inner one is for a
        # nursery that user code has cancelled.
        for scope in (self._nursery and self._nursery.cancel_scope, self._life):
            if scope is not None:
                scope.shield = True

    def place(self) -> str:
        """Where it waits now, as `file:line in function`, or an empty text."""
        if self._task is None or self.over:
            return ""
        place = ""
        for frame, line in islice(self._task.iter_await_frames(), _MAX_FRAMES):
            file = frame.f_code.co_filename
            if not file.startswith(_TRIO):
                place = f"{file}:{line} in {frame.f_code.co_qualname}"
        return place

    def keep(self, generator: object) -> None:
        """Hold an abandoned generator until the task that it could corrupt is over."""
        self._kept.append(generator)
        if len(self._kept) > MAX_KEPT and self._nursery is not None:
            self._crash = ABANDONED
            # Later, because the collector may call from the middle of trio's own bookkeeping.
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._nursery.cancel_scope.cancel, idempotent=True)

    async def run(self) -> Ending:
        """Live until an incarnation ends that `again` does not follow up.

        Raises nothing that user code can make. A cancellation from outside ends the incarnation
        and is not raised here, so that the ending can be noted first: the caller's next
        checkpoint raises it. Only while tasks of an abandoned nursery are waited for it
        may be raised from here.
        """
        leaked: Crash | None = None
        try:
            with self._stop:
                async with trio.open_nursery() as self._nursery:
                    with as_engine(self.name):
                        self._nursery.start_soon(self._live, name=self.name)
        except BaseException as exc:  # noqa: BLE001  sorted below, by the scope
            leaked = capture(exc)
        try:
            for nursery in self._left_open:
                # Nobody can wait for the tasks of a nursery whose own task is gone.
                while nursery.child_tasks:  # noqa: ASYNC110  there is no event for it
                    await trio.sleep(_LEFTOVER_POLL)
        finally:
            self.over = True
            self._task = None
            self._kept.clear()
        return self._sort(leaked)

    async def _live(self) -> None:
        """One incarnation after the other. Nothing raised by user code leaves this task."""
        assert self._nursery is not None
        nursery = self._nursery
        self._task = task = trio.lowlevel.current_task()
        current_keeper.set(self)
        context = contextvars.copy_context()
        arithmetic = decimal.getcontext().copy()
        await trio.lowlevel.checkpoint_if_cancelled()
        crash = RETURNED
        torn: Crash | None = None
        alone = is_over = False
        try:
            with trio.CancelScope() as self._life:
                innermost = _innermost_scope(task)
                while not is_over:
                    crash = RETURNED
                    # The one context variable whose value is mutable and shared by everybody: a
                    # precision set by a strategy must not round anybody else's money.
                    decimal.setcontext(arithmetic.copy())
                    # Inside of the scope, because leaving one with a very deep group in flight
                    # would split it by recursion.
                    try:
                        await self.incarnate()
                    except BaseException as exc:  # noqa: BLE001  sorted by the scope
                        crash = capture(exc)
                    self._left_open = task.child_nurseries
                    alone = len(nursery.child_tasks) == 1
                    is_torn = _innermost_scope(task) is not innermost
                    if is_torn or self._left_open or not alone or self._told_to_stop or self._crash:
                        is_over = True
                    elif not await self._follow(crash, nursery, context):
                        return
        except BaseException as exc:
            if not is_over:  # between two incarnations everything comes from outside
                raise
            torn = capture(exc)
        # Its own words first; without any, what it did.
        if self._left_open and (crash is RETURNED or crash.cancelled):
            crash = LEFT_OPEN
        elif crash is RETURNED:
            crash = torn or (RETURNED if alone else LEFT_BEHIND)
        self._crash = self._crash or crash
        nursery.cancel_scope.cancel()

    async def _follow(
        self, crash: Crash, nursery: trio.Nursery, context: contextvars.Context
    ) -> bool:
        """After a crash that left nothing behind: whether the next incarnation begins here."""
        try:
            # Cancelled by its own nursery, or from farther out: the scopes that count.
            await trio.lowlevel.checkpoint_if_cancelled()
        except trio.Cancelled:
            foreign = nursery.cancel_scope.cancel_called and (crash.cancelled or crash is RETURNED)
            self._crash = FOREIGN_CANCEL if foreign else crash
            raise
        # What an incarnation set in its context dies with it: it touches neither what we do
        # now nor its successor.
        if not context.run(self.again, crash):
            self._told = crash
            return False
        trio.lowlevel.current_task().context = context.copy()
        await trio.lowlevel.checkpoint()
        return True

    def _sort(self, leaked: Crash | None) -> Ending:
        """Judge by the scopes; what came out only tells what to write down."""
        if self._told is not None:
            return Crashed(crash=self._told)
        raised = [
            crash
            for crash in (self._crash, leaked)
            if crash is not None and not crash.cancelled and crash not in _UNRAISED
        ]
        # Minus infinity: whatever encloses us is cancelled.
        if self._told_to_stop or trio.current_effective_deadline() == -float("inf"):
            return Stopped(incident=raised[0] if raised else None)
        return Crashed(crash=raised[0] if raised else self._crash or VANISHED)


def _innermost_scope(task: trio.lowlevel.Task) -> object:
    """What tells whether scopes were opened on a task and not left.

    trio has no public word for it; leaving the scope around them is the one thing that tells,
    and then it has been left. Should the attribute go, that still happens, one crash later.
    """
    return getattr(task, "_cancel_status", None)


async def contain(run: Callable[[], Awaitable[None]]) -> Ending:
    """Live one incarnation and sort how it ended.

    A cancellation from outside is raised once the incarnation has ended.
    """
    ending = await Containment(run).run()
    await trio.lowlevel.checkpoint_if_cancelled()
    return ending
