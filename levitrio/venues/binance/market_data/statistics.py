"""Frozen views of the feed's state and of each symbol's input."""

from collections.abc import Mapping

import attrs

from levitrio.trading.staleness import Silence
from levitrio.venues.base import FeedStatistics


@attrs.frozen(kw_only=True)
class BinanceFeedStatistics(FeedStatistics):
    """What the feed did so far, with what it found missing."""

    renewals: int
    """Connections replaced while they worked."""
    gaps: int
    """Places where trade ids jumped."""
    missing_trades: int
    """Ids that were jumped over."""
    missing_bars: int
    """Closed bars that did not come by themselves."""
    late_trades: int
    """Of the missing, those fetched and delivered in order."""
    lost_trades: int
    """Of the missing, those never delivered."""
    stale: int
    """Symbols whose data is stale now."""
    suspended: int
    """Symbols whose input is not believed now."""


@attrs.frozen(kw_only=True)
class InputState:
    """What became of one symbol's input so far, and whether it can be trusted now."""

    silence: Silence | None
    """Of its most overdue stream; None while none has spoken, or none is expected to."""
    is_stale: bool
    """The alarm is on."""
    is_suspended: bool
    """Too much was absurd: nothing is delivered for now."""
    dropped: Mapping[str, int]
    """What went no further, by reason."""
    late_trades: int
    """Missed at first, then fetched and delivered in order."""
    lost_trades: int
    """Missed, and never delivered."""
