"""Computes the feature vectors of one engine from its trades, quotes and bars.

Imports TA-Lib only when a vector is wanted, so that an ensemble of rules runs without it.
"""

from collections import deque
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import attrs

from levitrio.inference.features.bar_observation import BarObserver, Observation
from levitrio.inference.interface import Missing
from levitrio.inference.models.feature_schema import FeatureSchema
from levitrio.inference.workers.in_process import NOT_INSTALLED
from levitrio.trading.market import Bar, Quote, Trade

if TYPE_CHECKING:
    from levitrio.inference.features.features import FeatureStream

KEPT_BARS = 160
"""Bars kept in the snapshot: older ones weigh below 1e-5 in an average of 26."""


@attrs.define(eq=False)
class FeatureVectors:
    """Collects trades and quotes; `close` gives the vectors of each closed bar."""

    interval_ms: int
    _bar_observer: BarObserver = attrs.field(init=False)
    _streams: "dict[str, FeatureStream]" = attrs.field(factory=dict, init=False)
    _past: deque[Observation] = attrs.field(factory=lambda: deque(maxlen=KEPT_BARS), init=False)

    def __attrs_post_init__(self) -> None:
        self._bar_observer = BarObserver(interval_ms=self.interval_ms)

    def see_trade(self, trade: Trade) -> None:
        """Count a trade to its bar."""
        self._bar_observer.see_trade(trade)

    def see_quote(self, quote: Quote) -> None:
        """Remember the newest quote."""
        self._bar_observer.see_quote(quote)

    def close(
        self, bar: Bar, schemas: Collection[FeatureSchema]
    ) -> dict[str, tuple[float, ...] | Missing]:
        """The vector of each schema, by its name, or why there is none."""
        observation = self._bar_observer.close(bar)
        found: dict[str, tuple[float, ...] | Missing] = {}
        for schema in schemas:
            stream = self._stream(schema)
            found[schema.name] = NOT_INSTALLED if stream is None else stream.push(observation)
        self._past.append(observation)
        return found

    def state(self) -> list[list[float]]:
        """The candles that a restart needs to skip the warm-up."""
        return [[b.open_ms, b.open, b.high, b.low, b.close, b.volume] for b in self._past]

    def restore(self, state: Any) -> None:
        """Restore the candles that `state` returned; order flow and spread are not kept."""
        for open_ms, *prices in state:
            first, high, low, close, volume = map(float, prices)
            self._past.append(
                Observation(
                    open_ms=int(open_ms), open=first, high=high, low=low, close=close, volume=volume
                )
            )

    def _stream(self, schema: FeatureSchema) -> "FeatureStream | None":
        stream = self._streams.get(schema.name)
        if stream is None:
            try:
                from levitrio.inference.features.features import FeatureStream
            except ModuleNotFoundError:
                return None
            stream = self._streams[schema.name] = FeatureStream(schema, self.interval_ms)
            for past in self._past:
                stream.push(past)
        return stream
