"""Faults on demand: what a venue may do to its clients, as plain numbers. Pure.

`Faults` describes what goes wrong from now on; `FaultPlan` counts, so that "every third" is exact
and the same run has the same faults. 0, or an empty text, means no fault.
"""

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

import attrs

from levitrio.errors import UsageError
from levitrio.venues.recordings.frames import TapeEvent
from levitrio.venues.simulator.exchange import errors
from levitrio.venues.simulator.exchange.errors import ApiError
from levitrio.venues.simulator.exchange.rate_limits import WEIGHT
from levitrio.venues.simulator.market.price_generator import SimulatedMarket

_LIFE_SECONDS = 24 * 3_600.0
"""The venue closes a connection after a day."""

_REFUSALS = {
    0: None,
    418: -1003,
    429: -1003,
    500: -1000,
    503: -1008,
    504: -1007,
}
"""HTTP status that may be demanded -> the venue's error code."""


class LostReply(Exception):
    """The request took effect, but its answer must not arrive: close the connection."""


def _not_negative(_instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if not 0 <= value < math.inf:  # NaN too, which JSON parsing lets through
        raise UsageError(f"faults: {attribute.name}: expected 0 or more, got {value!r}")


def _status(_instance: object, attribute: "attrs.Attribute[Any]", value: int) -> None:
    if value not in _REFUSALS:
        known = ", ".join(map(str, _REFUSALS))
        raise UsageError(f"faults: {attribute.name}: expected one of {known}, got {value!r}")


_STATUSES = ("", "HALT", "BREAK", "END_OF_DAY", "CANCEL_ONLY")


def _market_status(_instance: object, attribute: "attrs.Attribute[Any]", value: str) -> None:
    if value not in _STATUSES:
        known = ", ".join(_STATUSES[1:])
        raise UsageError(f"faults: {attribute.name}: expected one of {known}, got {value!r}")


@attrs.frozen(kw_only=True)
class Faults:
    """What goes wrong from now on."""

    disconnect_every: float = attrs.field(default=0.0, validator=_not_negative)
    """Seconds after which each connection is cut without a closing handshake."""
    cut_after: float = attrs.field(default=_LIFE_SECONDS, validator=_not_negative)
    """Seconds after which the venue closes a connection, as it does each day."""
    shutdown_notice: float = attrs.field(default=0.0, validator=_not_negative)
    """Seconds before that cut at which `serverShutdown` is sent."""
    stall: str = ""
    """The name of a stream that sends no more events, while pings are answered."""
    gap_every: int = attrs.field(default=0, validator=_not_negative)
    """Every nth event of a stream is left out."""
    duplicate_every: int = attrs.field(default=0, validator=_not_negative)
    """Every nth event of a stream is sent twice."""
    garbage_every: int = attrs.field(default=0, validator=_not_negative)
    """Before every nth event of a stream a frame of invalid JSON is sent."""
    timeout_every: int = attrs.field(default=0, validator=_not_negative)
    """Every nth order is accepted and answered with -1007."""
    late_every: int = attrs.field(default=0, validator=_not_negative)
    """Every nth order is answered with -1007 and arrives `late_by` seconds afterwards,
    unless its recvWindow is over by then."""
    late_by: float = attrs.field(default=2.0, validator=_not_negative)
    """Seconds."""
    lost_reply_every: int = attrs.field(default=0, validator=_not_negative)
    """Every nth order is accepted, and its connection cut instead of an answer."""
    events_first: bool = False
    """User-data events of an order go out before its answer."""
    coarser: int = attrs.field(default=0, validator=_not_negative)
    """Factor on tick and step size of all orders."""
    market_status: str = attrs.field(default="", validator=_market_status)
    """Status of every symbol instead of TRADING; orders are refused, cancels accepted."""
    clock_skew_ms: int = 0
    """Added to the server's time."""
    refuse: int = attrs.field(default=0, validator=_status)
    """HTTP status with which every request is refused."""
    refuse_for: float = attrs.field(default=60.0, validator=_not_negative)
    """Seconds after which a refused client may retry."""

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, base: "Faults | None" = None) -> "Faults":
        """From plain values, such as a TOML table or JSON; others stay as in `base`.

        Raises:
            UsageError: names the fault that is unknown or out of bounds.
        """
        start = base if base is not None else cls()
        for name, value in values.items():
            if name not in _NAMES:
                near = get_close_matches(name, _NAMES, 1)
                hint = f", did you mean {near[0]}?" if near else f": {', '.join(_NAMES)}"
                raise UsageError(f"faults: {name!r} is not one{hint}")
            usual = getattr(_USUAL, name)
            accepted = (int, float) if type(usual) is float else (type(usual),)
            if type(value) not in accepted:
                expected = type(usual).__name__
                raise UsageError(f"faults: {name}: expected {expected}, got {value!r}")
        return attrs.evolve(start, **values)


_USUAL = Faults()
_NAMES = [field.name for field in attrs.fields(Faults)]


@attrs.define(eq=False)
class FaultPlan:
    """The present faults and the counts behind every nth."""

    now: Faults = attrs.field(factory=Faults)
    on_replaced: Callable[[], None] | None = None
    """Called after the faults have changed."""
    _events: dict[str, int] = attrs.field(factory=dict, init=False)
    """Events so far, by stream name."""
    _orders: int = attrs.field(default=0, init=False)

    def replace(self, faults: Faults) -> None:
        """Apply other faults from now on; counts restart."""
        self.now = faults
        self._events.clear()
        self._orders = 0
        if self.on_replaced is not None:
            self.on_replaced()

    def on_event(self, event: TapeEvent) -> list[TapeEvent]:
        """The events to send instead of an event of the tape."""
        now = self.now
        if event.stream == now.stall:
            return []
        if not (now.gap_every or now.duplicate_every or now.garbage_every):
            return [event]
        count = self._events[event.stream] = self._events.get(event.stream, 0) + 1
        if _is_due(count, now.gap_every):
            return []
        sent = [event, event] if _is_due(count, now.duplicate_every) else [event]
        if _is_due(count, now.garbage_every):
            sent.insert(0, TapeEvent(event.time_ns, event.stream, b'{"e":"tra'))
        return sent

    def on_order(self) -> str:
        """The fault of the next order: empty, `timeout`, `late` or `lost_reply`."""
        self._orders += 1
        for name in ("timeout", "late", "lost_reply"):
            if _is_due(self._orders, getattr(self.now, f"{name}_every")):
                return name
        return ""

    def rules(self, market: SimulatedMarket) -> SimulatedMarket:
        """The market with the tick and step size that orders must keep now."""
        times = self.now.coarser or 1
        return attrs.evolve(market, tick=market.tick * times, step=market.step * times)

    def refusal(self, wall_ms: int) -> ApiError | None:
        """The error with which every request is refused, if that is demanded."""
        status = self.now.refuse
        if not status:
            return None
        until_ms = wall_ms + int(self.now.refuse_for * 1000)
        if status == 418:
            return errors.banned(until_ms)
        if status == 429:
            return errors.too_much_weight(WEIGHT.limit, until_ms)
        if status == 504:
            return errors.unknown_outcome()
        code = _REFUSALS[status]
        assert code is not None
        return ApiError(
            code, "An unknown error occurred while processing the request.", status=status
        )


def _is_due(count: int, every: int) -> bool:
    return bool(every) and count % every == 0
