"""How a strategy reaches models: what it may ask, and what it gets.

A strategy of one's own may use models as the built-in ensemble does:

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
    """No number. A value, because it is part of normal work."""

    code: str
    """The reason as one word: told again only when it changes."""
    reason: str
    """The reason for people."""
    is_error: bool = False
    """The engine absorbs it as an error (late, died, wrong answer); over `max_errors` in a row
    is a crash. Warming up, or a part that is not installed, is none."""


ModelCall = tuple[str, Vector]
"""A model's key and the vector it is asked about, in the order of its schema."""

Answers = tuple[float | Missing, ...]
"""One for each call: the probability of a rise, or why there is none."""


@attrs.frozen(kw_only=True)
class InferenceStatistics:
    """What became of the calls since the fleet started."""

    workers: int
    """Wanted."""
    ready: int
    """Alive, with their models loaded."""
    calls: int
    late: int
    """Answers that came after the deadline, or never."""
    wrong: int
    """Answers that were no probability, and models that could not be loaded."""
    lost: int
    """Workers that died or were ended because they hung."""


class Scorer(Protocol):
    """Where models run: worker processes live, this process in replay, nowhere without [ml]."""

    def add(self, file: ModelFile) -> None:
        """Take a model in; a known one changes nothing. Called at start and at reload."""

    async def ask(self, calls: Sequence[ModelCall]) -> Answers:
        """Ask now. Never raises for a model's sake. Cancelled, it leaves nothing behind."""

    async def run(self, task_status: Any = ...) -> None:
        """Run until cancelled; started once the models that are known are loaded."""

    def statistics(self) -> InferenceStatistics:
        """A frozen view, cheap."""


class ModelAccess(Protocol):
    """One engine's way to models; made anew for each incarnation."""

    def file(self, key: str) -> ModelFile | None:
        """The model behind a key; None when fleet.toml does not name it."""

    async def ask(self, calls: Sequence[ModelCall]) -> Answers:
        """One answer for each call, within the deadline."""

    def external(self, path: str, symbol: str, max_age: float) -> float | Missing:
        """The newest score of a file that somebody else writes; reads no disk itself."""

    def note(self, kind: str, text: str) -> None:
        """One line in the event log, under this engine's name."""


class ModelUser:
    """Mixed into a strategy that asks models; the fleet sets `models` before the first event."""

    models: ModelAccess | None = None

    @classmethod
    def references(cls, params: Mapping[str, Any]) -> Sequence[ModelReference]:  # noqa: ARG003
        """The models these parameters name: read, checked and loaded before an engine starts."""
        return ()

    @classmethod
    def score_files(cls, params: Mapping[str, Any]) -> Sequence[str]:  # noqa: ARG003
        """The score files these parameters name, as paths relative to fleet.toml."""
        return ()

    @classmethod
    def check_models(cls, params: Mapping[str, Any], files: Mapping[str, ModelFile]) -> None:
        """Raise ValueError when a model that was read does not fit these parameters."""
