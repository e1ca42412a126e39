"""Models in the fleet's own process: for replay, where time is the tape's and nothing may be late.

The same models give the same numbers as in a worker, at once and in the same order each time.
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
        except Exception as exc:  # noqa: BLE001  runtimes raise what they like; it is told as it is
            reason = f"it cannot be loaded: {type(exc).__name__}: {exc}"
            self._models[file.key] = Missing(code="not_loaded", reason=reason[:500])
        else:
            self._models[file.key] = ask

    async def ask(self, calls: Sequence[ModelCall]) -> Answers:
        """Ask now; takes no time but the model's own, and no turn of the scheduler."""
        self._calls += 1
        return tuple([self._answer(*call) for call in calls])

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Nothing to run; returns at once."""
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
    """The scorer where the extra [ml] is not installed: says so to each call."""

    def add(self, file: ModelFile) -> None:
        """Nothing can be loaded."""

    async def ask(self, calls: Sequence[ModelCall]) -> Answers:
        """The same reason for each call."""
        return (NOT_INSTALLED,) * len(calls)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Nothing to run; returns at once."""
        task_status.started()

    def statistics(self) -> InferenceStatistics:
        """Nothing was asked."""
        return InferenceStatistics(workers=0, ready=0, calls=0, late=0, wrong=0, lost=0)
