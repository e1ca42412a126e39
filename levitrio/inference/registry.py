"""All models of a fleet: what fleet.toml names, where they run, and each engine's way to them."""

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

    Raises ModelRefused for a file, ValueError for one that does not fit the parameters.
    """
    files = [read_model(reference, folder) for reference in kind.references(params)]
    found = {file.key: file for file in files}
    kind.check_models(params, found)
    return found


@attrs.define(eq=False, kw_only=True)
class ModelRegistry:
    """Lives as long as the fleet; engines get an access each."""

    scorer: Scorer
    scores: ScoreFiles
    _files: dict[str, ModelFile] = attrs.field(factory=dict)

    def take_in(self, kind: type[ModelUser], params: Mapping[str, Any], folder: Path) -> None:
        """Make ready what an engine will ask for. Raises as `read_models` does."""
        for key, file in read_models(kind, params, folder).items():
            self._files[key] = file
            self.scorer.add(file)
        for path in kind.score_files(params):
            self.scores.add(path)

    def access(self, note: Note) -> "ModelClient":
        """An incarnation's own way to the models."""
        return ModelClient(registry=self, tell=note)

    def file(self, key: str) -> ModelFile | None:
        return self._files.get(key)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run workers and look at score files until cancelled; started when models are loaded."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.scores.run)
            await nursery.start(self.scorer.run)
            task_status.started()

    def statistics(self) -> InferenceStatistics:
        """Counts since the fleet started."""
        return self.scorer.statistics()


@attrs.define(eq=False, kw_only=True)
class ModelClient:
    """One incarnation's way to the models; counts the errors that its engine absorbs."""

    registry: ModelRegistry
    tell: Note
    errors: int = 0
    """Rounds in a row in which some model was late, lost or wrong; a clean one sets it to 0."""

    def file(self, key: str) -> ModelFile | None:
        return self.registry.file(key)

    async def ask(self, calls: Sequence[ModelCall]) -> Answers:
        answers = await self.registry.scorer.ask(calls)
        failed = any(isinstance(answer, Missing) and answer.is_error for answer in answers)
        self.errors = self.errors + 1 if failed else 0
        return answers

    def external(self, path: str, symbol: str, max_age: float) -> float | Missing:
        return self.registry.scores.look_up(path, symbol, max_age)

    def note(self, kind: str, text: str) -> None:
        self.tell(kind, text)
