"""Markets to train on."""

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from levitrio.inference.features.bar_observation import Observation
from tests.inference.model_files import MINUTE

if TYPE_CHECKING:
    from levitrio.training.dataset import Dataset


def reverting_bars(count: int, *, seed: int) -> list[Observation]:
    """Bars whose next move is half known: each gives back a part of the last."""
    random = Random(seed)
    bars, price, gap = [], 100.0, 0.0
    for number in range(count):
        gap = -0.6 * gap + random.gauss(0.0, 2e-3)
        opened, price = price, 100.0 * (1.0 + gap)
        bars.append(
            Observation(
                open_ms=number * MINUTE,
                open=opened,
                high=max(opened, price),
                low=min(opened, price),
                close=price,
                volume=random.uniform(1.0, 9.0),
            )
        )
    return bars


def dataset(bars: Sequence[Observation], *, horizon: int = 1, symbol: str = "BTCUSDT") -> "Dataset":
    """The rows of some bars."""
    from levitrio.inference.models.feature_schema import CANDLES
    from levitrio.training.bar_series import Series
    from levitrio.training.dataset import make_dataset

    series = Series(symbol=symbol, interval="1m", bars=tuple(bars))
    return make_dataset([series], schema=CANDLES, horizon=horizon)
