"""The local order book of one symbol: a snapshot and the updates since. Pure.

The rules, those of the venue:

1. Updates are kept until a snapshot arrives, which must not be older than the first of them.
2. Updates that end at or before the snapshot's id are dropped.
3. The first one applied must overlap the snapshot: `first_id <= last_id + 1 <= final_id`.
4. From then on each begins at the last id plus one. One that begins later proves a loss: the
   order book is invalid until the next snapshot.
5. An update carries absolute quantities; zero removes the level. Levels beyond the snapshot's
   depth are unknown until an update names them.
6. An order book whose best bid reaches its best ask is invalid.
7. An id below the last one is a repetition, unless its event time is a minute later: then the
   venue's ids have restarted.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum

import attrs
import msgspec

MAX_WAITING = 3_000
"""Updates kept for a snapshot, five minutes at ten a second; beyond that the oldest is dropped."""

MAX_LEVELS = 20_000
"""Levels per side. The venue's snapshot has at most 5,000; only faulty input grows beyond this."""

RESTART_MARGIN_MS = 60_000
"""A repeated update keeps its first event time; a low id this much later means restarted ids."""

Level = tuple[str, str]
"""Price and quantity, as text."""


class DepthUpdate(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Changed levels. The JSON names of the fields are those of the venue's diff stream."""

    symbol: str = msgspec.field(name="s")
    first_id: int = msgspec.field(name="U")
    final_id: int = msgspec.field(name="u")
    time_ms: int = msgspec.field(name="E")
    bids: list[Level] = msgspec.field(name="b")
    asks: list[Level] = msgspec.field(name="a")


class DepthSnapshot(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A whole order book at one moment, best levels first, with the venue's JSON names."""

    last_id: int = msgspec.field(name="lastUpdateId")
    bids: list[Level]
    asks: list[Level]


class OrderBookState(Enum):
    """Whether an order book can be used."""

    WAITING = "waiting"
    """Waits for a snapshot that overlaps the updates."""
    LIVE = "live"


class OrderBookFault(Enum):
    """Why an order book was discarded."""

    GAP = "gap"
    CROSSED = "crossed"
    TOO_LARGE = "too_large"
    RESTARTED = "ids restarted"


class _Side:
    """Prices of one side in ascending order, with their quantities."""

    def __init__(self) -> None:
        self._quantities: dict[Decimal, str] = {}
        self._prices: list[Decimal] = []

    def __len__(self) -> int:
        return len(self._prices)

    def set(self, raw_price: str, raw_quantity: str) -> None:
        price = Decimal(raw_price)
        if raw_quantity.strip("0.") == "":
            if self._quantities.pop(price, None) is not None:
                del self._prices[bisect_left(self._prices, price)]
            return
        if price not in self._quantities:
            insort(self._prices, price)
        self._quantities[price] = raw_quantity

    def best(self, index: int) -> tuple[Decimal, Decimal] | None:
        """The lowest (0) or highest (-1) level; None when there is none."""
        if not self._prices:
            return None
        price = self._prices[index]
        return price, Decimal(self._quantities[price])

    def levels(self, *, highest_first: bool, limit: int) -> list[tuple[Decimal, Decimal]]:
        prices = self._prices[: -limit - 1 : -1] if highest_first else self._prices[:limit]
        return [(price, Decimal(self._quantities[price])) for price in prices]


@attrs.define(eq=False)
class OrderBook:
    """One symbol's order book, kept by the rules above. It starts `WAITING`."""

    symbol: str
    state: OrderBookState = attrs.field(default=OrderBookState.WAITING, init=False)
    last_id: int = attrs.field(default=-1, init=False)
    """Final id of the last update or snapshot applied; -1 while waiting."""
    _time_ms: int = attrs.field(default=0, init=False)
    """Event time of the last update applied or kept, or of the first one seen."""
    _bids: _Side = attrs.field(factory=_Side, init=False)
    _asks: _Side = attrs.field(factory=_Side, init=False)
    _waiting: list[DepthUpdate] = attrs.field(factory=list, init=False)

    @property
    def is_live(self) -> bool:
        """Whether a snapshot is loaded and no update was lost since."""
        return self.state is OrderBookState.LIVE

    def bids(self, limit: int = 20) -> list[tuple[Decimal, Decimal]]:
        """Price and quantity of the best `limit` bids, best first."""
        return self._bids.levels(highest_first=True, limit=limit)

    def asks(self, limit: int = 20) -> list[tuple[Decimal, Decimal]]:
        """Price and quantity of the best `limit` asks, best first."""
        return self._asks.levels(highest_first=False, limit=limit)

    def update(self, update: DepthUpdate) -> OrderBookFault | None:
        """Apply an update, or keep it for the snapshot.

        Returns:
            A fault when a new snapshot is needed, else None.
        """
        if self.state is OrderBookState.WAITING:
            self._waiting.append(update)
            if len(self._waiting) > MAX_WAITING:
                del self._waiting[0]
            return None
        self._time_ms = self._time_ms or update.time_ms
        if update.final_id <= self.last_id:
            if update.time_ms <= self._time_ms + RESTART_MARGIN_MS:
                return None
            self._discard([update])
            return OrderBookFault.RESTARTED
        if update.first_id > self.last_id + 1:
            self._discard([update])
            return OrderBookFault.GAP
        return self._apply(update)

    def load(self, snapshot: DepthSnapshot) -> bool:
        """Start from a snapshot and the updates kept for it.

        Without such updates any snapshot is taken: the next update decides whether it fits.

        Returns:
            False when the snapshot is too old or faulty: fetch another.
        """
        waiting = self._waiting
        if waiting and snapshot.last_id + 1 < waiting[0].first_id:
            return False
        self._bids, self._asks = _Side(), _Side()
        _set_levels(self._bids, snapshot.bids)
        _set_levels(self._asks, snapshot.asks)
        self.last_id = snapshot.last_id
        self.state = OrderBookState.LIVE
        self._waiting = []
        self._time_ms = waiting[-1].time_ms if waiting else 0
        if self._check() is not None:
            return False
        newer = (update for update in waiting if update.final_id > snapshot.last_id)
        return all(self.update(update) is None for update in newer)

    def restart(self) -> None:
        """Discard the order book, because an update may have been missed."""
        self._discard([])

    def _apply(self, update: DepthUpdate) -> OrderBookFault | None:
        _set_levels(self._bids, update.bids)
        _set_levels(self._asks, update.asks)
        self.last_id, self._time_ms = update.final_id, update.time_ms
        return self._check()

    def _check(self) -> OrderBookFault | None:
        """Discard an order book that is crossed or too large."""
        bid, ask = self._bids.best(-1), self._asks.best(0)
        if bid is not None and ask is not None and bid[0] >= ask[0]:
            fault = OrderBookFault.CROSSED
        elif len(self._bids) > MAX_LEVELS or len(self._asks) > MAX_LEVELS:
            fault = OrderBookFault.TOO_LARGE
        else:
            return None
        self._discard([])
        return fault

    def _discard(self, waiting: list[DepthUpdate]) -> None:
        self.state = OrderBookState.WAITING
        self.last_id = -1
        self._bids, self._asks = _Side(), _Side()
        self._waiting = waiting


def _set_levels(side: _Side, levels: Iterable[Level]) -> None:
    for price, quantity in levels:
        side.set(price, quantity)
