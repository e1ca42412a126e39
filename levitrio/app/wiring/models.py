"""Which models a fleet needs, and where they run."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from levitrio.app import settings
from levitrio.config.engine_sections import CheckStrategy
from levitrio.config.sections import FleetConfig, ModelsSection
from levitrio.errors import UsageError
from levitrio.inference.external_scores import ScoreFiles
from levitrio.inference.interface import ModelUser, Scorer
from levitrio.inference.registry import ModelRegistry, read_models
from levitrio.inference.workers.in_process import NoModels
from levitrio.inference.workers.pool import WorkerPool
from levitrio.strategies import catalog

_PARTS = ("numpy", "onnxruntime", "talib", "trio_parallel")
"""What the extra [ml] brings, as far as running a model needs it."""

MakeModels = Callable[
    [FleetConfig, Callable[[], float], Callable[[], float], Callable[[str, str], None]],
    ModelRegistry,
]
"""From a config, the wall clock, chance and the event log to the models of a fleet."""


def is_installed() -> bool:
    """Whether the extra [ml] is there."""
    return all(find_spec(part) is not None for part in _PARTS)


def worker_models(
    config: FleetConfig,
    wall_clock: Callable[[], float],
    chance: Callable[[], float],
    tell: Callable[[str, str], None],
) -> ModelRegistry:
    """Models in worker processes; without the extra [ml], in none."""
    limits = config.models or ModelsSection()
    scorer: Scorer = NoModels()
    if is_installed():
        from levitrio.inference.workers.process import open_process

        scorer = WorkerPool(
            workers=limits.workers,
            deadline=limits.deadline,
            policy=lambda: settings.restart_policy(config),
            chance=chance,
            tell=tell,
            open_worker=open_process,
        )
    folder = config.file.parent
    return ModelRegistry(scorer=scorer, scores=ScoreFiles(folder=folder, wall_clock=wall_clock))


def local_models(
    config: FleetConfig,
    wall_clock: Callable[[], float],
    chance: Callable[[], float],  # noqa: ARG001  the shape of MakeModels
    tell: Callable[[str, str], None],  # noqa: ARG001
) -> ModelRegistry:
    """Models in this process, for replay: they answer at once and are never late."""
    scorer: Scorer = NoModels()
    if is_installed():
        from levitrio.inference.workers.in_process import LocalModels

        scorer = LocalModels()
    scores = ScoreFiles(folder=config.file.parent, wall_clock=wall_clock, in_replay=True)
    return ModelRegistry(scorer=scorer, scores=scores)


def user_of(strategy: str) -> type[ModelUser] | None:
    """The strategy's class when it uses models; None for others, and for what is no strategy.

    What is no strategy is the supervisor's to find out, when its engine starts.
    """
    try:
        kind = catalog.resolve(strategy)
    except UsageError:
        return None
    return kind if issubclass(kind, ModelUser) else None


def strategy_check(file: Path) -> CheckStrategy:
    """The check of strategies for the fleet.toml at `file`, with the models they name.

    Models are read, hashed and compared with the feature schema; nothing of them is run.
    """

    def check(name: str, params: Mapping[str, object]) -> str | None:
        trouble = catalog.check(name, params)
        kind = user_of(name) if trouble is None else None
        if kind is None:
            return trouble
        try:
            read_models(kind, params, file.resolve().parent)
        except (UsageError, ValueError) as exc:
            return f"'members': {exc}"
        return None

    return check
