"""Supervises a fleet of children: launches, restarts and ends each as its wanted state says."""

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType

import trio

from levitrio.errors import UsageError
from levitrio.supervision.async_generators import keep_abandoned_generators
from levitrio.supervision.child import Child
from levitrio.supervision.child_task import ChildRunner, Launch
from levitrio.supervision.circuit_breaker import Breaker, BreakerPolicy
from levitrio.supervision.commands import Commands, Refusal
from levitrio.supervision.crash import Crash
from levitrio.supervision.events import Recorder, SupervisionEvent
from levitrio.supervision.health import HealthLimits, HealthProblem, no_health_problem, watch_health
from levitrio.supervision.lifecycle import State, Wanted
from levitrio.supervision.restart import CrashLog, RestartPolicy
from levitrio.supervision.start_order import Group, GroupRule, find_cycle

_LEAST_GRACE = 0.1
"""Seconds; an incarnation that ends at once still takes a few rounds of the loop to do so."""


class Supervisor(Commands):
    """Supervises anything with `run()`. One task per child is the only code that launches it.

    The operator's commands are in `Commands`.

    Args:
        launch: makes a `Runnable` from a name and an incarnation number; when it raises, the
            child has crashed while starting.
        report: receives every event, synchronously; must neither block nor raise.
        record: makes wanted states, give-ups and crashes durable.
        chance: random numbers in [0, 1).
        policy: when a crash is answered with a restart, and when with giving up.
        health: limits that a living child may not exceed.
        grace: seconds an incarnation has to end after its cancellation.
        health_problem: asked once per health check for any other problem of a running child.
        breaker: when crashes are a wave; None never holds restarts back.
        groups: the rule of each group that `add` may name.
        children: an empty dict that the supervisor fills, for those who read it and are built
            before the supervisor.
    """

    def __init__(
        self,
        *,
        launch: Launch,
        report: Callable[[SupervisionEvent], None],
        record: Recorder,
        chance: Callable[[], float],
        policy: RestartPolicy | None = None,
        health: HealthLimits | None = None,
        grace: float = 5.0,
        health_problem: HealthProblem = no_health_problem,
        breaker: BreakerPolicy | None = BreakerPolicy(),  # noqa: B008  a frozen value
        groups: Mapping[str, GroupRule] | None = None,
        children: dict[str, Child] | None = None,
    ) -> None:
        self._children: dict[str, Child] = {} if children is None else children
        self._health = health or HealthLimits()
        self._health_problem = health_problem
        self._runners = ChildRunner(
            children=self._children,
            launch=launch,
            policy=policy or RestartPolicy(),
            breaker=None if breaker is None else Breaker(breaker),
            report=report,
            record=record,
            chance=chance,
            grace=grace,
            groups={name: Group(rule) for name, rule in (groups or {}).items()},
        )
        self._patience: trio.CancelScope | None = None
        self._shut = trio.Event()
        self._stuck: tuple[str, ...] = ()

    @property
    def children(self) -> Mapping[str, Child]:
        """A live view of the children by name, in the order they were added."""
        return MappingProxyType(self._children)

    @property
    def policy(self) -> RestartPolicy:
        """The restart policy of all future crashes."""
        return self._runners.policy

    def set_limits(
        self, *, policy: RestartPolicy | None = None, health: HealthLimits | None = None
    ) -> None:
        """Replace the restart policy and the health limits for future crashes and checks."""
        self._runners.policy = policy or self._runners.policy
        self._health = health or self._health

    def add(
        self,
        name: str,
        *,
        wanted: Wanted = Wanted.RUNNING,
        crashes: Iterable[float] = (),
        failed: str | None = None,
        last_error: str = "",
        after: Collection[str] = (),
        group: str | None = None,
    ) -> None:
        """Add a child, before `run` or while it runs; its task starts with the next round.

        Args:
            name: unique in this supervisor.
            wanted: the wanted state on record.
            crashes: ages in seconds of the crashes that still count.
            failed: why it was given up; such a child is not launched until it is reset.
            last_error: `Type: text` of its newest crash.
            after: children that must be up before this one starts.
            group: one of the supervisor's groups.

        Raises:
            UsageError: the name is taken, the group is unknown, or, while `run` runs, a name in
                `after` is unknown or starts after this child.
        """
        if name in self._children:
            raise UsageError(f"expected a new name, got {name!r} a second time")
        if group is not None and group not in self._runners.groups:
            raise UsageError(f"{name}: expected a known group, got {group!r}")
        child = Child(
            name=name,
            wanted=wanted,
            after=tuple(after),
            group=group,
            failed=failed,
            last_error=last_error,
            crashes=CrashLog.from_ages(
                crashes, now=trio.current_time(), policy=self._runners.policy
            ),
        )
        if failed is not None:
            child.state = State.FAILED
        nursery = self._runners.nursery
        if nursery is not None:
            self._check_order([child])
        self._children[name] = child
        for other in child.after:
            self._runners.followers.setdefault(other, []).append(child)
        if group is not None:
            self._runners.groups[group].members.append(child)
        if nursery is not None:
            nursery.start_soon(self._tend, child, name=f"child {name}")

    async def remove(self, name: str) -> Refusal | None:
        """End a child and drop it, within the grace; nothing is recorded.

        Returns a `Refusal` when the child is stuck by then; it is dropped as soon as it ends.
        Cancelling this does not take the removal back. Children that start after it no longer
        wait for it.

        Raises:
            UsageError: no child has that name.
        """
        child = self._child(name)
        child.removed = True
        if self._runners.nursery is None:
            self._forget(child)
            return None
        self._runners.end(child, "removed")
        child.wake()
        await child.wait_until(lambda: child.gone or child.state is State.STUCK)
        return None if child.gone else Refusal("its incarnation has not ended within its grace")

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep every child in its wanted state, until `shutdown` or until cancelled.

        `started()` is called once every child has its task; none need be running. When it returns
        nothing of any child is alive. With a stuck incarnation it does not return: the process
        can then only end with `os._exit`, and `shutdown` has returned its name. Cancelled from
        outside, it gives the children the grace too, then shields those that are stuck so that
        they do not spin on `Cancelled`.

        Raises:
            UsageError: the start order has a cycle or names an unknown child.
        """
        self._check_order(self._children.values())
        runner = self._runners
        with keep_abandoned_generators():
            async with trio.open_nursery() as nursery:
                runner.nursery = nursery
                try:
                    nursery.start_soon(self._quiesce_what_is_left)
                    nursery.start_soon(
                        watch_health,
                        self._children,
                        lambda: self._health,
                        self._health_problem,
                        self._end_unhealthy,
                    )
                    for child in self._children.values():
                        nursery.start_soon(self._tend, child, name=f"child {child.name}")
                    task_status.started()  # every child has its task
                    await self._shut.wait()
                finally:
                    runner.nursery = None
                    runner.closing = True
                nursery.cancel_scope.cancel()

    async def shutdown(self, grace: float | None = None) -> tuple[str, ...]:
        """End all children together, and `run` after them; wanted states stay as they are.

        Returns the names of the stuck children, after at most `grace` seconds (the supervisor's
        own when None). A second call can only shorten the grace; both calls return the same.
        Cancelled, it counts every child that has not ended by then as stuck.
        """
        grace = max(self._runners.grace if grace is None else grace, _LEAST_GRACE)
        deadline = trio.current_time() + grace
        if self._patience is not None:
            self._patience.deadline = min(self._patience.deadline, deadline)
            await self._shut.wait()
            return self._stuck
        self._patience = trio.CancelScope(deadline=deadline)
        self._runners.closing = True
        children = tuple(self._children.values())
        for child in children:
            self._runners.end(child, "shutdown")
        try:
            with self._patience:
                for child in children:
                    await child.wait_until(lambda child=child: child.containment is None)  # type: ignore[misc]
        finally:
            for child in children:
                self._runners.give_up_waiting(child, grace)
            self._stuck = tuple(c.name for c in children if c.state is State.STUCK)
            self._shut.set()
        return self._stuck

    def _end_unhealthy(self, child: Child, crash: Crash) -> None:
        self._runners.end(child, crash.error, pending_crash=crash)

    async def _tend(self, child: Child) -> None:
        try:
            await self._runners.run_child(child)
        finally:
            if child.removed:
                self._forget(child)

    def _forget(self, child: Child) -> None:
        del self._children[child.name]
        for name in child.after:
            self._runners.followers[name].remove(child)
        for follower in self._runners.followers.get(child.name, ()):
            follower.wake()
        if child.group is not None:
            self._runners.groups[child.group].members.remove(child)

    def _check_order(self, newcomers: Iterable[Child]) -> None:
        """Raise `UsageError` for a cycle, or a newcomer that starts after an unknown child.

        Only newcomers: an older child may start after one that was removed since.
        """
        newcomers = tuple(newcomers)
        after = {child.name: child.after for child in (*self._children.values(), *newcomers)}
        for child in newcomers:
            if unknown := [other for other in child.after if other not in after]:
                raise UsageError(
                    f"{child.name}: after: expected known children, got {unknown[0]!r}"
                )
        if cycle := find_cycle(after):
            raise UsageError(f"after: expected an order, got a cycle: {' after '.join(cycle)}")

    async def _quiesce_what_is_left(self) -> None:
        """Sleep until the run is cancelled, then give the children one common grace to end."""
        try:
            await trio.sleep_forever()
        finally:
            left = [
                c for c in self._children.values() if c.containment and c.state is not State.STUCK
            ]
            with trio.CancelScope(shield=True, deadline=trio.current_time() + self._runners.grace):
                for child in left:
                    await child.wait_until(lambda child=child: child.containment is None)  # type: ignore[misc]
            for child in left:
                if child.containment is not None:
                    self._runners.end(child, "cancelled")
                    self._runners.give_up_waiting(child, self._runners.grace)
