"""Interrupts an engine that blocks the trio loop, and names it: layer 1 against a blocked loop.

A trio instrument records which engine's step the loop is in; a timer signal checks it
periodically. Rules:

* It counts alarms within one step, not elapsed time: a process that was stopped wakes up to one
  pending alarm, however long it slept. So a call into C that lets no alarm through counts as
  one, too; the flight recorder is for those.
* `EngineBlocked` is raised in the frame that blocks, if that is the engine's own code and trio
  does not protect it. Otherwise the next alarm checks again.
* When the engine swallows it, it is raised again after as long a time.
* The fleet's own code is reported and never interrupted.

It costs one instrument call before each step and one per turn of the loop: 1.8 us a step, half
of it in trio's calling of instruments, where a bare checkpoint takes 3 to 4 us
(`docs/blocked-loops.md`).
"""

import math
import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from types import FrameType

import attrs
import trio

from levitrio.supervision.crash import Frame
from levitrio.supervision.current_engine import ENGINE, EngineBlocked
from levitrio.supervision.watchdog import sentinel
from levitrio.supervision.watchdog.code_ownership import CodeOwnership, frames_of
from levitrio.supervision.watchdog.flight_recorder import FlightRecorder
from levitrio.supervision.watchdog.sentinel import (
    CELLS,
    OWN,
    PATIENCE_MS,
    PATIENT,
    STEP,
    WAITING,
    WHO,
)

_ALARMS = 5
"""Alarms until a step counts as blocked: it is detected at most a fifth late."""

_LONGEST_TICK = 0.1
"""Seconds: a step is interrupted soon after the limit, however high that is."""

_SHORTEST_TICK = 0.01


@attrs.frozen(kw_only=True)
class BlockedStep:
    """One step that kept every other task waiting."""

    engine: str | None
    """None when the fleet's own code ran."""
    seconds: float
    """How long it lasted at least, counted in alarms."""
    place: Frame
    """File, line, function: in the engine's own module, or the innermost frame of our code."""
    is_interrupted: bool
    """Whether `EngineBlocked` was raised in it."""


def _none(_: str) -> float | None:
    return None


class _Numbers(dict[str, int]):
    """The number of each engine in the flight recorder, by name; entered at first use."""

    def __init__(self, flight_recorder: FlightRecorder | None) -> None:
        self._flight_recorder = flight_recorder

    def __missing__(self, engine: str) -> int:
        box = self._flight_recorder
        self[engine] = number = box.enter(engine) if box else sentinel.FIRST_ENGINE
        return number


@attrs.define(eq=False)
class _Steps(trio.abc.Instrument):
    """Instrument that records the present step, for the alarm and for the flight recorder.

    A store into a cast memoryview is the cheapest way to write to the mapped file: packing a
    struct takes half as long again.
    """

    patience: Callable[[str], float | None]
    numbers: _Numbers
    cells: memoryview
    count: int = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        engine = task.context.get(ENGINE)
        self.count = count = self.count + 1
        cells = self.cells
        cells[STEP] = count
        if engine is None:
            cells[WHO] = OWN
        elif self.patience(engine) is None:
            cells[WHO] = self.numbers[engine]
        else:
            cells[WHO] = self.who(engine)

    def who(self, engine: str) -> int:
        """The value of `WHO` for a step of the engine; writes its `PATIENCE_MS` too."""
        patience = self.patience(engine)
        if patience is None:
            return self.numbers[engine]
        self.cells[PATIENCE_MS] = round(patience * 1000)
        return self.numbers[engine] | PATIENT

    # No `after_task_step`: between two steps only trio runs.
    def before_io_wait(self, timeout: float) -> None:
        self.cells[WHO] = WAITING


@attrs.define(eq=False, kw_only=True)
class Watchdog:
    """Interrupts steps of one trio run, on the main thread, that block its loop."""

    ownership: CodeOwnership
    on_blocked: Callable[[BlockedStep], None]
    """Called on a task, once the loop runs again; an exception it raises ends `run`."""
    blocked_after: float = 0.5
    """Seconds; 0 turns the alarm off, not the flight recorder."""
    patience: Callable[[str], float | None] = _none
    """Seconds for an engine that may take longer than `blocked_after` (importing, starting), None
    for all others. Called before each step of an engine, so pass a `dict.get`."""
    flight_recorder: FlightRecorder | None = None

    _steps: _Steps = attrs.field(init=False)
    _tick: float = attrs.field(init=False)
    _reports: deque[BlockedStep] = attrs.field(factory=deque, init=False)
    _wake: trio.Event = attrs.field(factory=trio.Event, init=False)
    _seen: int = attrs.field(default=0, init=False)
    _alarms: int = attrs.field(default=0, init=False)
    _due: float = attrs.field(default=math.inf, init=False)
    _is_reported: bool = attrs.field(default=False, init=False)
    """This step was reported without an interruption."""

    def __attrs_post_init__(self) -> None:
        box = self.flight_recorder
        cells = box.cells if box else memoryview(bytearray(8 * CELLS)).cast("Q")
        self._steps = _Steps(self.patience, _Numbers(box), cells)
        self._tick = min(_LONGEST_TICK, max(_SHORTEST_TICK, self.blocked_after / _ALARMS))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Guard this trio run until cancelled, then restore the timer and the signal handler.

        Calls `started()` once the alarms run. Meanwhile it owns the process's SIGALRM and its
        real-time timer.

        Raises:
            ValueError: not on the main thread, and `blocked_after` is not 0.
        """
        trio.lowlevel.add_instrument(self._steps)
        token = trio.lowlevel.current_trio_token()
        try:
            with self._alarmed(token) if self.blocked_after else nullcontext():
                task_status.started()
                while True:
                    await self._wake.wait()
                    self._wake = trio.Event()
                    while self._reports:
                        self.on_blocked(self._reports.popleft())
        finally:
            # trio has removed it already if it ever raised.
            with suppress(KeyError):
                trio.lowlevel.remove_instrument(self._steps)
            self._steps.cells[WHO] = WAITING

    @contextmanager
    def _alarmed(self, token: trio.lowlevel.TrioToken) -> Iterator[None]:
        def alarm(_: int, frame: FrameType | None) -> None:
            report = self._look(frame)
            if report is None:
                return
            self._reports.append(report)
            token.run_sync_soon(lambda: self._wake.set(), idempotent=True)
            if report.is_interrupted and report.engine is not None:
                raise EngineBlocked(report.engine, report.seconds, report.place)

        before = signal.signal(signal.SIGALRM, alarm)
        signal.setitimer(signal.ITIMER_REAL, self._tick, self._tick)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _look(self, frame: FrameType | None) -> BlockedStep | None:
        """Check the present step at an alarm; `frame` is the frame that the alarm interrupted."""
        steps = self._steps
        if steps.cells[WHO] == WAITING or steps.count != self._seen:
            self._seen, self._alarms, self._due = steps.count, 0, 0.0
            self._is_reported = False
            return None
        self._alarms += 1
        seconds = self._alarms * self._tick
        # A signal handler runs in the context of the task that it interrupts.
        engine = ENGINE.get()
        if engine is not None and steps.cells[WHO] == OWN:
            # The task has set `ENGINE` within this step, after the instrument was called.
            steps.cells[WHO] = steps.who(engine)
        limit = self.blocked_after
        if engine is not None and (patience := self.patience(engine)) is not None:
            limit = patience
        if seconds < max(limit, self._due):
            return None
        place = None
        # Looks at the stack below this handler, as trio's own Ctrl-C handler does.
        if engine is not None and not trio.lowlevel.currently_ki_protected():
            place = self.ownership.place(frames_of(frame))
        if place is not None:
            self._due = seconds + limit
            return BlockedStep(engine=engine, seconds=seconds, place=place, is_interrupted=True)
        # The engine may just be inside a call to our code: the next alarms may find its own.
        if self._is_reported or (engine is not None and seconds < 2 * limit):
            return None
        self._is_reported = True
        innermost = next(frames_of(frame), ("", 0, ""))
        return BlockedStep(engine=engine, seconds=seconds, place=innermost, is_interrupted=False)
