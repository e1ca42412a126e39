"""Runs models in the fleet's own process, for replay, where no answer may be late.

The models give the same numbers as in a worker, at once and in the same order each time.
"""

from collections.abc import Callable, Sequence

import attrs
import trio

from levitrio.inference.interface import Answers, InferenceStatistics, Missing, ModelCall
from levitrio.inference.models.feature_schema import Vector
from levitrio.inference.models.model_file import ModelFile
from levitrio.inference.workers import worker
from levitrio.inference.workers.worker_slot import as_answer


@attrs.define(eq=False)
class LocalModels:
    """The scorer of a replay. A model that hangs hangs the replay."""

    _models: dict[str, Callable[[Vector], float] | Missing] = attrs.field(factory=dict)
    _calls: int = 0
    _wrong: int = 0

    def add(self, file: ModelFile) -> None:
        """Load a model now."""
        if file.key in self._models:
            return
        try:
            ask = worker.make_predictor(file.format, file.content, len(file.schema.names))
        except Exception as exc:  # noqa: BLE001  runtimes raise any type; it becomes the reason
            reason = f"it cannot be loaded: {type(exc).__name__}: {exc}"
            self._models[file.key] = Missing(code="not_loaded", reason=reason[:500])
        else:
            self._models[file.key] = ask

    async def ask(self, calls: Sequence[ModelCall]) -> Answers:
        """Run the calls at once, without a checkpoint."""
        self._calls += 1
        return tuple([self._answer(*call) for call in calls])

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Return at once: there is nothing to run."""
        task_status.started()

    def statistics(self) -> InferenceStatistics:
        """Counts since it was made."""
        return InferenceStatistics(
            workers=0, ready=0, calls=self._calls, late=0, wrong=self._wrong, lost=0
        )

    def _answer(self, key: str, vector: Vector) -> float | Missing:
        model = self._models[key]
        if isinstance(model, Missing):
            return model
        try:
            answer = as_answer(worker.checked(model(vector)))
        except Exception as exc:  # noqa: BLE001  a model that fails costs one answer
            answer = as_answer(f"{type(exc).__name__}: {exc}"[:500])
        self._wrong += isinstance(answer, Missing)
        return answer


NOT_INSTALLED = Missing(
    code="not_installed", reason="models need the extra: pip install 'levitrio[ml]'"
)


class NoModels:
    """The scorer without the extra [ml]: every answer is `NOT_INSTALLED`."""

    def add(self, file: ModelFile) -> None:
        """Ignore the model."""

    async def ask(self, calls: Sequence[ModelCall]) -> Answers:
        """`NOT_INSTALLED` for each call."""
        return (NOT_INSTALLED,) * len(calls)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Return at once: there is nothing to run."""
        task_status.started()

    def statistics(self) -> InferenceStatistics:
        """All zero."""
        return InferenceStatistics(workers=0, ready=0, calls=0, late=0, wrong=0, lost=0)
