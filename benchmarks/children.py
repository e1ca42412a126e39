"""What is supervised in the benchmarks, and the bare trio that it is compared to."""

import random
import time
from collections.abc import Callable

import attrs
import trio

from levitrio.supervision.child import Runnable
from levitrio.supervision.circuit_breaker import BreakerPolicy
from levitrio.supervision.events import ChildCrashed, SupervisionEvent
from levitrio.supervision.health import HealthLimits
from levitrio.supervision.lifecycle import Wanted
from levitrio.supervision.restart import RestartPolicy
from levitrio.supervision.supervisor import Supervisor

EAGER = RestartPolicy(max_restarts=10**9, window=1.0, stable_after=0.0)
"""Every crash is the first of its streak: what is measured is the restart, not the backoff."""

PATIENT = HealthLimits(heartbeat_timeout=3600.0, start_timeout=600.0)
"""An idle child of a benchmark says nothing, and is well."""


class NoRecorder:
    """Makes nothing durable, at once."""

    async def wanted(self, name: str, wanted: Wanted) -> None:
        """Nothing to keep."""

    async def failed(self, name: str, reason: str | None) -> None:
        """Nothing to keep."""

    def crashed(self, event: ChildCrashed) -> None:
        """Nothing to keep."""


def ignore(_: SupervisionEvent) -> None:
    """The report of somebody who does not listen."""


def make_supervisor(
    launch: Callable[[str, int], Runnable],
    count: int,
    *,
    breaker: BreakerPolicy | None = None,
    grace: float = 5.0,
) -> Supervisor:
    """A supervisor of `count` children named `0`, `1`, ...; call it inside of a trio run."""
    supervisor = Supervisor(
        launch=launch,
        report=ignore,
        record=NoRecorder(),
        chance=random.Random(1).random,
        policy=EAGER,
        health=PATIENT,
        breaker=breaker,
        grace=grace,
    )
    for number in range(count):
        supervisor.add(str(number))
    return supervisor


async def start_all(nursery: trio.Nursery, supervisor: Supervisor) -> None:
    """Run it in the nursery, and return when every child runs."""
    await nursery.start(supervisor.run)
    for name in supervisor.children:
        await supervisor.wait_as_wanted(name)


def do_nothing() -> None:
    """The `started` of the bare loop: nobody is told."""


@attrs.define(eq=False)
class StandInChild:
    """Where one incarnation follows another: crashes when told, and notes how long it was away."""

    lot: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    back: trio.Event = attrs.field(factory=trio.Event)
    """The incarnation after the newest crash runs."""
    raised_at: float = 0.0
    """`perf_counter` of the newest crash."""
    running_at: float = 0.0
    """`perf_counter` when the newest incarnation had said that it runs."""

    @property
    def away(self) -> float:
        """Seconds from the newest crash until its successor ran."""
        return self.running_at - self.raised_at

    async def crash(self) -> None:
        """Crash once, and return when the successor runs."""
        self.back = trio.Event()
        self.lot.unpark()
        await self.back.wait()

    async def live(self, started: Callable[[], None]) -> None:
        """One life, until it crashes."""
        started()
        self.running_at = time.perf_counter()
        self.back.set()
        await self.lot.park()
        self.raised_at = time.perf_counter()
        raise ValueError("expected to go on, was told to crash")


@attrs.define(eq=False)
class Crasher:
    """One incarnation on a seat."""

    child: StandInChild
    heartbeat: float = 0.0
    error_count: int = 0

    async def run(self, started: Callable[[], None]) -> None:
        await self.child.live(started)


async def bare_loop(child: StandInChild) -> None:
    """The floor: nothing that runs again after a crash can do less."""
    while True:
        try:  # noqa: SIM105  `suppress` costs a microsecond, and the floor is the least there is
            await child.live(do_nothing)
        except ValueError:
            pass
        await trio.lowlevel.checkpoint()
