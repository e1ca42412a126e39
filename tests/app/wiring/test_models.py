"""Models in a fleet: refused at the start, late in the run, absent without the extra."""

from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from levitrio.app.wiring import models
from levitrio.app.wiring.environment import Environment
from levitrio.app.wiring.models import local_models, strategy_check, worker_models
from levitrio.config.loader import load
from levitrio.config.sections import FleetConfig
from levitrio.errors import UsageError
from levitrio.inference.external_scores import ScoreFiles
from levitrio.inference.interface import Answers, InferenceStatistics, Missing, ModelCall
from levitrio.inference.models.model_file import ModelFile
from levitrio.inference.registry import ModelRegistry
from levitrio.inference.workers.in_process import NoModels
from tests.app import virtual
from tests.app.virtual import running_fleet, write_fleet
from tests.inference.model_files import needs_ml, pretended_onnx, write_model

ENSEMBLE = """strategy = "ensemble"
params = {{ interval = "1s", members = [
    {{ model = "m.onnx", sha256 = "{}" }},
    {{ rule = "breakout", params = {{ lookback = 2, source = "bar" }} }},
] }}
"""


def write(folder: Path, content: bytes | None = None) -> FleetConfig:
    digest = write_model(folder, content or pretended_onnx(interval="1s"))
    engines = {"BTCUSDT": ENSEMBLE.format(digest)}
    config = write_fleet(folder, ("BTCUSDT", "ETHUSDT"), engines=engines)
    # Bars of a second: warm in half a minute.
    feed = attrs.evolve(config.feed, streams=("trade", "bookTicker", "kline_1s"))
    return attrs.evolve(config, feed=feed)


@attrs.define(eq=False)
class Late:
    """A scorer whose answers never come in time."""

    asked: int = 0

    def add(self, file: ModelFile) -> None:
        pass

    async def ask(self, calls: Sequence[ModelCall]) -> Answers:
        self.asked += 1
        return (Missing(code="late", reason="late", is_error=True),) * len(calls)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()

    def statistics(self) -> InferenceStatistics:
        return InferenceStatistics(
            workers=1, ready=1, calls=self.asked, late=self.asked, wrong=0, lost=0
        )


def test_a_bad_model_is_found_by_check_with_its_line(tmp_path: Path) -> None:
    """`levi check`, `levi run` and a reload report it before anything starts."""
    path = write(tmp_path).file
    load(path, check_strategy=strategy_check(path))
    write_model(tmp_path, b"swapped")
    with pytest.raises(UsageError, match=r"fleet\.toml:\d+: .*members.*expected sha256"):
        load(path, check_strategy=strategy_check(path))


@needs_ml
async def test_late_answers_are_absorbed_and_then_a_crash(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over `max_errors` in a row the engine is restarted; the other one notices nothing."""
    scorer = Late()

    def late_models(*args: object) -> ModelRegistry:
        scores = ScoreFiles(folder=tmp_path, wall_clock=lambda: 0.0)
        return ModelRegistry(scorer=scorer, scores=scores)

    class LateEnvironment(Environment):
        def __init__(self, **environment: object) -> None:
            self.__attrs_init__(**environment, make_models=late_models)  # type: ignore[attr-defined]

    late = attrs.frozen(kw_only=True, init=False)(LateEnvironment)
    monkeypatch.setattr(virtual, "Environment", late)
    async with running_fleet(write(tmp_path)) as fleet:
        await trio.sleep(40)
        assert scorer.asked >= 3
        assert fleet.row("BTCUSDT")["error_count"] == scorer.asked
        await trio.sleep(20)
        assert fleet.row("BTCUSDT")["restarts"] >= 1
        assert fleet.row("ETHUSDT")["incarnation"] == 1
        assert "member_missing" in fleet.kinds("BTCUSDT")


async def test_without_the_extra_the_rules_trade_alone(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log says what to install; nothing breaks."""
    monkeypatch.setattr(models, "is_installed", lambda: False)
    async with running_fleet(write(tmp_path)) as fleet:
        assert isinstance(fleet.assembly.models.scorer, NoModels)
        await trio.sleep(60)
        row = fleet.row("BTCUSDT")
        assert (row["status"], row["incarnation"], row["error_count"]) == ("running", 1, 0)
        texts = [e.text for e in fleet.assembly.events.since(0).events if e.engine == "BTCUSDT"]
        assert any("pip install 'levitrio[ml]'" in text for text in texts)
        assert row["trade_count"] > 0


async def test_a_fleet_without_models_starts_no_process(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Whether or not the extra is there."""
    async with running_fleet(write_fleet(tmp_path)) as fleet:
        await trio.sleep(30)
        assert fleet.assembly.models.statistics().workers == 0
        assert (await fleet.document())["models"]["workers"] == 0


def test_replay_has_its_models_in_its_own_process(tmp_path: Path) -> None:
    """Nothing can be late where time is the tape's."""
    config = write(tmp_path)
    made = local_models(config, lambda: 0.0, lambda: 0.0, lambda _, __: None)
    assert made.scores.in_replay
    assert made.statistics().workers == 0
    live = worker_models(config, lambda: 0.0, lambda: 0.0, lambda _, __: None)
    assert not live.scores.in_replay


def test_what_is_no_strategy_needs_no_models() -> None:
    """The supervisor reports an unknown strategy when its engine starts."""
    assert models.user_of("no_such_module:Thing") is None
    assert models.user_of("ema_cross") is None
    assert models.user_of("ensemble") is not None
