"""TA-Lib indicators, updated one closed bar at a time in constant time.

A handle of TA-Lib is opened over the first bars that suffice and takes one bar from there on.
Each value equals that of the batch function bit for bit.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import talib
from talib import stream

_TOO_SHORT: type[Exception] = vars(talib)["InsufficientHistory"]  # missing in its type stubs
_Open = Callable[..., Any]


class RunningIndicator:
    """One indicator over one or more series; `value` is None until it has enough bars."""

    __slots__ = ("_handle", "_open", "_past", "value")

    def __init__(self, open_handle: _Open, series: int = 1) -> None:
        self._open = open_handle
        self._past: list[list[float]] | None = [[] for _ in range(series)]
        self._handle: Any = None
        self.value: Any = None

    def push(self, *values: float) -> None:
        """Take one closed bar's values in, one for each series; they must be finite."""
        if self._handle is not None:
            self.value = self._handle.update(*values)
            return
        assert self._past is not None
        for past, value in zip(self._past, values, strict=True):
            past.append(value)
        try:
            self._handle = self._open(*(np.array(past) for past in self._past))
        except _TOO_SHORT:
            return
        self._past = None
        self.value = self._handle.value


def ema(length: int) -> RunningIndicator:
    """Exponential moving average; it begins with the mean of the first `length` values."""
    return RunningIndicator(lambda real: stream.EMA(real, timeperiod=length))


def rsi(length: int) -> RunningIndicator:
    """Wilder's relative strength index, 0 to 100."""
    return RunningIndicator(lambda real: stream.RSI(real, timeperiod=length))


def atr(length: int) -> RunningIndicator:
    """Wilder's average true range; takes high, low, close."""
    return RunningIndicator(
        lambda high, low, close: stream.ATR(high, low, close, timeperiod=length), 3
    )


def macd(fast: int, slow: int, signal: int) -> RunningIndicator:
    """Its value is (line, signal, histogram)."""
    return RunningIndicator(
        lambda real: stream.MACD(real, fastperiod=fast, slowperiod=slow, signalperiod=signal)
    )


def bollinger(length: int, deviations: float) -> RunningIndicator:
    """Its value is (upper, middle, lower)."""
    return RunningIndicator(
        lambda real: stream.BBANDS(real, timeperiod=length, nbdevup=deviations, nbdevdn=deviations)
    )


def deviation(length: int) -> RunningIndicator:
    """Standard deviation of the population."""
    return RunningIndicator(lambda real: stream.STDDEV(real, timeperiod=length, nbdev=1.0))


def mean(length: int) -> RunningIndicator:
    """Simple moving average."""
    return RunningIndicator(lambda real: stream.SMA(real, timeperiod=length))
