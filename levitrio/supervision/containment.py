"""Runs user code so that nothing it raises or cancels reaches other tasks: stopped or crashed.

Rules:

- The end is judged by the cancel scope, never by the exception. After `stop()` it is `Stopped`,
  whatever was raised. Otherwise it is `Crashed`, a plain return and a `Cancelled` included.
- User code runs on a task of its own, alone in a nursery. When it cancels that nursery, leaves
  one open, starts tasks in it, or exits the scopes of its task in the wrong order, no other task
  is affected; the task and the nursery are thrown away afterwards.
- While task and nursery stay clean they are kept: the next incarnation begins on the same task
  after one checkpoint, in the same scope and with a fresh context. So a restart costs little more
  than a `try` in a loop: a scope for each incarnation costs as much as that loop, a nursery
  three times as much.
- A cancellation from outside is never swallowed: it ends the incarnation, and the caller of
  `Containment.run` is cancelled at its next checkpoint.
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
FOREIGN_CANCEL = Crash(kind="ForeignCancel", text="it cancelled a nursery that is not its own")
LEFT_BEHIND = Crash(kind="TaskLeftBehind", text="it started a task in a nursery not its own")
ABANDONED = Crash(
    kind="AbandonedGenerators", text=f"over {MAX_KEPT} async generators abandoned in a nursery"
)
_UNRAISED = (RETURNED, FOREIGN_CANCEL, LEFT_BEHIND)


@attrs.frozen(kw_only=True)
class Stopped:
    """The incarnation ended after `stop()`, or because the whole run is cancelled."""

    incident: Crash | None = None
    """What it raised while ending, if that was anything but cancellation."""


@attrs.frozen(kw_only=True)
class Crashed:
    """The incarnation ended by itself: it raised, returned, or misused a nursery."""

    crash: Crash


Ending = Stopped | Crashed


def _never(_: Crash) -> bool:
    return False


@attrs.define(eq=False)
class Containment:
    """Runs incarnations of one child, one after the other, until one is not followed at once.

    Used once. `incarnate` runs one incarnation; `again` is called without a checkpoint when one
    has crashed and left nothing behind, and returns whether the next may begin at once. When it
    returns False, `run` returns that very crash, by identity.
    """

    incarnate: Callable[[], Awaitable[None]]
    again: Callable[[Crash], bool] = _never
    name: str = "incarnation"
    over: bool = False
    """No task of any incarnation is alive any more."""

    _stop_called: bool = attrs.field(default=False, init=False)
    """As `_stop.cancel_called`, without its look at the clock and whatever `quiesce` shields."""
    _stop: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    _life: trio.CancelScope | None = attrs.field(default=None, init=False)
    _task: trio.lowlevel.Task | None = attrs.field(default=None, init=False)
    _crash: Crash | None = attrs.field(default=None, init=False)
    _final_crash: Crash | None = attrs.field(default=None, init=False)
    """The crash for which `again` returned False."""
    _left_open: list[trio.Nursery] = attrs.field(factory=list, init=False)
    _token: trio.lowlevel.TrioToken = attrs.field(
        factory=trio.lowlevel.current_trio_token, init=False
    )
    _kept: list[object] = attrs.field(factory=list, init=False)

    def stop(self) -> None:
        """Cancel the incarnation. Returns at once; a second call changes nothing."""
        self._stop_called = True
        self._stop.cancel()

    def quiesce(self) -> None:
        """Shield the incarnation from the cancellation that its code swallows.

        A loop around `except BaseException` is woken by every cancelled checkpoint and keeps
        a core busy for ever. With the shields set its checkpoints block again, and it may still
        end by itself. Cannot be undone: only for an incarnation that has outlasted its grace.
        """
        # The nursery's shield hides `stop` from all tasks in it; the inner scope's shield hides
        # the cancellation of a nursery by user code.
        for scope in (self._nursery and self._nursery.cancel_scope, self._life):
            if scope is not None:
                scope.shield = True

    def place(self) -> str:
        """Where the incarnation waits now, as `file:line in function`, or an empty text."""
        if self._task is None or self.over:
            return ""
        place = ""
        for frame, line in islice(self._task.iter_await_frames(), _MAX_FRAMES):
            file = frame.f_code.co_filename
            if not file.startswith(_TRIO):
                place = f"{file}:{line} in {frame.f_code.co_qualname}"
        return place

    def keep(self, generator: object) -> None:
        """Keep an abandoned generator until the task that it could corrupt is over."""
        self._kept.append(generator)
        if len(self._kept) > MAX_KEPT and self._nursery is not None:
            self._crash = ABANDONED
            # Deferred, because the garbage collector may run in the middle of trio's scheduler.
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._nursery.cancel_scope.cancel, idempotent=True)

    async def run(self) -> Ending:
        """Run incarnations until one ends and `again` does not begin another; return its ending.

        No exception of user code leaves it. A cancellation from outside ends the incarnation
        and is not raised here, so that the caller can first record the ending: the caller's next
        checkpoint raises it. It is raised from here only while this waits for tasks of a nursery
        that user code left open.
        """
        leaked: Crash | None = None
        try:
            with self._stop:
                async with trio.open_nursery() as self._nursery:
                    with as_engine(self.name):
                        self._nursery.start_soon(self._live, name=self.name)
        except BaseException as exc:  # noqa: BLE001  judged below, by the scope
            leaked = capture(exc)
        try:
            for nursery in self._left_open:
                # A nursery whose own task is gone wakes no task when its last child ends.
                while nursery.child_tasks:  # noqa: ASYNC110  there is no event for it
                    await trio.sleep(_LEFTOVER_POLL)
        finally:
            self.over = True
            self._task = None
            self._kept.clear()
        return self._sort(leaked)

    async def _live(self) -> None:
        """Run one incarnation after the other; no exception of user code leaves this task."""
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
                    # The decimal context is a context variable with a mutable value that copied
                    # contexts share: a precision set by one strategy must not round the amounts
                    # of another engine or of the gateway.
                    decimal.setcontext(arithmetic.copy())
                    # Caught inside the scope: a scope splits a group that passes through it by
                    # recursion, which a very deep group overflows.
                    try:
                        await self.incarnate()
                    except BaseException as exc:  # noqa: BLE001  judged by the scope
                        crash = capture(exc)
                    self._left_open = task.child_nurseries
                    alone = len(nursery.child_tasks) == 1
                    is_torn = _innermost_scope(task) is not innermost
                    if is_torn or self._left_open or not alone or self._stop_called or self._crash:
                        is_over = True
                    elif not await self._follow(crash, nursery, context):
                        return
        except BaseException as exc:
            if not is_over:  # between two incarnations no user code runs: this is a cancellation
                raise
            torn = capture(exc)
        # What user code raised comes before what it did to nurseries and tasks.
        if self._left_open and (crash is RETURNED or crash.cancelled):
            crash = LEFT_OPEN
        elif crash is RETURNED:
            crash = torn or (RETURNED if alone else LEFT_BEHIND)
        self._crash = self._crash or crash
        nursery.cancel_scope.cancel()

    async def _follow(
        self, crash: Crash, nursery: trio.Nursery, context: contextvars.Context
    ) -> bool:
        """Ask `again` after a crash that left nothing behind; True when the next may begin."""
        try:
            # Raises `Cancelled` after `stop`, from outside, or when user code cancelled the
            # nursery it runs in.
            await trio.lowlevel.checkpoint_if_cancelled()
        except trio.Cancelled:
            foreign = nursery.cancel_scope.cancel_called and (crash.cancelled or crash is RETURNED)
            self._crash = FOREIGN_CANCEL if foreign else crash
            raise
        # `again` and the next incarnation run in fresh contexts: a context variable set by this
        # incarnation reaches neither.
        if not context.run(self.again, crash):
            self._final_crash = crash
            return False
        trio.lowlevel.current_task().context = context.copy()
        await trio.lowlevel.checkpoint()
        return True

    def _sort(self, leaked: Crash | None) -> Ending:
        """Tell stopped from crashed by the scopes; exceptions only give the crash its text."""
        if self._final_crash is not None:
            return Crashed(crash=self._final_crash)
        raised = [
            crash
            for crash in (self._crash, leaked)
            if crash is not None and not crash.cancelled and crash not in _UNRAISED
        ]
        # Minus infinity: a scope around this task is cancelled.
        if self._stop_called or trio.current_effective_deadline() == -float("inf"):
            return Stopped(incident=raised[0] if raised else None)
        return Crashed(crash=raised[0] if raised else self._crash or VANISHED)


def _innermost_scope(task: trio.lowlevel.Task) -> object:
    """Identity of a task's innermost cancel scope; it changes when a scope was opened and not left.

    trio has no public name for it; otherwise only leaving the scope around it raises the error,
    and then the task cannot be used again. If a future trio drops the attribute, the error is
    still raised, at the next exit from that scope.
    """
    return getattr(task, "_cancel_status", None)


async def contain(run: Callable[[], Awaitable[None]]) -> Ending:
    """Run one incarnation and return whether it stopped or crashed.

    Cancelled from outside, it raises once the incarnation has ended.
    """
    ending = await Containment(run).run()
    await trio.lowlevel.checkpoint_if_cancelled()
    return ending
