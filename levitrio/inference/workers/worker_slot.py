"""Keeps one worker alive: opens it, loads the models, passes it one request at a time.

When the worker dies or hangs, its current request gets no answer, and a new worker is opened: at
once the first time, then with the restart policy's backoff. Waiting requests lose only time.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import attrs
import trio

from levitrio.errors import LevitrioError
from levitrio.inference.interface import Answers, Missing, ModelCall
from levitrio.inference.models.model_file import ModelFile
from levitrio.inference.workers.worker import Answer
from levitrio.supervision.restart import RestartPolicy


class WorkerBroken(LevitrioError):
    """The worker died, or was ended because it hung."""


class Worker(Protocol):
    """One worker process, as its slot calls it."""

    pid: int

    async def load(self, file: ModelFile) -> str:
        """What is wrong with the model, or nothing. Raises WorkerBroken."""

    async def ask(self, calls: Sequence[ModelCall], patience: float) -> Sequence[Answer]:
        """One answer each. Raises WorkerBroken, also after `patience` seconds without any.

        Cancelled, it ends the process.
        """

    async def wait_ended(self) -> None:
        """Return when the process has ended."""


OpenWorker = AbstractAsyncContextManager[Worker]


@attrs.define(eq=False)
class InferenceRequest:
    """The calls of one engine, and their answers."""

    calls: Sequence[ModelCall]
    taken: trio.Event = attrs.field(factory=trio.Event)
    """Set when a worker begins with it."""
    done: trio.Event = attrs.field(factory=trio.Event)
    answers: Answers | None = None
    withdrawn: bool = False
    """Whether its engine has stopped waiting."""

    def finish(self, answers: Answers) -> None:
        """Set the answers; the engine may have stopped waiting."""
        self.answers = answers
        self.taken.set()
        self.done.set()

    def fail(self, missing: Missing) -> None:
        """Set the same reason for each call."""
        self.finish((missing,) * len(self.calls))


@attrs.define(eq=False, kw_only=True)
class WorkerSlot:
    """Runs until cancelled; at any time it has at most one worker."""

    number: int
    models: Mapping[str, ModelFile]
    """By key; models may be added while it runs."""
    requests: trio.MemoryReceiveChannel[InferenceRequest]
    """Shared by all slots."""
    open_worker: Callable[[], OpenWorker]
    policy: Callable[[], RestartPolicy]
    chance: Callable[[], float]
    hang_after: float
    """Seconds of one request after which its worker is ended."""
    on_ready: Callable[["WorkerSlot"], None]
    """A worker has loaded its models."""
    on_suspect: Callable[[InferenceRequest], None]
    """The worker broke during this request."""
    on_broken: Callable[["WorkerSlot", str, InferenceRequest | None], None]
    """Called with the reason, and the current request, if any."""
    on_refused: Callable[[ModelFile, str], None]
    """Called when a model cannot be loaded, once for each worker."""
    pid: int = 0
    """Process id of its worker; 0 while none is ready."""
    _ready: trio.Event = attrs.field(factory=trio.Event)
    _known: set[str] = attrs.field(factory=set)
    _refused: dict[str, str] = attrs.field(factory=dict)
    _streak: int = 0
    """Breaks since the last answer."""
    _current: InferenceRequest | None = None

    async def wait_ready(self) -> None:
        """Return once the first worker has loaded its models."""
        await self._ready.wait()

    async def run(self) -> None:
        """Keep a worker running and serving. Cancelled, it ends the worker."""
        while True:
            try:
                async with self.open_worker() as worker:
                    reason = await self._use(worker)
            except WorkerBroken as exc:
                reason = str(exc)
            finally:
                self.pid = 0
            self._streak += 1
            request, self._current = self._current, None
            self.on_broken(self, reason, request)
            # As with engines: the first restart is immediate, later ones wait.
            waits = 0.0
            if self._streak > 1:
                waits = self.policy().backoff(self._streak - 1, self.chance())
            await trio.sleep(waits)

    async def _use(self, worker: Worker) -> str:
        """Load models and serve requests until the worker breaks; returns the reason."""
        self._known.clear()
        self._refused.clear()
        await self._load(worker)
        self.pid = worker.pid
        self._ready.set()
        self.on_ready(self)
        reason = "it died"
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                # Without it, the death of an idle worker would cost the next call.
                await worker.wait_ended()
                nursery.cancel_scope.cancel()

            reason = await self._serve_all(worker)
            nursery.cancel_scope.cancel()
        return reason

    async def _load(self, worker: Worker) -> None:
        for key, file in list(self.models.items()):
            if key in self._known:
                continue
            trouble = await worker.load(file)
            self._known.add(key)
            if trouble:
                self._refused[key] = trouble
                self.on_refused(file, trouble)

    async def _serve_all(self, worker: Worker) -> str:
        async for request in self.requests:
            if request.withdrawn:
                continue
            self._current = request
            try:
                await self._serve(worker, request)
            except WorkerBroken as exc:
                return str(exc)
            finally:
                if request.answers is None:
                    # Before `fail`, so that the quarantine holds when the engine asks again.
                    self.on_suspect(request)
                    lost = "the worker that was at it is gone"
                    request.fail(Missing(code="worker_lost", reason=lost, is_error=True))
            self._current = None
            self._streak = 0
        raise AssertionError("the pool closes its channel after its slots")

    async def _serve(self, worker: Worker, request: InferenceRequest) -> None:
        await self._load(worker)
        request.taken.set()
        sound = [call for call in request.calls if call[0] not in self._refused]
        found = iter(await worker.ask(sound, self.hang_after) if sound else ())
        request.finish(
            tuple(
                [
                    self._refusal(key) if key in self._refused else as_answer(next(found))
                    for key, _ in request.calls
                ]
            )
        )

    def _refusal(self, key: str) -> Missing:
        return Missing(code="not_loaded", reason=f"it cannot be loaded: {self._refused[key]}")


def as_answer(found: float | str) -> float | Missing:
    """A worker's answer to one call; a text becomes `Missing`."""
    if isinstance(found, str):
        return Missing(code="wrong_answer", reason=found, is_error=True)
    return found
