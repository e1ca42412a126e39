"""Runs models in worker processes: every call has a deadline, and no model blocks the fleet.

Rules:
- a call waits for a free worker, at most four deadlines long; once a worker has it, the deadline
  counts. A later answer is dropped and counted: a late signal is worse than none;
- a worker that has not answered after one and a half deadlines hangs, and is ended;
- when a worker is lost its current request gets no answer; waiting requests wait on;
- a model that broke its worker twice in a row is set aside, longer each time, so that its engine
  pays for it and no other.
"""

from collections.abc import Callable, Sequence

import attrs
import trio

from levitrio.inference.interface import Answers, InferenceStatistics, Missing, ModelCall
from levitrio.inference.models.model_file import ModelFile
from levitrio.inference.workers.worker_slot import InferenceRequest, OpenWorker, WorkerSlot
from levitrio.supervision.restart import RestartPolicy

PATIENCE = 4
"""Deadlines that a call waits for a worker: long enough for a lost one to be replaced."""

HANGS = 1.5
"""Deadlines after which a worker hangs: one that is only a little late is kept."""

FIRST_LOAD = 30.0
"""Seconds the start of the fleet waits for the first worker; then it goes on without."""

MAX_WAITING = 100_000
"""Requests; one for each engine, so it is never reached."""


@attrs.define(eq=False)
class _Quarantine:
    """A model whose call broke a worker."""

    streak: int = 0
    until: float = 0.0
    """On trio's clock; the model is not asked before."""


@attrs.define(eq=False, kw_only=True)
class WorkerPool:
    """The scorer of a live fleet. Without a model it starts no process."""

    workers: int
    deadline: float
    """Seconds."""
    policy: Callable[[], RestartPolicy]
    chance: Callable[[], float]
    tell: Callable[[str, str], None]
    """One line of the event log: kind and text."""
    open_worker: Callable[[], OpenWorker]
    _models: dict[str, ModelFile] = attrs.field(factory=dict)
    _quarantined: dict[str, _Quarantine] = attrs.field(factory=dict)
    _wanted: trio.Event = attrs.field(factory=trio.Event)
    _slots: list[WorkerSlot] = attrs.field(factory=list)
    _send: trio.MemorySendChannel[InferenceRequest] = attrs.field(init=False)
    _receive: trio.MemoryReceiveChannel[InferenceRequest] = attrs.field(init=False)
    _calls: int = 0
    _late: int = 0
    _wrong: int = 0
    _lost: int = 0

    def __attrs_post_init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[InferenceRequest](MAX_WAITING)

    def add(self, file: ModelFile) -> None:
        """Add a model; each worker loads it before its next call."""
        self._models.setdefault(file.key, file)
        self._wanted.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the workers until cancelled.

        Started when the first worker has its models, at once when there are none: a fleet
        without models starts no process.
        """
        is_idle = not self._wanted.is_set()
        if is_idle:
            task_status.started()
            await self._wanted.wait()
        async with trio.open_nursery() as nursery:
            for number in range(1, self.workers + 1):
                worker_slot = self._make_slot(number)
                self._slots.append(worker_slot)
                nursery.start_soon(worker_slot.run)
            with trio.move_on_after(FIRST_LOAD):
                await self._slots[0].wait_ready()
            if not is_idle:
                # True now: models are loaded, or an event says why not.
                task_status.started()
            await trio.sleep_forever()

    async def ask(self, calls: Sequence[ModelCall]) -> Answers:
        """One answer for each call, after at most `PATIENCE` + 1 deadlines.

        Cancelled, the request is withdrawn; the answer of a worker at it is dropped.
        """
        now = trio.current_time()
        aside = {
            key: self._quarantined[key].until - now for key, _ in calls if key in self._quarantined
        }
        asked = [call for call in calls if aside.get(call[0], 0.0) <= 0.0]
        found = iter(await self._request(asked) if asked else ())
        return tuple(
            [
                _set_aside(aside[key]) if aside.get(key, 0.0) > 0.0 else next(found)
                for key, _ in calls
            ]
        )

    def statistics(self) -> InferenceStatistics:
        """Counts since the fleet started."""
        return InferenceStatistics(
            workers=self.workers if self._models else 0,
            ready=sum(1 for worker_slot in self._slots if worker_slot.pid),
            calls=self._calls,
            late=self._late,
            wrong=self._wrong,
            lost=self._lost,
        )

    async def _request(self, calls: Sequence[ModelCall]) -> Answers:
        self._calls += 1
        request = InferenceRequest(calls)
        await self._send.send(request)
        try:
            with trio.move_on_after(self.deadline * PATIENCE):
                await request.taken.wait()
            if request.taken.is_set():
                with trio.move_on_after(self.deadline):
                    await request.done.wait()
        finally:
            request.withdrawn = request.answers is None
        if request.answers is None:
            self._late += 1
            what = "answer" if request.taken.is_set() else "free worker"
            late = Missing(code="late", reason=f"no {what} within the deadline", is_error=True)
            return (late,) * len(calls)
        self._note_answers(calls, request.answers)
        return request.answers

    def _note_answers(self, calls: Sequence[ModelCall], answers: Answers) -> None:
        for (key, _), answer in zip(calls, answers, strict=True):
            if not isinstance(answer, Missing):
                self._quarantined.pop(key, None)
            elif answer.code != "worker_lost":
                self._wrong += 1

    def _make_slot(self, number: int) -> WorkerSlot:
        return WorkerSlot(
            number=number,
            models=self._models,
            requests=self._receive,
            open_worker=self.open_worker,
            policy=self.policy,
            chance=self.chance,
            hang_after=self.deadline * HANGS,
            on_ready=self._on_ready,
            on_suspect=self._on_suspect,
            on_broken=self._on_broken,
            on_refused=self._on_refused,
        )

    def _on_ready(self, worker_slot: WorkerSlot) -> None:
        count = len(self._models)
        models = "1 model" if count == 1 else f"{count} models"
        self.tell("worker_ready", f"inference worker {worker_slot.number} is ready with {models}")

    def _on_suspect(self, request: InferenceRequest) -> None:
        for key, _ in request.calls:
            quarantine = self._quarantined.setdefault(key, _Quarantine())
            quarantine.streak += 1
            if quarantine.streak > 1:
                waits = self.policy().backoff(quarantine.streak - 1, self.chance())
                quarantine.until = trio.current_time() + waits

    def _on_broken(
        self, worker_slot: WorkerSlot, reason: str, request: InferenceRequest | None
    ) -> None:
        self._lost += 1
        during = ""
        if request is not None:
            names = ", ".join(self._models[key].name for key, _ in request.calls)
            during = f" while it was asked for {names}"
        self.tell(
            "worker_lost", f"inference worker {worker_slot.number}: {reason}{during}; replacing it"
        )

    def _on_refused(self, file: ModelFile, trouble: str) -> None:
        self.tell("model_refused", f"{file.name} cannot be loaded: {trouble}")


def _set_aside(left: float) -> Missing:
    return Missing(
        code="set_aside",
        reason=f"it broke its workers and is not asked for {left:.0f} s",
        is_error=True,
    )
