"""Fits models: logistic regression and gradient-boosted trees, and their calibration.

The same rows and seed give the same model bit for bit: one thread, no early stopping by time.
"""

from typing import Literal, Protocol

import attrs
import numpy as np

from levitrio.training.dataset import Array

Kind = Literal["logistic", "boosted"]

RIDGE = 1.0
"""Weight of the penalty on standardised coefficients; a prior of one row against thousands."""

_NEWTON_STEPS = 25
"""Far more than the eight or so that Newton's method takes on a ridge-penalised likelihood."""

_TREES = {
    "objective": "binary",
    "num_leaves": 7,
    "learning_rate": 0.05,
    "min_data_in_leaf": 200,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}
"""Shallow trees, slow learning: prices hold little signal, and deep trees learn the noise."""

ROUNDS = 80


class Fitted(Protocol):
    """A model before calibration."""

    def scores(self, features: Array) -> Array:
        """A log-odds for each row."""


@attrs.frozen(eq=False)
class Logistic:
    """`weights` and `bias` on features as they are, without standardisation."""

    weights: Array
    bias: float

    def scores(self, features: Array) -> Array:
        """A log-odds for each row."""
        found: Array = features @ self.weights + self.bias
        return found


@attrs.frozen(eq=False)
class Boosted:
    """Trees of LightGBM, as its own text."""

    text: str

    def scores(self, features: Array) -> Array:
        """A log-odds for each row."""
        import lightgbm

        model = lightgbm.Booster(model_str=self.text)
        found: Array = model.predict(features, raw_score=True, num_threads=1)
        return found


@attrs.frozen
class Calibration:
    """Platt's: probability = sigmoid(slope x score + offset)."""

    slope: float
    offset: float

    def probabilities(self, scores: Array) -> Array:
        """A probability for each score."""
        return sigmoid(self.slope * scores + self.offset)


def fit(kind: Kind, features: Array, labels: Array, seed: int) -> Fitted:
    """Fit a model.

    Args:
        kind: of model.
        features: one row each.
        labels: 0 or 1, one each row.
        seed: used by the trees only.
    """
    return (
        _fit_trees(features, labels, seed) if kind == "boosted" else fit_logistic(features, labels)
    )


def fit_logistic(features: Array, labels: Array) -> Logistic:
    """Ridge-penalised maximum likelihood by Newton's method, on standardised features."""
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation = np.where(deviation > 0.0, deviation, 1.0)
    rows = np.column_stack([(features - mean) / deviation, np.ones(len(features))])
    penalty = np.diag([RIDGE] * features.shape[1] + [0.0])
    weights = np.zeros(rows.shape[1])
    for _ in range(_NEWTON_STEPS):
        probability = sigmoid(rows @ weights)
        slope = rows.T @ (labels - probability) - penalty @ weights
        spread = np.maximum(probability * (1.0 - probability), 1e-9)
        curve = (rows * spread[:, None]).T @ rows + penalty
        step = np.linalg.solve(curve, slope)
        weights = weights + step
        if np.abs(step).max() < 1e-10:
            break
    raw = weights[:-1] / deviation
    return Logistic(raw, float(weights[-1] - raw @ mean))


def _fit_trees(features: Array, labels: Array, seed: int) -> Boosted:
    import lightgbm

    rows = lightgbm.Dataset(features, labels, free_raw_data=False)
    model = lightgbm.train({**_TREES, "seed": seed}, rows, num_boost_round=ROUNDS)
    return Boosted(model.model_to_string())


def calibrate(scores: Array, labels: Array) -> Calibration:
    """Fit the two numbers on rows the model has not seen.

    A negative slope would invert the model on what can only be chance, so it becomes zero: then the
    probability is the share of rises, whatever the features.
    """
    found = fit_logistic(scores[:, None], labels)
    slope = float(found.weights[0])
    if slope > 0.0:
        return Calibration(slope, found.bias)
    rate = float(np.clip(labels.mean(), 1e-3, 1.0 - 1e-3))
    return Calibration(0.0, float(np.log(rate / (1.0 - rate))))


def sigmoid(values: Array) -> Array:
    """1 / (1 + e^-x), without overflow."""
    found: Array = 0.5 * (1.0 + np.tanh(0.5 * values))
    return found
