"""Computes the feature vector of each closed bar, incrementally or for a whole series.

Both ways give the same bits: TA-Lib's handles equal its batch functions, and everything around
them is the same IEEE operation on the same numbers. Logarithms go through `math.log` in both,
because numpy's may differ in the last bit. A test holds this.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import talib

from levitrio.inference.features import indicators
from levitrio.inference.features.bar_observation import Observation
from levitrio.inference.interface import Missing
from levitrio.inference.models.feature_schema import FeatureSchema

Array: TypeAlias = npt.NDArray[np.float64]

WARM_UP = 34
"""Bars until every feature has a value; MACD's signal line is the last to have one."""

RETURN_SCALE = 2.0**13
"""Log returns are scaled for the same reason as prices; about a basis point is one."""

MAX_HOLE = 30
"""Missing bars after which the averages start anew."""


class FeatureStream:
    """Features of one symbol; `push` each closed bar in order."""

    def __init__(self, schema: FeatureSchema, interval_ms: int) -> None:
        self._schema = schema
        self._interval_ms = interval_ms
        self._last_ms = -1
        self._reset()

    def push(self, bar: Observation) -> tuple[float, ...] | Missing:
        """The vector at this bar's close, in the schema's order, or why there is none.

        A bar that is not newer than the last is refused, one with impossible numbers is left out.
        """
        if bar.open_ms <= self._last_ms:
            return Missing(code="old_bar", reason="the bar is not newer than the last one")
        prices = (bar.high, bar.low, bar.close)
        if not (all(0.0 < price < math.inf for price in prices) and 0.0 <= bar.volume < math.inf):
            return Missing(
                code="bad_bar", reason="the bar holds something that is no price or no volume"
            )
        if begins_anew(self._last_ms, bar.open_ms, self._interval_ms):
            self._reset()
        self._last_ms = bar.open_ms
        self._count += 1
        self._take(bar)
        if self._count < WARM_UP:
            return Missing(code="warming_up", reason=f"needs {WARM_UP} bars before its first value")
        vector = []
        for name in self._schema.names:
            value = self._value(name, bar)
            if value is None:
                reason = f"{name} of this bar is not known (trades or quotes were missed)"
                return Missing(code=f"no_{name}", reason=reason)
            vector.append(value)
        return tuple(vector)

    def _reset(self) -> None:
        self._count = 0
        self._price_scale = self._volume_scale = 0.0
        self._closes: deque[float] = deque(maxlen=6)
        self._return = 0.0
        self._fast, self._slow = indicators.ema(12), indicators.ema(26)
        self._rsi, self._atr = indicators.rsi(14), indicators.atr(14)
        self._macd = indicators.macd(12, 26, 9)
        self._bands = indicators.bollinger(20, 2.0)
        self._return_deviation = indicators.deviation(20)
        self._volume_mean, self._volume_deviation = indicators.mean(20), indicators.deviation(20)

    def _take(self, bar: Observation) -> None:
        if self._closes:
            self._return = math.log(bar.close / self._closes[-1])
            self._return_deviation.push(self._return * RETURN_SCALE)
        self._closes.append(bar.close)
        scale = self._price_scale = self._price_scale or scale_of(bar.close)
        close = bar.close * scale
        for running in (self._fast, self._slow, self._rsi, self._macd, self._bands):
            running.push(close)
        self._atr.push(bar.high * scale, bar.low * scale, close)
        if bar.volume > 0.0:
            self._volume_scale = self._volume_scale or scale_of(bar.volume)
        self._volume = bar.volume * self._volume_scale
        self._volume_mean.push(self._volume)
        self._volume_deviation.push(self._volume)

    def _value(self, name: str, bar: Observation) -> float | None:
        close = bar.close * self._price_scale
        match name:
            case "return_1":
                return self._return
            case "return_5":
                return math.log(bar.close / self._closes[0])
            case "ema_spread":
                return float((self._fast.value - self._slow.value) / close)
            case "rsi":
                return float(self._rsi.value / 100.0)
            case "atr":
                return float(self._atr.value / close)
            case "macd":
                return float(self._macd.value[2] / close)
            case "bollinger_position":
                upper, middle, _ = self._bands.value
                return _ratio(close - middle, upper - middle)
            case "realized_volatility":
                return float(self._return_deviation.value / RETURN_SCALE)
            case "volume_z":
                return _ratio(self._volume - self._volume_mean.value, self._volume_deviation.value)
            case "order_flow_imbalance":
                return bar.imbalance
            case "spread":
                return bar.spread
        raise KeyError(name)


def scale_of(value: float) -> float:
    """The power of two that brings a positive value to 64..128; multiplying by it is exact.

    TA-Lib takes a variance below 1e-14 for zero, and there are coins that cost 5e-5.
    """
    return math.ldexp(1.0, 7 - math.frexp(value)[1])


def begins_anew(last_ms: int, open_ms: int, interval_ms: int) -> bool:
    """Whether the gap between two bars is too long for one series. -1: no last bar."""
    return last_ms >= 0 and open_ms - last_ms > MAX_HOLE * interval_ms


def feature_matrix(bars: Sequence[Observation], schema: FeatureSchema) -> Array:
    """The vectors of a series without long gaps, one row a bar; NaN where there is none.

    Rows before the warm-up are NaN in every column, as `FeatureStream` has no vector either.
    """
    columns = _Columns(bars)
    matrix = np.empty((len(bars), len(schema.names)))
    for index, name in enumerate(schema.names):
        matrix[:, index] = getattr(columns, name)()
    matrix[: WARM_UP - 1] = np.nan
    return matrix


class _Columns:
    """Each feature as one column; named as in the schema."""

    def __init__(self, bars: Sequence[Observation]) -> None:
        self.bars = bars
        raw, volume = _column(bars, lambda bar: bar.close), _column(bars, lambda bar: bar.volume)
        self._raw_closes = raw.tolist()
        self.scale = scale_of(self._raw_closes[0]) if bars else 1.0
        self.close = raw * self.scale
        first_volume = next((value for value in volume.tolist() if value > 0.0), 1.0)
        self.volume = volume * scale_of(first_volume)
        self._returns = self._log_returns(1)

    def return_1(self) -> Array:
        return self._returns

    def return_5(self) -> Array:
        return self._log_returns(5)

    def ema_spread(self) -> Array:
        fast: Array = talib.EMA(self.close, 12)
        slow: Array = talib.EMA(self.close, 26)
        return (fast - slow) / self.close

    def rsi(self) -> Array:
        found: Array = talib.RSI(self.close, 14)
        return found / 100.0

    def atr(self) -> Array:
        high = _column(self.bars, lambda bar: bar.high) * self.scale
        low = _column(self.bars, lambda bar: bar.low) * self.scale
        found: Array = talib.ATR(high, low, self.close, 14)
        return found / self.close

    def macd(self) -> Array:
        histogram: Array = talib.MACD(self.close, 12, 26, 9)[2]
        return histogram / self.close

    def bollinger_position(self) -> Array:
        upper, middle, _ = talib.BBANDS(self.close, 20, 2.0, 2.0)
        return _ratios(self.close - middle, upper - middle)

    def realized_volatility(self) -> Array:
        found = np.full(len(self.close), np.nan)
        if len(found) > 1:
            found[1:] = talib.STDDEV(self._returns[1:] * RETURN_SCALE, 20, 1.0)
        return found / RETURN_SCALE

    def volume_z(self) -> Array:
        mean, deviation = talib.SMA(self.volume, 20), talib.STDDEV(self.volume, 20, 1.0)
        return _ratios(self.volume - mean, deviation)

    def order_flow_imbalance(self) -> Array:
        return _column(self.bars, lambda bar: bar.imbalance)

    def spread(self) -> Array:
        return _column(self.bars, lambda bar: bar.spread)

    def _log_returns(self, over: int) -> Array:
        closes = self._raw_closes
        found = np.full(len(closes), np.nan)
        found[over:] = [
            math.log(later / earlier) for earlier, later in zip(closes, closes[over:], strict=False)
        ]
        return found


def _column(bars: Sequence[Observation], read: Callable[[Observation], float | None]) -> Array:
    values = (read(bar) for bar in bars)
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 0.0 else 0.0


def _ratios(above: Array, below: Array) -> Array:
    """`_ratio` of each row; NaN stays where a value is not known yet."""
    found = np.zeros_like(above)
    np.divide(above, below, out=found, where=below > 0.0)
    found[np.isnan(below)] = np.nan
    return found
