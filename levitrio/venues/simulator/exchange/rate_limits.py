"""Counts request weight and orders against the venue's limits. Pure.

Windows are aligned to the clock: a minute starts at :00, ten seconds at :00 and :10, a day at 00:00
UTC. A client that goes on sending after 429 is banned with 418, each time for longer.
"""

from typing import Any

import attrs

from levitrio.venues.simulator.exchange import errors

MINUTE_MS = 60_000

_TOLERATED = 10
"""Requests after a 429 within one window before the ban."""

_FIRST_BAN_MS = 2 * MINUTE_MS
_LONGEST_BAN_MS = 3 * 24 * 60 * MINUTE_MS


@attrs.frozen(kw_only=True)
class RateLimit:
    """One of the venue's limits."""

    kind: str
    interval: str
    """`SECOND`, `MINUTE` or `DAY`."""
    number: int
    """Intervals in a window."""
    limit: int
    window_ms: int

    def describe(self) -> dict[str, Any]:
        """The limit as in exchangeInfo."""
        return {
            "rateLimitType": self.kind,
            "interval": self.interval,
            "intervalNum": self.number,
            "limit": self.limit,
        }


WEIGHT = RateLimit(
    kind="REQUEST_WEIGHT", interval="MINUTE", number=1, limit=6_000, window_ms=MINUTE_MS
)
ORDERS_10S = RateLimit(kind="ORDERS", interval="SECOND", number=10, limit=50, window_ms=10_000)
ORDERS_DAY = RateLimit(
    kind="ORDERS", interval="DAY", number=1, limit=160_000, window_ms=24 * 60 * MINUTE_MS
)
RAW = RateLimit(
    kind="RAW_REQUESTS", interval="MINUTE", number=5, limit=61_000, window_ms=5 * MINUTE_MS
)

RATE_LIMITS = (WEIGHT, ORDERS_10S, ORDERS_DAY, RAW)


@attrs.define(eq=False)
class Window:
    """Usage of one limit in the current window."""

    rule: RateLimit
    _used: int = attrs.field(default=0, init=False)
    _window: int = attrs.field(default=-1, init=False)

    def used(self, now_ms: int) -> int:
        """Usage in the window that `now_ms` belongs to."""
        window = now_ms // self.rule.window_ms
        if window != self._window:
            self._window, self._used = window, 0
        return self._used

    def add(self, amount: int, now_ms: int) -> int:
        """Use more, or give some back; never below 0. Returns the usage."""
        self._used = max(0, self.used(now_ms) + amount)
        return self._used

    def ends_ms(self, now_ms: int) -> int:
        """End of the window, ms since 1970."""
        return (now_ms // self.rule.window_ms + 1) * self.rule.window_ms

    def report(self, now_ms: int) -> dict[str, Any]:
        """Limit and usage as in each answer of the WS API."""
        return {**self.rule.describe(), "count": self.used(now_ms)}


@attrs.define(eq=False)
class WeightQuota:
    """Request weight of one address."""

    window: Window = attrs.field(factory=lambda: Window(WEIGHT))
    _refused: int = attrs.field(default=0, init=False)
    _bans: int = attrs.field(default=0, init=False)
    _banned_until_ms: int = attrs.field(default=0, init=False)

    def spend(self, weight: int, now_ms: int) -> None:
        """Count a request. Raises ApiError with 429 above the limit, 418 while banned."""
        if now_ms < self._banned_until_ms:
            raise errors.banned(self._banned_until_ms)
        if self.window.used(now_ms) == 0:
            self._refused = 0
        if self.window.add(weight, now_ms) <= self.window.rule.limit:
            return
        self._refused += 1
        if self._refused > _TOLERATED:
            self.ban(now_ms, min(_FIRST_BAN_MS * 2**self._bans, _LONGEST_BAN_MS))
            raise errors.banned(self._banned_until_ms)
        raise errors.too_much_weight(self.window.rule.limit, self.window.ends_ms(now_ms))

    def ban(self, now_ms: int, length_ms: int) -> None:
        """Refuse all requests for `length_ms`; each ban makes the next one longer."""
        self._bans = min(self._bans + 1, 12)
        self._refused = 0
        self._banned_until_ms = now_ms + length_ms


@attrs.define(eq=False)
class OrderQuota:
    """Counts orders of one account that have not filled.

    An accepted order counts one; its first fill gives back one as a taker, five as a maker.
    """

    windows: tuple[Window, Window] = attrs.field(
        factory=lambda: (Window(ORDERS_10S), Window(ORDERS_DAY))
    )

    def check(self, now_ms: int) -> None:
        """Raise ApiError when a window is full."""
        for window in self.windows:
            rule = window.rule
            if window.used(now_ms) >= rule.limit:
                label = f"{rule.number} {rule.interval}"
                raise errors.too_many_orders(rule.limit, label, window.ends_ms(now_ms))

    def add(self, amount: int, now_ms: int) -> None:
        """Count an accepted order, or give back for a fill with a negative amount."""
        for window in self.windows:
            window.add(amount, now_ms)
