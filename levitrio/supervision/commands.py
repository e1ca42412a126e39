"""The operator's commands to a supervisor: start, stop, pause, resume, restart, reset."""

import math

import attrs
import trio

from levitrio.errors import UsageError
from levitrio.supervision.child import NEVER, Child
from levitrio.supervision.child_task import ChildRunner
from levitrio.supervision.lifecycle import State, Wanted


@attrs.frozen
class Refusal:
    """Why a command cannot be carried out in the child's state; nothing was changed."""

    reason: str
    hint: str = ""
    """One word, the command that would help, or empty."""


_CLOSING = Refusal("it is being removed, or the fleet ends")


class Commands:
    """Sets the wanted state of children; each child's own task then brings it about.

    A command returns once the wanted state is durable and set, not once it is reached: wait for
    that with `wait_as_wanted`. It returns a `Refusal` when the child's state does not allow it.
    A command cancelled while it is recorded has changed nothing in memory and may be on record:
    it holds from the next start of the process unless another one follows.

    Raises:
        UsageError: from each method, no child has that name.
        LevitrioError: from each command, it could not be recorded; nothing was changed.
    """

    _children: dict[str, Child]
    _runners: ChildRunner

    async def start(self, name: str) -> Refusal | None:
        """Want a child running; a paused one resumes. Refused when it was given up."""
        child = self._child(name)
        async with child.lock:
            if refusal := self._refuse(child):
                return refusal
            await self._want(child, Wanted.RUNNING)
        return None

    async def stop(self, name: str) -> Refusal | None:
        """Want a child stopped. A failed child stays failed, and does not start by itself."""
        child = self._child(name)
        async with child.lock:
            if self._runners.closing or child.removed:
                return _CLOSING
            await self._want(child, Wanted.STOPPED)
            self._runners.end(child, "stop")
        return None

    async def pause(self, name: str) -> Refusal | None:
        """Want a child alive but opening nothing new. Refused when stopped or given up."""
        return await self._want_alive(name, Wanted.PAUSED)

    async def resume(self, name: str) -> Refusal | None:
        """Want a paused child running. Refused when stopped or given up."""
        return await self._want_alive(name, Wanted.RUNNING)

    async def restart(self, name: str) -> Refusal | None:
        """Replace a child's incarnation, or launch it now if it waits for a restart or is stopped.

        Does nothing to a child that is ending or starting already: any number of concurrent
        restarts are one. Does not count as an automatic restart. Refused when it was given up.
        """
        child = self._child(name)
        async with child.lock:
            if refusal := self._refuse(child):
                return refusal
            if child.wanted is Wanted.STOPPED:
                await self._want(child, Wanted.RUNNING)
            if child.is_up:
                self._runners.end(child, "restart")
            child.due = NEVER
            child.wake()
        return None

    async def reset(self, name: str) -> Refusal | None:
        """Forget a child's crashes; one that was given up starts again, paused if so wanted."""
        child = self._child(name)
        async with child.lock:
            if self._runners.closing or child.removed:
                return _CLOSING
            await self._runners.record.failed(name, None)
            was_failed = child.failed is not None
            child.giving_up = None
            child.failed = None
            child.crashes.clear()
            child.due = NEVER
            if was_failed:
                self._runners.move(child, State.STOPPED, "reset")
                if child.wanted is Wanted.STOPPED:
                    await self._want(child, Wanted.RUNNING)
            child.wake()
        return None

    async def wait_as_wanted(self, name: str, timeout: float = math.inf) -> bool:
        """Wait for a child's wanted state; False after `timeout` seconds or once it is failed."""
        child = self._child(name)
        with trio.move_on_after(timeout):
            await child.wait_until(
                lambda: child.is_as_wanted or child.state is State.FAILED or child.gone
            )
        return child.is_as_wanted

    def _child(self, name: str) -> Child:
        try:
            return self._children[name]
        except KeyError:
            raise UsageError(
                f"expected one of {len(self._children)} children, got {name!r}"
            ) from None

    def _refuse(self, child: Child) -> Refusal | None:
        if self._runners.closing or child.removed:
            return _CLOSING
        failure = child.failed or (child.giving_up and child.giving_up.reason)
        return Refusal(f"given up: {failure}", "reset") if failure else None

    async def _want_alive(self, name: str, wanted: Wanted) -> Refusal | None:
        child = self._child(name)
        async with child.lock:
            if refusal := self._refuse(child):
                return refusal
            if child.wanted is Wanted.STOPPED:
                return Refusal("it is stopped", "start")
            await self._want(child, wanted)
        return None

    async def _want(self, child: Child, wanted: Wanted) -> None:
        """Record the wanted state, then set it, without a checkpoint in between."""
        if child.wanted is not wanted:
            await self._runners.record.wanted(child.name, wanted)
            child.wanted = wanted
        if child.state is State.RUNNING and wanted is Wanted.PAUSED:
            self._runners.move(child, State.PAUSED)
        elif child.state is State.PAUSED and wanted is Wanted.RUNNING:
            self._runners.move(child, State.RUNNING)
        child.wake()
