"""Feature schemas: names, order and units of a model's inputs, and a hash of them. Pure.

A model cannot notice that the meaning of an input has changed. So each model carries the hash of
the schema it was trained with, and a model of another schema is refused before it is loaded.
"""

import hashlib
import json
from functools import cached_property

import attrs

Vector = tuple[float, ...]


REVISION = 1
"""Raised whenever the arithmetic behind a name changes: the hash changes with it."""


@attrs.frozen(kw_only=True)
class Feature:
    """One number of the vector."""

    name: str
    unit: str
    meaning: str


@attrs.frozen(kw_only=True, slots=False)
class FeatureSchema:
    """Features in the order in which a model takes them."""

    name: str
    features: tuple[Feature, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def hash(self) -> str:
        """SHA-256 over revision, names, order, units and meanings, as 64 hex digits."""
        fields = [[f.name, f.unit, f.meaning] for f in self.features]
        text = json.dumps([REVISION, fields], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


_OF_CANDLES = (
    Feature(name="return_1", unit="log", meaning="ln(close / close one bar before)"),
    Feature(name="return_5", unit="log", meaning="ln(close / close five bars before)"),
    Feature(name="ema_spread", unit="of price", meaning="(EMA 12 - EMA 26) / close"),
    Feature(name="rsi", unit="0 to 1", meaning="RSI 14 / 100"),
    Feature(name="atr", unit="of price", meaning="ATR 14 / close"),
    Feature(name="macd", unit="of price", meaning="MACD 12 26 9 histogram / close"),
    Feature(
        name="bollinger_position",
        unit="half bands",
        meaning="(close - SMA 20) / (2 standard deviations of 20 closes); 0 without deviation",
    ),
    Feature(
        name="realized_volatility",
        unit="log per bar",
        meaning="standard deviation of the last 20 one-bar log returns",
    ),
    Feature(
        name="volume_z",
        unit="standard deviations",
        meaning="(volume - SMA 20 of volume) / standard deviation of 20; 0 without deviation",
    ),
)

_OF_TRADES = (
    Feature(
        name="order_flow_imbalance",
        unit="-1 to 1",
        meaning="(takers' purchases - takers' sales) / both, in base asset, within the bar",
    ),
    Feature(
        name="spread",
        unit="of price",
        meaning="(ask - bid) / middle, of the last quote before the bar's end",
    ),
)

CANDLES = FeatureSchema(name="candles", features=_OF_CANDLES)
"""Features that any candle file provides."""

MARKET = FeatureSchema(name="market", features=(*_OF_CANDLES, *_OF_TRADES))
"""Features that a recording, the simulator and a live market provide."""

SCHEMAS = {schema.name: schema for schema in (CANDLES, MARKET)}
BY_HASH = {schema.hash: schema for schema in SCHEMAS.values()}
