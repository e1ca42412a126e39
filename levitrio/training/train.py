"""Trains a model: the work of `levi train` without the terminal."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import attrs

from levitrio.training.bar_series import Series
from levitrio.training.dataset import Dataset, make_dataset, schema_for
from levitrio.training.evaluation import (
    Costs,
    Trading,
    auc,
    auc_interval,
    baselines,
    brier,
    follow_model,
    reliability,
)
from levitrio.training.export import to_lightgbm, to_onnx
from levitrio.training.fitting import Boosted, Kind
from levitrio.training.walk_forward import CALIBRATED_ON, Judged, train_once, walk

CARD_SCHEMA = 1

TRADING_NOTE = (
    "mean per symbol, as fractions, not compounded; long or flat, decided at a bar's close and "
    "held to the next. A close is the last trade, so a part of what the next bar gives back is "
    "only the way from bid to ask and was never there to be earned."
)


@attrs.frozen(kw_only=True)
class Recipe:
    """How to train."""

    kind: Kind = "logistic"
    horizon: int = 1
    """Bars from a row to the close of its label."""
    folds: int = 5
    seed: int = 1
    costs: Costs = attrs.field(factory=Costs)
    long_above: float = 0.55
    short_below: float = 0.45
    form: Literal["onnx", "lightgbm"] = "onnx"


@attrs.frozen(kw_only=True)
class Trained:
    """A model and its card."""

    content: bytes = attrs.field(repr=False)
    card: Mapping[str, Any]
    """Plain JSON data; `sha256` is that of `content`."""


def train(
    series: Sequence[Series],
    recipe: Recipe,
    *,
    sources: Sequence[Mapping[str, Any]],
    progress: Callable[[str, float], None],
) -> Trained:
    """Evaluate by walk-forward, then train on all rows for the file.

    Args:
        series: of one interval.
        recipe: kind of model, horizon, costs and thresholds.
        sources: descriptions of the data for the card.
        progress: called with the step and its share that is done, 0 to 1.

    Raises:
        UsageError: the data is too short.
    """
    progress("features", 0.0)
    schema = schema_for(series)
    rows = make_dataset(series, schema=schema, horizon=recipe.horizon)
    judged = walk(
        rows,
        kind=recipe.kind,
        folds=recipe.folds,
        seed=recipe.seed,
        progress=lambda share: progress("walk forward", share),
    )
    progress("model", 0.0)
    fitted, calibration = train_once(rows, recipe.kind, recipe.seed)
    if recipe.form == "lightgbm":
        assert isinstance(fitted, Boosted)
        content = to_lightgbm(fitted, schema, rows.interval)
    else:
        content = to_onnx(fitted, calibration, schema, rows.interval)
    progress("judgement", 0.0)
    card = {
        "card_schema": CARD_SCHEMA,
        "sha256": hashlib.sha256(content).hexdigest(),
        "format": recipe.form,
        "kind": recipe.kind,
        "seed": recipe.seed,
        "interval": rows.interval,
        "horizon_bars": recipe.horizon,
        "label": f"1 when the close {recipe.horizon} bars on is higher",
        "features": {
            "schema": schema.name,
            "hash": schema.hash,
            "names": list(schema.names),
            "units": [feature.unit for feature in schema.features],
        },
        "data": {"sources": list(sources), "symbols": list(rows.symbols), **_span(rows)},
        "split": {
            "method": "walk forward: each stretch is judged by a model of everything before it",
            "folds": recipe.folds,
            "left_out_between_bars": recipe.horizon,
            "calibration": "Platt; on none for lightgbm text"
            if recipe.form == "lightgbm"
            else f"Platt, on the newest {CALIBRATED_ON:.0%} of each past",
        },
        **judge(judged, recipe),
    }
    return Trained(content=content, card=card)


def judge(judged: Judged, recipe: Recipe) -> dict[str, Any]:
    """Metrics, baselines and the verdict, on rows the models had not seen."""
    rows, said = judged.rows, judged.probabilities
    low, high = auc_interval(rows, said, recipe.seed)
    model = follow_model(
        rows,
        said,
        recipe.costs,
        long_above=recipe.long_above,
        short_below=recipe.short_below,
    )
    others = baselines(rows, recipe.costs)
    rate = float(rows.labels.mean())
    return {
        "metrics": {
            "rows": len(rows),
            "auc": auc(rows.labels, said),
            "auc_95": [low, high],
            "brier": brier(rows.labels, said),
            "brier_of_base_rate": brier(rows.labels, judged.base_rate),
            "hit_rate": float(((said > 0.5) == (rows.labels > 0.5)).mean()),
            "hit_rate_of_majority": max(rate, 1.0 - rate),
            "reliability": reliability(rows.labels, said),
        },
        "trading": {
            "note": TRADING_NOTE,
            "long_above": recipe.long_above,
            "short_below": recipe.short_below,
            "fee": recipe.costs.fee,
            "slippage": recipe.costs.slippage,
            "model": attrs.asdict(model),
            "baselines": {name: attrs.asdict(each) for name, each in others.items()},
        },
        "verdict": verdict(low, model, others),
    }


def verdict(auc_low: float, model: Trading, others: Mapping[str, Trading]) -> dict[str, Any]:
    """Whether the model beats chance and the best baseline after fees."""
    best = max(others, key=lambda name: others[name].net)
    earns_more = model.net > others[best].net
    ranks = auc_low > 0.5
    skill = (
        "It ranks rises above falls better than chance."
        if ranks
        else "It does not rank rises above falls better than chance (95 % interval)."
    )
    worth = (
        f"After fees it makes {model.net:+.2%}, the best baseline ({best}) {others[best].net:+.2%}"
    )
    if earns_more and ranks:
        money = f"{worth}: it beats it."
    elif earns_more:
        money = f"{worth}: it does NOT beat it, for without skill that is luck."
    else:
        money = f"{worth}: it does NOT beat it."
    return {
        "better_than_chance": ranks,
        "beats_baselines_after_fees": earns_more and ranks,
        "best_baseline": best,
        "text": f"{skill} {money}",
    }


def _span(rows: Dataset) -> dict[str, Any]:
    return {
        "rows": len(rows),
        "first_close_ms": int(rows.times[0]),
        "last_close_ms": int(rows.times[-1]),
    }
