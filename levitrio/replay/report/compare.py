"""Replay beside a fleet that ran: what latency changed in the fills. Pure.

Both saw the same tape and, where the strategy does not look at its fills, gave the same signals.
But an order of the running fleet met the quotes of a moment later. Fills are matched by symbol
and side, in order, when their market times lie close together.
"""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import attrs

from levitrio.trading.amounts import format_amount
from levitrio.trading.orders import Fill

WITHIN_MS = 5_000
"""Market time between a fill here and the same order's there; more is another order."""

_BP = 10_000


@attrs.frozen
class Pair:
    """The same order in both."""

    here: Fill
    there: Fill

    @property
    def delay_ms(self) -> int:
        """How much later it was filled there, in market time."""
        return self.there.time_ms - self.here.time_ms

    @property
    def price_difference(self) -> Decimal:
        """How much worse the price was there, as a fraction; below 0 it was better."""
        return (self.there.price / self.here.price - 1) * self.here.side.sign

    @property
    def cost(self) -> Decimal:
        """What the difference cost there, in the quote asset."""
        return self.price_difference * self.here.price * self.there.quantity


def match(here: Iterable[Fill], there: Iterable[Fill]) -> list[Pair]:
    """Pairs in the order of `here`; each fill is in one at most."""
    waiting: dict[tuple[str, str], list[Fill]] = defaultdict(list)
    for fill in there:
        waiting[fill.symbol, fill.side].append(fill)
    pairs = []
    for fill in here:
        candidates = waiting[fill.symbol, fill.side]
        while candidates and candidates[0].time_ms < fill.time_ms - WITHIN_MS:
            candidates.pop(0)
        if candidates and candidates[0].time_ms <= fill.time_ms + WITHIN_MS:
            pairs.append(Pair(fill, candidates.pop(0)))
    return pairs


def comparison(here: Sequence[Fill], there: Sequence[Fill], *, journal: str) -> dict[str, Any]:
    """The `comparison` of a report, plain data. `journal` names where `there` is from."""
    pairs = match(here, there)
    prices = [float(pair.price_difference * _BP) for pair in pairs]
    delays = [pair.delay_ms / 1000 for pair in pairs]
    return {
        "journal": journal,
        "matched": len(pairs),
        "only_here": len(here) - len(pairs),
        "only_there": len(there) - len(pairs),
        "price_difference_bp": _spread(prices),
        "delay_seconds": _spread(delays),
        "cost": format_amount(sum((pair.cost for pair in pairs), Decimal(0))),
    }


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    if not values:
        return {"mean": None, "median": None, "worst": None}
    return {
        "mean": round(statistics.fmean(values), 6),
        "median": round(statistics.median(values), 6),
        "worst": round(max(values), 6),
    }
