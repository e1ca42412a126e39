"""Runs the one task per child that launches its incarnations, restarts them and gives up.

Level-triggered: a command, the health check or another child changes the child and wakes its
task. The task decides from the child's present state, not from the calls that were made, so it
makes no difference how often, in which order or at which moment of an incarnation they came.
"""

from collections.abc import Callable, Mapping
from functools import partial

import attrs
import trio

from levitrio.errors import LevitrioError
from levitrio.supervision.child import NEVER, Child, Runnable
from levitrio.supervision.circuit_breaker import Breaker
from levitrio.supervision.containment import Containment, Crashed, Ending
from levitrio.supervision.crash import Crash
from levitrio.supervision.events import (
    BreakerTripped,
    ChildCrashed,
    ChildStuck,
    GaveUp,
    Recorder,
    RecordFailed,
    StateChanged,
    SupervisionEvent,
)
from levitrio.supervision.lifecycle import LIVE, TRANSITIONS, UP, State, Wanted, check_transition
from levitrio.supervision.restart import GiveUp, Restart, RestartPolicy
from levitrio.supervision.start_order import Group

Launch = Callable[[str, int], Runnable]
"""Makes a new incarnation from a name and an incarnation number; may raise.

Called inside the containment: what it raises is a crash of that child.
"""


@attrs.define(eq=False, kw_only=True)
class ChildRunner:
    """Launches, restarts and ends children by the policies of one supervisor."""

    children: Mapping[str, Child]
    launch: Launch
    policy: RestartPolicy
    breaker: Breaker | None
    report: Callable[[SupervisionEvent], None]
    record: Recorder
    chance: Callable[[], float]
    grace: float
    """Seconds an incarnation has to end after its cancellation."""
    nursery: trio.Nursery | None = None
    """Runs the tasks that mark a child as stuck when its grace is over."""
    groups: dict[str, Group] = attrs.field(factory=dict)
    followers: dict[str, list[Child]] = attrs.field(factory=dict)
    """By name, the children that start after it."""
    closing: bool = False
    """The fleet ends: nothing is launched any more."""

    async def run_child(self, child: Child) -> None:
        """Keep one child in its wanted state, until it is removed or the fleet ends.

        Cancelled, it ends the incarnation first. In each case `child.gone` is then set.
        """
        try:
            while await self._until_due(child):
                self._begin(child, trio.current_time())
                child.containment = containment = Containment(
                    partial(self._incarnate, child), partial(self._again, child), child.name
                )
                ending = await containment.run()
                child.containment = None
                self._settle(child, ending)
                await trio.lowlevel.checkpoint_if_cancelled()
        finally:
            child.gone = True
            child.wake()

    def end(self, child: Child, reason: str, pending_crash: Crash | None = None) -> bool:
        """Cancel the living incarnation, and mark it as stuck if it outlasts the grace.

        Returns False when none is alive, or when it was cancelled already.
        """
        child.wake()
        if child.containment is None or child.state not in LIVE:
            return False
        child.pending_crash = pending_crash
        self.move(child, State.STOPPING, reason)
        child.containment.stop()
        # While the fleet ends, `Supervisor.shutdown` measures one grace for all children.
        if self.nursery is not None and not self.closing:
            self.nursery.start_soon(self._watch, child, child.containment)
        return True

    async def _watch(self, child: Child, containment: Containment) -> None:
        with trio.move_on_after(self.grace):
            await child.wait_until(lambda: child.containment is not containment)
        if child.containment is containment:
            self.give_up_waiting(child, self.grace)

    def give_up_waiting(self, child: Child, grace: float) -> None:
        """Mark a child as stuck, report it, and shield it so that it does not spin on `Cancelled`.

        Does nothing unless the child is stopping.
        """
        if child.containment is None or child.state is not State.STOPPING:
            return
        place = child.containment.place()
        child.containment.quiesce()
        if child.group is not None:
            self.groups[child.group].drained(child)
        self.move(child, State.STUCK, place)
        self.report(
            ChildStuck(name=child.name, incarnation=child.incarnation, grace=grace, place=place)
        )

    def move(self, child: Child, new: State, reason: str = "") -> None:
        """Move a child to another state, report it, and wake the tasks that wait for the child.

        Raises:
            IllegalTransition: `TRANSITIONS` has no such move.
        """
        old = child.state
        if new not in TRANSITIONS[old]:
            check_transition(old, new)
        child.state = new
        self.report(
            StateChanged(
                name=child.name, incarnation=child.incarnation, old=old, new=new, reason=reason
            )
        )
        child.wake()
        if child.name in self.followers and new in UP and old not in UP:
            for follower in self.followers[child.name]:
                follower.wake()

    async def _until_due(self, child: Child) -> bool:
        """Wait until an incarnation should be launched; False when none ever will be again."""
        while True:
            if child.removed or self.closing:
                if child.state in (State.CRASHED, State.STARTING):
                    self.move(child, State.STOPPED)
                return False
            if child.giving_up is not None:
                await self._give_up(child, child.giving_up)
            elif child.failed is not None:
                await child.wait_changed()
            elif child.wanted is Wanted.STOPPED:
                self._rest(child)
                await child.wait_changed()
            elif trio.current_time() < child.due:
                with trio.move_on_at(child.due):
                    await child.wait_changed()
            elif waiting_for := self._waiting_for(child):
                child.waiting_for = waiting_for
                if child.state is State.STOPPED:
                    self.move(child, State.STARTING, f"waits for {', '.join(waiting_for)}"[:200])
                await child.wait_changed()
            else:
                child.waiting_for = ()
                return True

    def _rest(self, child: Child) -> None:
        if child.state is not State.STOPPED:
            self.move(child, State.STOPPED)
        child.cleared = child.restarting = False
        child.due = NEVER
        child.waiting_for = ()

    def _waiting_for(self, child: Child) -> tuple[str, ...]:
        if child.group is not None and (draining := self.groups[child.group].draining):
            return tuple(draining)
        if not child.cleared:
            waiting_for = tuple(
                name
                for name in child.after
                if name in self.children and not self.children[name].is_up
            )
            if waiting_for:
                return waiting_for
            child.cleared = True
        return ()

    def _begin(self, child: Child, now: float) -> None:
        child.launched_at = now
        if child.restarting:
            child.restarting = False
            child.crashes.restarted(now)
        if child.state is not State.STARTING:
            self.move(child, State.STARTING)

    async def _incarnate(self, child: Child) -> None:
        """Launch and run one incarnation, inside the containment; may raise anything."""
        child.incarnation += 1
        started = partial(self._started, child, child.incarnation)
        child.runnable = self.launch(child.name, child.incarnation)
        await child.runnable.run(started)

    def _started(self, child: Child, incarnation: int) -> None:
        # The code of an earlier incarnation may have kept this callback and call it late.
        if child.incarnation != incarnation or child.state is not State.STARTING:
            return
        child.running_since = trio.current_time()
        self.move(child, State.PAUSED if child.wanted is Wanted.PAUSED else State.RUNNING)

    def _again(self, child: Child, crash: Crash) -> bool:
        """Count a crash on the task of the incarnation; True when the next begins on that task.

        False when the next has to wait or there is none: `run_child` goes on with `_settle`.
        """
        now = trio.current_time()
        self._note_crash(child, crash, now)
        if (
            child.giving_up is not None
            or child.due > now
            or child.wanted is Wanted.STOPPED
            or child.removed
            or self.closing
            or child.group is not None
        ):
            return False
        self._begin(child, now)
        return True

    def _settle(self, child: Child, ending: Ending) -> None:
        if child.group is not None:
            self.groups[child.group].drained(child)
        if isinstance(ending, Crashed):
            # By identity, not equality: `_again` has counted this very crash already.
            if ending.crash is not child.last_crash or child.state is not State.CRASHED:
                self._note_crash(child, ending.crash, trio.current_time())
            return
        if ending.incident is not None:
            child.last_crash = ending.incident
            child.last_error = ending.incident.error
            self._report_crash(
                ChildCrashed(
                    name=child.name,
                    incarnation=child.incarnation,
                    crash=ending.incident,
                    decision=None,
                    delay=None,
                )
            )
        if child.state in LIVE:
            # It was cancelled from outside, not by `end`: the whole run ends.
            self.move(child, State.STOPPING)
        if child.pending_crash is not None:
            crash, child.pending_crash = child.pending_crash, None
            self._note_crash(child, crash, trio.current_time())
        else:
            child.release()
            self.move(child, State.STOPPED)

    def _note_crash(self, child: Child, crash: Crash, now: float) -> None:
        ran = 0.0 if child.running_since is None else now - child.running_since
        child.release()
        child.last_crash = crash
        child.last_error = crash.error
        decision = child.crashes.crashed(self.policy, now=now, ran=ran, chance=self.chance())
        delay: float | None = None
        pause = None
        if self.breaker is not None:
            pause = self.breaker.crashed(child.name, now=now, children=len(self.children))
        if isinstance(decision, Restart):
            child.restarting = True
            child.due = now + decision.delay
            if self.breaker is not None and child.due < self.breaker.held_until:
                # Spread over a fifth more, or all children would restart at the same instant.
                rest = self.breaker.held_until - now
                child.due = now + rest * (1.0 + 0.2 * self.chance())
            delay = child.due - now
        else:
            child.giving_up = decision
        self._report_crash(
            ChildCrashed(
                name=child.name,
                incarnation=child.incarnation,
                crash=crash,
                decision=decision,
                delay=delay,
            )
        )
        self.move(child, State.CRASHED)
        if pause is not None and self.breaker is not None:
            self.report(
                BreakerTripped(wave=self.breaker.wave, children=len(self.children), pause=pause)
            )
        if child.group is not None:
            group = self.groups[child.group]
            for member in group.falling_with(child):
                if self.end(member, f"{child.name} of its group crashed"):
                    group.draining[member.name] = None
                    member.due = max(member.due, child.due)

    def _report_crash(self, event: ChildCrashed) -> None:
        self.record.crashed(event)
        self.report(event)

    async def _give_up(self, child: Child, decision: GiveUp) -> None:
        # Cancelled while recording, the child is not failed; the next start of the process loads
        # the recorded crashes and gives up at the next one.
        async with child.lock:
            try:
                await self.record.failed(child.name, decision.reason)
            except LevitrioError as error:
                self.report(RecordFailed(name=child.name, error=f"{type(error).__name__}: {error}"))
            child.giving_up = None
            child.failed = decision.reason
            child.restarting = False
            self.move(child, State.FAILED, decision.reason)
            self.report(
                GaveUp(name=child.name, incarnation=child.incarnation, reason=decision.reason)
            )
