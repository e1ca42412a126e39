"""Opens and calls one worker process. The only module that knows trio-parallel.

Workers are forked from a process that was started afresh and has imported nothing but the
runtimes: they share neither memory nor descriptors with the fleet, and a new one is there in
milliseconds. It is one and the same process from `open_process` to the end; when it dies, calls
raise `WorkerBroken` and the worker slot opens a new one.
"""

import multiprocessing
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio
import trio_parallel

from levitrio.inference.interface import ModelCall
from levitrio.inference.models.model_file import ModelFile
from levitrio.inference.workers import worker
from levitrio.inference.workers.worker_slot import Worker, WorkerBroken

START_PATIENCE = 20.0
"""Seconds until the process has come up: a new interpreter on a machine under load."""

LOAD_PATIENCE = 30.0
"""Seconds for one model; the largest allowed one is read in far less."""

CLOSING = 1.0
"""Seconds a worker has to leave by itself; an idle one takes a millisecond."""

SELF_DESTRUCTION = 4.0
"""Seconds beyond the patience after which a hung worker ends itself, should the fleet be gone."""


@attrs.define(eq=False)
class ProcessWorker:
    """A worker in a process of trio-parallel."""

    pid: int
    _context: Any
    _limiter: trio.CapacityLimiter

    async def load(self, file: ModelFile) -> str:
        """Load a model; returns what is wrong with it, or nothing."""
        width = len(file.schema.names)
        found: str = await self._run(
            LOAD_PATIENCE, worker.load, file.key, file.format, file.content, width
        )
        return found

    async def ask(self, calls: Sequence[ModelCall], patience: float) -> Sequence[worker.Answer]:
        """One answer each. Raises WorkerBroken, also after `patience` seconds."""
        try:
            found: tuple[worker.Answer, ...] = await self._run(
                patience, worker.predict, tuple(calls), patience + SELF_DESTRUCTION
            )
        except KeyError as exc:
            raise WorkerBroken(f"it does not know model {exc}: it is another process") from None
        return found

    async def wait_ended(self) -> None:
        """Return when the process has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)

    async def _run(self, patience: float, function: Any, *args: object) -> Any:
        return await _run(self._context, self._limiter, patience, function, *args)


@asynccontextmanager
async def open_process() -> AsyncIterator[Worker]:
    """Open a worker process without models; it ends with the block.

    Leaving takes at most `CLOSING` seconds, also when cancelled.

    Raises:
        WorkerBroken: the process does not come up.
    """
    limiter = trio.CapacityLimiter(1)
    multiprocessing.set_forkserver_preload(["levitrio.inference.workers.preload"])
    try:
        async with trio_parallel.open_worker_context(
            idle_timeout=float("inf"),
            init=worker.drop_privileges,
            grace_period=CLOSING,
            worker_type=trio_parallel.WorkerType.FORKSERVER,
        ) as context:
            pid = await _run(context, limiter, START_PATIENCE, worker.process_id)
            yield ProcessWorker(pid, context, limiter)
    except trio_parallel.BrokenWorkerError as exc:
        raise WorkerBroken(_last_words(exc)) from None


async def _run(
    context: Any, limiter: trio.CapacityLimiter, patience: float, function: Any, *args: object
) -> Any:
    with trio.move_on_after(patience):
        try:
            return await context.run_sync(function, *args, kill_on_cancel=True, limiter=limiter)
        except trio_parallel.BrokenWorkerError as exc:
            raise WorkerBroken(_last_words(exc)) from None
    raise WorkerBroken(f"it hung: no answer within {patience:g} s, so it was ended")


def _last_words(error: BaseException) -> str:
    code = getattr(error.args[-1], "exitcode", None) if error.args else None
    if code is None:
        return f"it died: {error.args[0] if error.args else error!r}"
    return f"it died of signal {-code}" if code < 0 else f"it ended with exit code {code}"
