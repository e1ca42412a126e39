"""State of one supervised child. Any module reads it; only the supervisor's modules write it."""

import math
from collections.abc import Callable
from typing import Protocol

import attrs
import trio

from levitrio.supervision.containment import Containment
from levitrio.supervision.crash import Crash
from levitrio.supervision.lifecycle import UP, State, Wanted, is_as_wanted
from levitrio.supervision.restart import CrashLog, GiveUp

NEVER = -math.inf
"""As `Child.due`: no launch is held back."""


class Runnable(Protocol):
    """One incarnation of a supervised child, made by `launch` and run by the child's task."""

    @property
    def heartbeat(self) -> float:
        """`trio.current_time()` of the last heartbeat."""

    @property
    def error_count(self) -> int:
        """Consecutive errors absorbed; zero after a clean round."""

    async def run(self, started: Callable[[], None]) -> None:
        """Run until cancelled; call `started()` once it works as intended.

        Any exception is a crash, and so is a return. Cancelled, it has the supervisor's grace
        to end and leave no task behind.
        """


@attrs.define(eq=False, kw_only=True)
class Child:
    """A name, its wanted state, and at most one living incarnation."""

    name: str
    wanted: Wanted = Wanted.RUNNING
    after: tuple[str, ...] = ()
    """Children that must be up before this one starts; a restart after a crash does not wait."""
    group: str | None = None
    crashes: CrashLog = attrs.field(factory=CrashLog)
    failed: str | None = None
    """Why it was given up."""
    last_error: str = ""
    """`Type: text` of the newest crash, also of one before this run."""

    state: State = attrs.field(default=State.STOPPED, init=False)
    incarnation: int = attrs.field(default=0, init=False)
    """Number of the newest incarnation in this run, from 1; 0 before the first."""
    last_crash: Crash | None = attrs.field(default=None, init=False)
    waiting_for: tuple[str, ...] = attrs.field(default=(), init=False)
    """Children for which it waits while it is `starting`."""

    runnable: Runnable | None = attrs.field(default=None, init=False)
    """The living incarnation; None while none is alive."""
    containment: Containment | None = attrs.field(default=None, init=False)
    """Runs the incarnations; None while none is alive or about to be launched."""
    pending_crash: Crash | None = attrs.field(default=None, init=False)
    """Why the health check ended the incarnation that is stopping."""
    giving_up: GiveUp | None = attrs.field(default=None, init=False)
    """The decision to give up, until it is durable."""
    due: float = attrs.field(default=NEVER, init=False)
    """No launch before this, on trio's clock."""
    launched_at: float = attrs.field(default=0.0, init=False)
    running_since: float | None = attrs.field(default=None, init=False)
    cleared: bool = attrs.field(default=False, init=False)
    """The children in `after` have all been up since this one was last stopped."""
    restarting: bool = attrs.field(default=False, init=False)
    """The next launch is an automatic restart after a crash."""
    removed: bool = attrs.field(default=False, init=False)
    """The supervisor was asked to remove it; nothing is launched any more."""
    gone: bool = attrs.field(default=False, init=False)
    """Its task has ended."""
    last_heartbeat: float | None = attrs.field(default=None, init=False)
    last_error_count: int = attrs.field(default=0, init=False)
    lock: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    """Held by each command, so that the record and the memory agree on which came last."""
    _changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)

    @property
    def is_up(self) -> bool:
        """Whether it is running or paused."""
        return self.state in UP

    @property
    def is_as_wanted(self) -> bool:
        """Whether it is in its wanted state."""
        return is_as_wanted(self.state, self.wanted)

    @property
    def uptime(self) -> float:
        """Seconds since this incarnation began to run; 0 while none does."""
        if self.running_since is None:
            return 0.0
        return trio.current_time() - self.running_since

    @property
    def next_restart_in(self) -> float | None:
        """Seconds until the restart, 0 when it is due; None unless crashed."""
        if self.state is not State.CRASHED or self.giving_up is not None:
            return None
        return max(0.0, self.due - trio.current_time())

    @property
    def heartbeat_age(self) -> float | None:
        """Seconds since the last heartbeat of the newest incarnation; None before any."""
        beat = self.last_heartbeat if self.runnable is None else self.runnable.heartbeat
        return None if beat is None else max(0.0, trio.current_time() - beat)

    @property
    def error_count(self) -> int:
        """Consecutive errors the newest incarnation absorbed."""
        return self.last_error_count if self.runnable is None else self.runnable.error_count

    def release(self) -> None:
        """Drop the ended incarnation; keep only its last heartbeat and error count."""
        if self.runnable is not None:
            self.last_heartbeat = self.runnable.heartbeat
            self.last_error_count = self.runnable.error_count
            self.runnable = None
        self.running_since = None

    def wake(self) -> None:
        """Wake all tasks that wait for a change of this child."""
        if self._changed:
            self._changed.unpark_all()

    async def wait_changed(self) -> None:
        """Wait until the next `wake`; check the condition first, earlier calls are lost."""
        await self._changed.park()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; it must depend on this child alone."""
        while not condition():
            await self._changed.park()
