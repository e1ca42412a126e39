"""The base class of strategies: market events in, signals out.

A strategy has no clock, no I/O and no order of its own. It says what it wants to hold; the
gateway decides how much of it, and whether at all.
"""

from collections.abc import Awaitable
from datetime import datetime
from typing import Any, Literal

import attrs

from levitrio.trading.market import Bar, Quote, Trade
from levitrio.trading.orders import Fill


def _in_unit_interval(_: object, attribute: "attrs.Attribute[float]", value: float | None) -> None:
    if value is not None and not 0.0 <= value <= 1.0:
        raise ValueError(f"{attribute.name}: expected a number from 0 to 1, got {value!r}")


@attrs.frozen(kw_only=True)
class Signal:
    """The target a strategy wants. Repeating the side that is held does nothing."""

    side: Literal["long", "short", "flat"] = attrs.field(
        validator=attrs.validators.in_(("long", "short", "flat"))
    )
    """On a spot venue `short` means flat."""
    prob_up: float | None = attrs.field(default=None, validator=_in_unit_interval)
    """Probability that the price rises, 0 to 1; None when the strategy gives none."""
    confidence: float = attrs.field(default=1.0, validator=_in_unit_interval)
    """Scale of the entry's size, 0 to 1."""


Reply = Signal | None | Awaitable[Signal | None]
"""What a method of a strategy may return."""


class Strategy:
    """Base class of every strategy; each method is optional, plain or async.

    An exception that leaves a method crashes this engine and no other. `super().__init__` need
    not be called.
    """

    def __init__(self, symbol: str, **params: Any) -> None:
        if params:
            raise TypeError(f"{type(self).__name__} takes no parameter {', '.join(sorted(params))}")

    def on_trade(self, trade: Trade) -> Reply:
        """Called for each trade, in trade-id order."""
        return None

    def on_quote(self, quote: Quote) -> Reply:
        """Called with the latest quote; quotes that it superseded unread are skipped."""
        return None

    def on_bar(self, bar: Bar) -> Reply:
        """Called for each closed bar."""
        return None

    def on_cycle(self, now: datetime) -> Reply:
        """Called every `cycle_interval` seconds of market time; missed cycles are not repeated."""
        return None

    def on_fill(self, fill: Fill) -> Reply:
        """Called for each fill, which carries the position after it."""
        return None

    def state(self) -> Any:
        """Return plain data to keep in the snapshot; None keeps nothing."""
        return None

    def restore(self, state: Any) -> None:
        """Called once after `__init__` with what the last incarnation's `state()` returned."""
