"""The supervisor's record of one child. Read by anybody, written only by `tending`."""

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


class Runnable(Protocol):
    """One incarnation of something that is supervised."""

    @property
    def heartbeat(self) -> float:
        """`trio.current_time()` of the last sign of life."""

    @property
    def error_count(self) -> int:
        """Consecutive errors absorbed; zero after a clean round."""

    async def run(self, started: Callable[[], None]) -> None:
        """Run until cancelled; call `started()` once it does what it is for.

        Whatever leaves it is a crash, a return too. When it is cancelled it has the
        supervisor's grace to leave nothing behind.
        """


@attrs.define(eq=False, kw_only=True)
class Child:
    """One name, its wanted state, and at most one living incarnation of it."""

    name: str
    wanted: Wanted = Wanted.RUNNING
    after: tuple[str, ...] = ()
    """Those that must be up before it is started; a restart after a crash does not wait."""
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
    """Who keeps it from being launched while it is `starting`."""

    runnable: Runnable | None = attrs.field(default=None, init=False)
    """The living incarnation; None between two of them."""
    containment: Containment | None = attrs.field(default=None, init=False)
    pending_crash: Crash | None = attrs.field(default=None, init=False)
    """Why the health check ended the incarnation that is stopping."""
    giving_up: GiveUp | None = attrs.field(default=None, init=False)
    """Decided, and not yet durable."""
    due: float = attrs.field(default=NEVER, init=False)
    """No launch before this, on trio's clock."""
    launched_at: float = attrs.field(default=0.0, init=False)
    running_since: float | None = attrs.field(default=None, init=False)
    cleared: bool = attrs.field(default=False, init=False)
    """Those it starts after have been up since it was last stopped."""
    restarting: bool = attrs.field(default=False, init=False)
    """The next launch answers a crash."""
    removed: bool = attrs.field(default=False, init=False)
    gone: bool = attrs.field(default=False, init=False)
    """Its task has ended."""
    last_heartbeat: float | None = attrs.field(default=None, init=False)
    last_error_count: int = attrs.field(default=0, init=False)
    lock: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    """One command at a time, so that the record and the memory agree on which came last."""
    _changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)

    @property
    def is_up(self) -> bool:
        return self.state in UP

    @property
    def is_as_wanted(self) -> bool:
        """The operator's wish is fulfilled."""
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
        """Seconds since the last sign of life of the newest incarnation; None before any."""
        beat = self.last_heartbeat if self.runnable is None else self.runnable.heartbeat
        return None if beat is None else max(0.0, trio.current_time() - beat)

    @property
    def error_count(self) -> int:
        """Consecutive errors the newest incarnation absorbed."""
        return self.last_error_count if self.runnable is None else self.runnable.error_count

    def release(self) -> None:
        """The incarnation is over: keep two numbers of it and nothing else."""
        if self.runnable is not None:
            self.last_heartbeat = self.runnable.heartbeat
            self.last_error_count = self.runnable.error_count
            self.runnable = None
        self.running_since = None

    def wake(self) -> None:
        """Let everybody who waits for this child look again."""
        if self._changed:
            self._changed.unpark_all()

    async def wait_changed(self) -> None:
        """Until `wake`; look first, there is no memory of earlier ones."""
        await self._changed.park()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Until the condition holds; it must depend on this child alone."""
        while not condition():
            await self._changed.park()
