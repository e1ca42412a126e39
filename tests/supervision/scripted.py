"""A supervisor over scripted incarnations, and a record of all its events."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio
import trio.testing

from levitrio.errors import JournalUnavailable
from levitrio.supervision.events import ChildCrashed, StateChanged, SupervisionEvent
from levitrio.supervision.lifecycle import State, Wanted, check_transition
from levitrio.supervision.supervisor import Supervisor


class Ended(Exception):
    """A scripted end."""


@attrs.define(eq=False)
class Incarnation:
    """Runs until the test makes it crash, hang, or ignore its cancellation."""

    world: "World"
    name: str
    number: int
    heartbeat: float = attrs.field(factory=trio.current_time)
    error_count: int = 0
    crash: BaseException | None = None
    stubborn: bool = False
    silent: bool = False
    slow_stop: float = 0.0
    """Seconds it takes to end."""
    crash_requested: trio.Event = attrs.field(factory=trio.Event)

    async def run(self, started: Callable[[], None]) -> None:
        assert self.name not in self.world.living, "two incarnations at once"
        self.world.living[self.name] = self
        try:
            await self.world.scripts.get(self.name, _start)(self, started)
            while not self.crash_requested.is_set():
                try:
                    with trio.move_on_after(10):
                        await self.crash_requested.wait()
                except trio.Cancelled:
                    if not self.stubborn:
                        raise
                    # Asleep: virtual time stands still while anybody spins.
                    with trio.CancelScope(shield=True):
                        await self.crash_requested.wait()
                if not self.silent:
                    self.heartbeat = trio.current_time()
            if self.crash is not None:
                raise self.crash
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + self.slow_stop):
                if self.slow_stop:
                    await trio.sleep_forever()
            del self.world.living[self.name]

    def end(self, crash: BaseException | None = None) -> None:
        """Crash, or return when there is no exception."""
        self.crash = crash
        self.crash_requested.set()


async def _start(incarnation: Incarnation, started: Callable[[], None]) -> None:
    started()


Script = Callable[[Incarnation, Callable[[], None]], Any]


@attrs.define(eq=False)
class World:
    """The launcher, the recorder and the listener of one supervisor."""

    living: dict[str, Incarnation] = attrs.field(factory=dict)
    scripts: dict[str, Script] = attrs.field(factory=dict)
    events: list[SupervisionEvent] = attrs.field(factory=list)
    restarts: dict[str, list[float]] = attrs.field(factory=dict)
    """Times of the launches that answered a crash."""
    records: list[tuple[str, object]] = attrs.field(factory=list)
    unavailable: bool = False
    slow: float = 0.0
    """Seconds a record takes."""
    states: dict[str, State] = attrs.field(factory=dict)

    def launch(self, name: str, number: int) -> Incarnation:
        return Incarnation(self, name, number)

    def report(self, event: SupervisionEvent) -> None:
        self.events.append(event)
        if isinstance(event, StateChanged):
            check_transition(event.old, event.new)
            assert self.states.get(event.name, event.old) is event.old
            self.states[event.name] = event.new
            if (event.old, event.new) == (State.CRASHED, State.STARTING):
                self.restarts.setdefault(event.name, []).append(trio.current_time())

    async def wanted(self, name: str, wanted: Wanted) -> None:
        await self._record(name, wanted)

    async def failed(self, name: str, reason: str | None) -> None:
        await self._record(name, reason)

    def crashed(self, event: ChildCrashed) -> None:
        self.records.append((event.name, event))

    async def _record(self, name: str, what: object) -> None:
        await trio.sleep(self.slow)
        if self.unavailable:
            raise JournalUnavailable("expected a journal, got none")
        self.records.append((name, what))

    def supervisor(self, **options: Any) -> Supervisor:
        """A supervisor without jitter and breaker, unless given some."""
        given: dict[str, Any] = {
            "launch": self.launch,
            "report": self.report,
            "record": self,
            "chance": lambda: 0.0,
            "breaker": None,
        }
        return Supervisor(**(given | options))

    def moves(self, name: str) -> str:
        """The states a child went through, as one line."""
        return " ".join(
            event.new
            for event in self.events
            if isinstance(event, StateChanged) and event.name == name
        )

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def running(supervisor: Supervisor) -> AsyncIterator[None]:
    """The supervisor runs inside the block and is shut down after it."""
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        await settled()
        yield
        await supervisor.shutdown(0)
        nursery.cancel_scope.cancel()


async def settled() -> None:
    """Every task did what it could do without time passing."""
    await trio.testing.wait_all_tasks_blocked()
