"""The local order book of one symbol: a snapshot, and the differences since. Pure.

The rules, those of the venue:

1. Updates are kept until a snapshot is there; it must not be older than the first of them.
2. Updates that end at or before the snapshot's id say nothing new and are dropped.
3. The first one applied must overlap the snapshot: `first_id <= last_id + 1 <= final_id`.
4. From then on each begins at the last id plus one. One that begins later proves a loss: the book
   is worth nothing until the next snapshot.
5. An update carries absolute quantities; zero removes the level. Levels beyond the snapshot's
   depth are unknown until an update names them.
6. A book whose best bid reaches its best ask is wrong, however it came about.
7. Ids that lie below the last one a minute later are no repetition: they began anew.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum

import attrs
import msgspec

MAX_WAITING = 3_000
"""Updates kept for a snapshot: five minutes at ten a second. More, and the oldest goes."""

MAX_LEVELS = 20_000
"""Per side. The venue's snapshot has at most 5,000; a book that only grows is an attack."""

RESTART_MARGIN_MS = 60_000
"""A repeated update carries the time it first had; a low id this much later begins a new count."""

Level = tuple[str, str]
"""Price and quantity, as text."""


class DepthUpdate(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What changed in a book. Names of JSON are those of the venue's diff stream."""

    symbol: str = msgspec.field(name="s")
    first_id: int = msgspec.field(name="U")
    final_id: int = msgspec.field(name="u")
    time_ms: int = msgspec.field(name="E")
    bids: list[Level] = msgspec.field(name="b")
    asks: list[Level] = msgspec.field(name="a")


class DepthSnapshot(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A whole book at one moment, best levels first. Names of JSON are those of the venue."""

    last_id: int = msgspec.field(name="lastUpdateId")
    bids: list[Level]
    asks: list[Level]


class OrderBookState(Enum):
    """How far a book can be trusted."""

    WAITING = "waiting"
    """For a snapshot that fits."""
    LIVE = "live"


class OrderBookFault(Enum):
    """Why a book was thrown away."""

    GAP = "gap"
    CROSSED = "crossed"
    TOO_LARGE = "too_large"
    RESTARTED = "ids began anew"


class _Side:
    """Prices of one side in order, with their quantities."""

    def __init__(self) -> None:
        self._quantities: dict[Decimal, str] = {}
        self._prices: list[Decimal] = []
        """Ascending."""

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
    """One symbol's book, kept by the rules above. It starts `WAITING`."""

    symbol: str
    state: OrderBookState = attrs.field(default=OrderBookState.WAITING, init=False)
    last_id: int = attrs.field(default=-1, init=False)
    """Of the last update or snapshot in the book; -1 while waiting."""
    resyncs: int = attrs.field(default=0, init=False)
    """How often it was thrown away."""
    _time_ms: int = attrs.field(default=0, init=False)
    """Of the last update that said something new, or waited, or else of the first."""
    _bids: _Side = attrs.field(factory=_Side, init=False)
    _asks: _Side = attrs.field(factory=_Side, init=False)
    _waiting: list[DepthUpdate] = attrs.field(factory=list, init=False)

    @property
    def is_live(self) -> bool:
        return self.state is OrderBookState.LIVE

    @property
    def best_bid(self) -> tuple[Decimal, Decimal] | None:
        """Price and quantity; None while waiting, or with an empty side."""
        return self._bids.best(-1)

    @property
    def best_ask(self) -> tuple[Decimal, Decimal] | None:
        """Price and quantity; None while waiting, or with an empty side."""
        return self._asks.best(0)

    def bids(self, limit: int = 20) -> list[tuple[Decimal, Decimal]]:
        """Price and quantity, the best first."""
        return self._bids.levels(highest_first=True, limit=limit)

    def asks(self, limit: int = 20) -> list[tuple[Decimal, Decimal]]:
        """Price and quantity, the best first."""
        return self._asks.levels(highest_first=False, limit=limit)

    def update(self, update: DepthUpdate) -> OrderBookFault | None:
        """Apply an update, or keep it for the snapshot. A fault means: fetch a snapshot."""
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
        """Start from a snapshot and what waited. False: it is too old, fetch another.

        Without anything waiting any snapshot will do: the next update decides whether it fits.
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
        news = (update for update in waiting if update.final_id > snapshot.last_id)
        return all(self.update(update) is None for update in news)

    def restart(self) -> None:
        """Throw the book away: whoever spoke may have missed something."""
        self._discard([])

    def _apply(self, update: DepthUpdate) -> OrderBookFault | None:
        _set_levels(self._bids, update.bids)
        _set_levels(self._asks, update.asks)
        self.last_id, self._time_ms = update.final_id, update.time_ms
        return self._check()

    def _check(self) -> OrderBookFault | None:
        """Throw away a book that cannot be one."""
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
        if self.state is OrderBookState.LIVE:
            self.resyncs += 1
        self.state = OrderBookState.WAITING
        self.last_id = -1
        self._bids, self._asks = _Side(), _Side()
        self._waiting = waiting


def _set_levels(side: _Side, levels: Iterable[Level]) -> None:
    for price, quantity in levels:
        side.set(price, quantity)
