"""The models of a fleet, and each engine's way to them."""

import sys
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest
import trio

from levitrio.inference.ensemble.strategy import Ensemble
from levitrio.inference.external_scores import ScoreFiles
from levitrio.inference.interface import Answers, InferenceStatistics, Missing, ModelCall
from levitrio.inference.models.feature_schema import Vector
from levitrio.inference.models.model_file import ModelFile, ModelRefused
from levitrio.inference.registry import ModelRegistry
from levitrio.inference.workers import worker
from levitrio.inference.workers.in_process import NoModels
from tests.inference.model_files import (
    constant_onnx,
    model_file,
    needs_ml,
    needs_training,
    pretended_onnx,
    write_model,
)

LATE = Missing(code="late", reason="late", is_error=True)
COLD = Missing(code="not_loaded", reason="cannot")


@attrs.define(eq=False)
class Scripted:
    """A scorer that gives its answers in turn."""

    answers: list[float | Missing]
    files: list[str] = attrs.field(factory=list)

    def add(self, file: ModelFile) -> None:
        self.files.append(file.name)

    async def ask(self, calls: Sequence[ModelCall]) -> Answers:
        return (self.answers.pop(0),) * len(calls)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()

    def statistics(self) -> InferenceStatistics:
        return InferenceStatistics(workers=1, ready=1, calls=0, late=0, wrong=0, lost=0)


def registry(folder: Path, *answers: float | Missing) -> ModelRegistry:
    scores = ScoreFiles(folder=folder, wall_clock=lambda: 0.0)
    return ModelRegistry(scorer=Scripted(list(answers)), scores=scores)


def params(folder: Path) -> dict[str, object]:
    digest = write_model(folder, pretended_onnx())
    return {"members": [{"model": "m.onnx", "sha256": digest}, {"score": "s.json"}]}


def test_what_an_engine_names_is_read_and_watched(tmp_path: Path) -> None:
    """Before it runs, from the folder of fleet.toml."""
    models = registry(tmp_path)
    models.take_in(Ensemble, params(tmp_path), tmp_path)
    assert isinstance(models.scorer, Scripted)
    assert models.scorer.files == ["m.onnx"]
    access = models.access(lambda _, __: None)
    found = access.external("s.json", "BTCUSDT", 60.0)
    assert isinstance(found, Missing)


def test_a_bad_model_is_refused_before_anything_is_taken_in(tmp_path: Path) -> None:
    """The fleet does not start with it."""
    models = registry(tmp_path)
    named = params(tmp_path)
    write_model(tmp_path, b"swapped")
    with pytest.raises(ModelRefused):
        models.take_in(Ensemble, named, tmp_path)
    with pytest.raises(ValueError, match="interval"):
        models.take_in(Ensemble, {**params(tmp_path), "interval": "1h"}, tmp_path)
    assert isinstance(models.scorer, Scripted)
    assert models.scorer.files == []


async def test_errors_in_a_row_are_what_the_engine_absorbs(tmp_path: Path) -> None:
    """Late and wrong answers count, a clean round sets them to zero, a cold model never does."""
    access = registry(tmp_path, LATE, LATE, COLD, LATE, 0.5).access(lambda _, __: None)
    seen = []
    for _ in range(5):
        await access.ask([("key", (0.0,))])
        seen.append(access.errors)
    assert seen == [1, 2, 0, 1, 0]


async def test_without_the_extra_every_call_says_what_to_install(tmp_path: Path) -> None:
    """And it is no error of the engine."""
    scorer = NoModels()
    scorer.add(model_file(pretended_onnx()))
    (found,) = await scorer.ask([("key", (0.0,))])
    assert isinstance(found, Missing)
    assert "levitrio[ml]" in found.reason
    assert not found.is_error
    assert scorer.statistics().calls == 0


@needs_training
async def test_models_of_a_replay_answer_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, with the same checks as in a worker."""
    from levitrio.inference.workers.in_process import LocalModels

    scorer = LocalModels()
    sound = model_file(constant_onnx(0.25))
    broken = model_file(b"\x08\x08garbage", name="broken.onnx")
    moody = model_file(constant_onnx(0.75), name="moody.onnx")
    for file in (sound, sound, broken):
        scorer.add(file)

    def fails(form: str, content: bytes, width: int) -> object:
        def ask(vector: Vector) -> float:
            raise RuntimeError("out of memory")

        return ask

    monkeypatch.setattr(worker, "make_predictor", fails)
    scorer.add(moody)
    vector = (0.0,) * 9
    found = await scorer.ask([(sound.key, vector), (broken.key, vector), (moody.key, vector)])
    assert found[0] == 0.25
    assert [each.code for each in found[1:] if isinstance(each, Missing)] == [
        "not_loaded",
        "wrong_answer",
    ]
    assert (scorer.statistics().calls, scorer.statistics().wrong) == (1, 1)


@needs_ml
def test_without_talib_a_model_member_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules of the ensemble go on."""
    from levitrio.inference.features.feature_vectors import FeatureVectors
    from levitrio.inference.models.feature_schema import CANDLES
    from levitrio.trading.market import Bar

    monkeypatch.setitem(sys.modules, "levitrio.inference.features.features", None)
    found = FeatureVectors(60_000).close(Bar.of("BTCUSDT", 1, open_time=0), [CANDLES])["candles"]
    assert isinstance(found, Missing)
    assert found.code == "not_installed"
