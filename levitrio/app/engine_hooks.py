"""Hooks between engine and gateway: none in a running fleet, counters in a replay."""

from collections.abc import Callable
from typing import Protocol

import attrs

from levitrio.engine.engine import Engine
from levitrio.strategies.base import Signal
from levitrio.trading.orders import Fill

Submit = Callable[[Signal], None]
TakeFill = Callable[[Fill], None]


class EngineHooks(Protocol):
    """Wraps signals and fills. The assembly calls it once for each incarnation."""

    def submit(self, symbol: str, submit: Submit) -> Submit:
        """Return what the engine calls with each signal; `submit` is the gateway's."""

    def take_fill(self, engine: Engine) -> TakeFill:
        """Return what the gateway calls with each fill of the engine's symbol."""


@attrs.frozen
class DirectHooks:
    """Connects engine and gateway without anything between."""

    def submit(self, symbol: str, submit: Submit) -> Submit:
        """Return the gateway's function unchanged."""
        return submit

    def take_fill(self, engine: Engine) -> TakeFill:
        """Return the engine's function unchanged."""
        return engine.take_fill
