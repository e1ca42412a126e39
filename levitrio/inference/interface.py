"""Protocols by which a strategy asks models.

Any strategy may use models as the built-in ensemble does:

    class Mine(ModelUser, Strategy):
        @classmethod
        def references(cls, params): return [ModelReference(model="m.onnx", sha256="...")]
        async def on_bar(self, bar): answers = await self.models.ask([(key, vector)])
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs

from levitrio.inference.models.feature_schema import Vector
from levitrio.inference.models.model_file import ModelFile, ModelReference


@attrs.frozen(kw_only=True)
class Missing:
    """Why there is no number. A value, because it is part of normal work."""

    code: str
    """The reason as one word: reported again only when it changes."""
    reason: str
    """The reason for people."""
    is_error: bool = False
    """The engine absorbs it as an error (late, died, wrong answer); more than `max_errors` in a
    row crash it. Warming up or an extra that is not installed is no error."""


ModelCall = tuple[str, Vector]
"""A model's key and its input vector, in the order of its schema."""

Answers = tuple[float | Missing, ...]
"""For each call the probability of a rise, or why there is none."""


@attrs.frozen(kw_only=True)
class InferenceStatistics:
    """Counts of workers and calls since the fleet started."""

    workers: int
    """Configured workers."""
    ready: int
    """Workers that are alive with their models loaded."""
    calls: int
    late: int
    """Answers that came after the deadline, or never."""
    wrong: int
    """Answers that were no probability, and models that failed to load."""
    lost: int
    """Workers that died or were ended because they hung."""


class Scorer(Protocol):
    """Runs models: in worker processes live, in this process in replay, not at all without [ml]."""

    def add(self, file: ModelFile) -> None:
        """Add a model; a known one changes nothing. Called at start and at reload."""

    async def ask(self, calls: Sequence[ModelCall]) -> Answers:
        """Run the calls. A failing model makes a `Missing`. Cancellation leaves nothing behind."""

    async def run(self, task_status: Any = ...) -> None:
        """Run until cancelled; started once the models added so far are loaded."""

    def statistics(self) -> InferenceStatistics:
        """Counts so far; cheap."""


class ModelAccess(Protocol):
    """One engine's access to models; new for each incarnation."""

    def file(self, key: str) -> ModelFile | None:
        """The model behind a key; None when fleet.toml does not name it."""

    async def ask(self, calls: Sequence[ModelCall]) -> Answers:
        """One answer for each call, within the deadline."""

    def external(self, path: str, symbol: str, max_age: float) -> float | Missing:
        """The newest score in an external file; does not read the disk itself."""

    def note(self, kind: str, text: str) -> None:
        """Write an event to the event log, under this engine's name."""


class ModelUser:
    """Mixin of a strategy that asks models; the fleet sets `models` before the first event."""

    models: ModelAccess | None = None

    @classmethod
    def references(cls, params: Mapping[str, Any]) -> Sequence[ModelReference]:  # noqa: ARG003
        """The models in these parameters; read, checked and loaded before an engine starts."""
        return ()

    @classmethod
    def score_files(cls, params: Mapping[str, Any]) -> Sequence[str]:  # noqa: ARG003
        """The score files in these parameters, as paths relative to fleet.toml."""
        return ()

    @classmethod
    def check_models(cls, params: Mapping[str, Any], files: Mapping[str, ModelFile]) -> None:
        """Raise ValueError when a model does not fit these parameters."""
