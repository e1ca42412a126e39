"""The models of a fleet: reads them, runs them, and gives each engine access."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

from levitrio.inference.external_scores import ScoreFiles
from levitrio.inference.interface import (
    Answers,
    InferenceStatistics,
    Missing,
    ModelCall,
    ModelUser,
    Scorer,
)
from levitrio.inference.models.model_file import ModelFile, read_model

Note = Callable[[str, str], None]
"""Kind and text of an event."""


def read_models(
    kind: type[ModelUser], params: Mapping[str, Any], folder: Path
) -> dict[str, ModelFile]:
    """The models that a strategy's parameters name, read and checked against them, by key.

    Raises:
        ModelRefused: a file cannot be used.
        ValueError: a model does not fit the parameters.
    """
    files = [read_model(reference, folder) for reference in kind.references(params)]
    found = {file.key: file for file in files}
    kind.check_models(params, found)
    return found


@attrs.define(eq=False, kw_only=True)
class ModelRegistry:
    """Holds the models and score files of a fleet; lives as long as the fleet."""

    scorer: Scorer
    scores: ScoreFiles
    _files: dict[str, ModelFile] = attrs.field(factory=dict)

    def take_in(self, kind: type[ModelUser], params: Mapping[str, Any], folder: Path) -> None:
        """Load the models and score files of an engine. Raises as `read_models` does."""
        for key, file in read_models(kind, params, folder).items():
            self._files[key] = file
            self.scorer.add(file)
        for path in kind.score_files(params):
            self.scores.add(path)

    def access(self, note: Note) -> "ModelClient":
        """Access to the models for one incarnation."""
        return ModelClient(registry=self, tell=note)

    def file(self, key: str) -> ModelFile | None:
        """The model behind a key, if it is known."""
        return self._files.get(key)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run workers and read score files until cancelled; started when models are loaded."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.scores.run)
            await nursery.start(self.scorer.run)
            task_status.started()

    def statistics(self) -> InferenceStatistics:
        """Counts since the fleet started."""
        return self.scorer.statistics()


@attrs.define(eq=False, kw_only=True)
class ModelClient:
    """Implements `ModelAccess` for one incarnation; counts the errors its engine absorbs."""

    registry: ModelRegistry
    tell: Note
    errors: int = 0
    """Consecutive `ask` calls with a late, lost or wrong answer."""

    def file(self, key: str) -> ModelFile | None:
        """The model behind a key, if it is known."""
        return self.registry.file(key)

    async def ask(self, calls: Sequence[ModelCall]) -> Answers:
        """One answer for each call; counts errors."""
        answers = await self.registry.scorer.ask(calls)
        failed = any(isinstance(answer, Missing) and answer.is_error for answer in answers)
        self.errors = self.errors + 1 if failed else 0
        return answers

    def external(self, path: str, symbol: str, max_age: float) -> float | Missing:
        """The newest score in an external file, if it is young enough."""
        return self.registry.scores.look_up(path, symbol, max_age)

    def note(self, kind: str, text: str) -> None:
        """Write an event to the event log."""
        self.tell(kind, text)
