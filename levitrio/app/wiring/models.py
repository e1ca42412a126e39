"""Builds the registry of a fleet's models, and checks the models that strategies name."""

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
"""The packages of the extra [ml] that running a model needs."""

MakeModels = Callable[
    [FleetConfig, Callable[[], float], Callable[[], float], Callable[[str, str], None]],
    ModelRegistry,
]
"""Makes a fleet's models from config, wall clock, chance, and a function that emits an event."""


def is_installed() -> bool:
    """Whether the extra [ml] is installed."""
    return all(find_spec(part) is not None for part in _PARTS)


def worker_models(
    config: FleetConfig,
    wall_clock: Callable[[], float],
    chance: Callable[[], float],
    tell: Callable[[str, str], None],
) -> ModelRegistry:
    """Models in worker processes; without the extra [ml], a registry that runs none.

    Args:
        config: The checked fleet.toml, with `[models]`.
        wall_clock: Seconds since 1970, for the age of score files.
        chance: Random numbers in [0, 1), for the jitter of restarts.
        tell: Emits an event of a kind with a text.
    """
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
    """Models in this process, for replay: they answer at once and are never late.

    Args:
        config: The checked fleet.toml.
        wall_clock: Seconds since 1970, for the age of score files.
        chance: Unused.
        tell: Unused.
    """
    scorer: Scorer = NoModels()
    if is_installed():
        from levitrio.inference.workers.in_process import LocalModels

        scorer = LocalModels()
    scores = ScoreFiles(folder=config.file.parent, wall_clock=wall_clock, in_replay=True)
    return ModelRegistry(scorer=scorer, scores=scores)


def user_of(strategy: str) -> type[ModelUser] | None:
    """The strategy's class if it uses models; None for others, and for an unknown name.

    An unknown name makes its engine crash when the supervisor starts it.
    """
    try:
        kind = catalog.resolve(strategy)
    except UsageError:
        return None
    return kind if issubclass(kind, ModelUser) else None


def strategy_check(file: Path) -> CheckStrategy:
    """A check of strategies, their parameters and models for the fleet.toml at `file`.

    It reads and hashes models and compares them with the feature schema; it does not run them.
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
