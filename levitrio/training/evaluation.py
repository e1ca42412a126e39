"""Evaluates a model on unseen rows: ranking, calibration, and profit after costs."""

from collections.abc import Callable

import attrs
import numpy as np

from levitrio.inference.ensemble.voting import Side, choose
from levitrio.training.dataset import Array, Dataset

BINS = 10
RESAMPLES = 200
"""Bootstrap samples: enough for two digits of an interval."""

_BLOCKS = 50
"""Blocks of time drawn together, because neighbouring rows are not independent."""


@attrs.frozen(kw_only=True)
class Costs:
    """What an order costs, as fractions of its worth."""

    fee: float = 0.001
    slippage: float = 0.0005

    @property
    def of_a_change(self) -> float:
        """From flat to long, or back."""
        return self.fee + self.slippage


@attrs.frozen(kw_only=True)
class Trading:
    """Result of following a rule, mean per symbol, not compounded."""

    gross: float
    """Sum of the bars' returns while in a position, as a fraction."""
    net: float
    """The same after fee and slippage."""
    changes: float
    """Orders."""
    exposure: float
    """Share of the bars with a position."""


def auc(labels: Array, probabilities: Array) -> float:
    """Chance that a random rise is ranked above a random fall; 0.5 is a coin, ties count half."""
    rises = float(labels.sum())
    falls = len(labels) - rises
    if not rises or not falls:
        return 0.5
    _, inverse, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2.0
    total = float(ranks[inverse][labels > 0.5].sum())
    return (total - rises * (rises + 1) / 2.0) / (rises * falls)


def auc_interval(rows: Dataset, probabilities: Array, seed: int) -> tuple[float, float]:
    """95 % of the bootstrap over stretches of time."""
    random = np.random.default_rng(seed)
    blocks = np.array_split(np.arange(len(rows)), min(_BLOCKS, len(rows)))
    found = []
    for _ in range(RESAMPLES):
        drawn = random.integers(0, len(blocks), len(blocks))
        which = np.concatenate([blocks[index] for index in drawn])
        found.append(auc(rows.labels[which], probabilities[which]))
    bounds: list[float] = np.quantile(found, [0.025, 0.975]).tolist()
    return float(bounds[0]), float(bounds[1])


def brier(labels: Array, probabilities: Array) -> float:
    """Mean squared distance between probability and outcome; lower is better."""
    return float(np.mean((probabilities - labels) ** 2))


def reliability(labels: Array, probabilities: Array) -> list[dict[str, float]]:
    """Share of rises by predicted probability, in ten bins of equal size."""
    order = np.argsort(probabilities, kind="stable")
    return [
        {
            "said": float(probabilities[which].mean()),
            "rose": float(labels[which].mean()),
            "rows": float(len(which)),
        }
        for which in np.array_split(order, min(BINS, len(order)))
        if len(which)
    ]


def follow(rows: Dataset, decide: Callable[[int, Side], Side], costs: Costs) -> Trading:
    """Hold the side `decide(row, held)` until the next bar, for each symbol on its own.

    Figures are means over the symbols, so that ten symbols do not earn ten times as much.
    """
    gross = changes = 0.0
    held_bars = 0
    side: dict[int, Side] = {}
    weight = {"long": 1.0, "flat": 0.0, "short": -1.0}
    symbols, returns = rows.symbol.tolist(), rows.next_return.tolist()
    for row, symbol in enumerate(symbols):
        before = side.get(symbol, "flat")
        now = decide(row, before)
        changes += abs(weight[now] - weight[before])
        gross += weight[now] * returns[row]
        held_bars += now != "flat"
        side[symbol] = now
    changes += sum(1 for last in side.values() if last != "flat")  # all is sold at the end
    count = max(1, len(side))
    return Trading(
        gross=gross / count,
        net=(gross - changes * costs.of_a_change) / count,
        changes=changes / count,
        exposure=held_bars / max(1, len(rows)),
    )


def follow_model(
    rows: Dataset, probabilities: Array, costs: Costs, *, long_above: float, short_below: float
) -> Trading:
    """Follow the ensemble's rule with this model alone, long or flat.

    Args:
        rows: in time order.
        probabilities: of a rise, for each row.
        costs: of an order.
        long_above: buy from this probability on.
        short_below: sell at this probability and below.
    """
    said = probabilities.tolist()

    def decide(row: int, held: Side) -> Side:
        return choose(said[row], held, long_above=long_above, short_below=short_below, shorts=False)

    return follow(rows, decide, costs)


def baselines(rows: Dataset, costs: Costs) -> dict[str, Trading]:
    """Results of simple rules without a model."""
    last = rows.features[:, rows.schema.names.index("return_1")].tolist()
    return {
        "nothing": Trading(gross=0.0, net=0.0, changes=0.0, exposure=0.0),
        "hold": follow(rows, lambda _, __: "long", costs),
        "momentum": follow(rows, lambda row, _: "long" if last[row] > 0 else "flat", costs),
        "reversal": follow(rows, lambda row, _: "long" if last[row] < 0 else "flat", costs),
    }
