"""Training: no look at the future, the same bytes by seed, and an honest word."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from levitrio.errors import UsageError
from levitrio.inference.features.bar_observation import Observation
from levitrio.inference.models.model_file import ModelReference, read_model
from tests.inference.model_files import needs_training, some_bars, write_model
from tests.training.markets import dataset, reverting_bars

if TYPE_CHECKING:
    from levitrio.training.train import Trained

pytestmark = needs_training


def train(bars: Sequence[Observation], **recipe: object) -> "Trained":
    from levitrio.training.bar_series import Series
    from levitrio.training.train import Recipe
    from levitrio.training.train import train as train_model

    series = [Series(symbol="BTCUSDT", interval="1m", bars=tuple(bars))]
    made = Recipe(**{"folds": 3, **recipe})  # type: ignore[arg-type]
    return train_model(series, made, sources=[], progress=lambda _, __: None)


@pytest.mark.parametrize("kind", ["logistic", "boosted"])
def test_the_same_seed_gives_the_same_bytes(kind: str) -> None:
    """Model and card, twice."""
    from levitrio.training.export import as_json

    bars = reverting_bars(1_500, seed=3)
    first, second = train(bars, kind=kind), train(bars, kind=kind)
    assert first.content == second.content
    assert as_json(first.card) == as_json(second.card)


def test_another_seed_gives_other_trees() -> None:
    """Which the card says."""
    bars = reverting_bars(1_500, seed=3)
    first, second = train(bars, kind="boosted"), train(bars, kind="boosted", seed=2)
    assert first.content != second.content
    assert (first.card["seed"], second.card["seed"]) == (1, 2)


@pytest.mark.parametrize("kind", ["logistic", "boosted"])
def test_what_runs_says_what_was_trained(kind: str, tmp_path: Path) -> None:
    """The file, through the runtime, gives the probabilities of the fit."""
    from levitrio.inference.workers.worker import make_predictor
    from levitrio.training.export import to_onnx
    from levitrio.training.walk_forward import train_once

    rows = dataset(reverting_bars(1_500, seed=4))
    fitted, calibration = train_once(rows, kind, 1)  # type: ignore[arg-type]
    content = to_onnx(fitted, calibration, rows.schema, rows.interval)
    digest = write_model(tmp_path, content)
    file = read_model(ModelReference(model="m.onnx", sha256=digest), tmp_path)
    assert (file.schema, file.interval) == (rows.schema, "1m")
    ask = make_predictor("onnx", content, len(rows.schema.names))
    expected = calibration.probabilities(fitted.scores(rows.features))
    for index in range(0, len(rows), 37):
        assert ask(tuple(rows.features[index])) == pytest.approx(float(expected[index]), abs=2e-5)


def test_lightgbm_text_is_read_with_its_schema(tmp_path: Path) -> None:
    """The format has no room for a calibration; the card says so."""
    from levitrio.inference.workers.worker import make_predictor

    trained = train(reverting_bars(1_500, seed=4), kind="boosted", form="lightgbm")
    digest = write_model(tmp_path, trained.content, "m.txt")
    file = read_model(ModelReference(model="m.txt", sha256=digest), tmp_path)
    assert file.format == "lightgbm"
    assert 0.0 < make_predictor("lightgbm", file.content, 9)((0.0,) * 9) < 1.0
    assert "none" in trained.card["split"]["calibration"]
    with pytest.raises(ValueError, match="expected 11 features, got 9"):
        make_predictor("lightgbm", file.content, 11)


def test_a_market_that_can_be_known_is_found_out() -> None:
    """And the verdict says so, with its interval."""
    card = train(reverting_bars(3_000, seed=5)).card
    low, high = card["metrics"]["auc_95"]
    assert 0.6 < low <= card["metrics"]["auc"] <= high
    assert card["metrics"]["brier"] < card["metrics"]["brier_of_base_rate"]
    assert card["verdict"]["better_than_chance"]


def test_a_random_walk_is_called_one() -> None:
    """No skill, no profit after fees, and no word that hides it."""
    card = train(some_bars(3_000, seed=6)).card
    low, _ = card["metrics"]["auc_95"]
    assert low <= 0.5
    assert not card["verdict"]["beats_baselines_after_fees"]
    assert "NOT beat it" in card["verdict"]["text"]


def test_fees_are_paid_for_every_change() -> None:
    """In and out of a market that does not move costs twice the price of an order."""
    from levitrio.training.evaluation import Costs, follow

    rows = dataset(reverting_bars(300, seed=1))
    still = rows.rows(rows.times > 0)
    still.next_return[:] = 0.0
    found = follow(still, lambda row, _: "long" if row % 2 == 0 else "flat", Costs())
    assert found.gross == 0.0
    assert found.net == pytest.approx(-found.changes * 0.0015)
    assert found.changes == len(still) + len(still) % 2


def test_auc_is_the_chance_to_rank_right() -> None:
    """Ties count half; without both outcomes there is nothing to rank."""
    import numpy as np

    from levitrio.training.evaluation import auc

    labels = np.array([0.0, 0.0, 1.0, 1.0])
    assert auc(labels, np.array([0.1, 0.4, 0.35, 0.8])) == 0.75
    assert auc(labels, np.full(4, 0.5)) == 0.5
    assert auc(np.ones(4), np.arange(4.0)) == 0.5


def test_calibration_never_turns_a_model_round() -> None:
    """A slope below zero would be chance taken for knowledge."""
    import numpy as np

    from levitrio.training.fitting import calibrate

    labels = np.array([1.0, 0.0] * 200)
    found = calibrate(np.where(labels > 0.5, -1.0, 1.0), labels)
    assert found.slope == 0.0
    assert found.probabilities(np.zeros(1))[0] == pytest.approx(0.5)


def test_too_little_data_says_what_is_missing() -> None:
    """Instead of a model of noise."""
    with pytest.raises(UsageError, match="rows"):
        train(some_bars(200))
    with pytest.raises(UsageError, match="bars"):
        train(some_bars(20))
