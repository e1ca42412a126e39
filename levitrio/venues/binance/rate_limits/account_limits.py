"""The limits of one account at the venue: bans, request weight, order counts. Pure.

Queries wait for their turn. Orders never wait, because the price they were decided at does not
last: an order that may not be sent now is not sent. Entries leave a fifth of the venue's windows
to exits.
"""

import math

import attrs
import msgspec

from levitrio.venues.binance.rate_limits.request_weight import LONGEST_BAN, WeightLimiter

ENTRY_SHARE = 0.8

_UNITS_MS = {"SECOND": 1_000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000}


class RateLimitReport(msgspec.Struct, rename="camel", frozen=True):
    """One entry of `rateLimits` in an answer."""

    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int
    count: int = 0

    @property
    def window_ms(self) -> int:
        """Length of the window, which is aligned to the clock; 0 for an unknown unit."""
        return _UNITS_MS.get(self.interval, 0) * self.interval_num

    def __str__(self) -> str:
        return f"{self.limit} orders in {self.interval_num} {self.interval}"


@attrs.define(eq=False)
class _Window:
    limit: RateLimitReport
    used: int = 0
    number: int = -1

    def at(self, venue_ms: int) -> int:
        number = venue_ms // self.limit.window_ms
        if number != self.number:
            self.number, self.used = number, 0
        return self.used


def _usual() -> dict[int, _Window]:
    """Return the limits of the venue's documents, until the venue reports its own."""
    usual = (
        RateLimitReport("ORDERS", "SECOND", 10, 50),
        RateLimitReport("ORDERS", "DAY", 1, 160_000),
    )
    return {limit.window_ms: _Window(limit) for limit in usual}


@attrs.define(eq=False, kw_only=True)
class AccountLimits:
    """One account's limits. `now` is monotonic, in seconds, and `venue_ms` the venue's time."""

    address: WeightLimiter = attrs.field(factory=WeightLimiter)
    """Shared by all connections from this address. A ban holds for orders as well; the rest that
    it takes when the address has merely used much weight holds for queries alone."""
    _questions: WeightLimiter = attrs.field(factory=WeightLimiter, init=False)
    _windows: dict[int, _Window] = attrs.field(factory=_usual, init=False)
    _full_until_ms: int = attrs.field(default=0, init=False)

    def blocked_for(self, now: float) -> float:
        """Seconds of a ban that are left; 0 without one."""
        return self.address.banned_for(now)

    def reserve(self, now: float, weight: int) -> float:
        """Reserve a turn for a query; return the seconds until it may be sent."""
        wait = self._questions.reserve(now, weight)
        return max(wait, self.address.blocked_for(now))

    def refusal(self, now: float, venue_ms: int, *, is_exit: bool) -> str:
        """Return why no order may be sent now; empty when one may."""
        ban = self.blocked_for(now)
        if ban > 0:
            return f"the venue may not be asked for {ban:.0f} s"
        if venue_ms < self._full_until_ms:
            return "the venue takes no more orders in this window"
        share = 1.0 if is_exit else ENTRY_SHARE
        for window in self._windows.values():
            if window.at(venue_ms) >= window.limit.limit * share:
                whose = "" if is_exit else ", the rest is for exits"
                return f"{window.used} of {window.limit} are used up{whose}"
        return ""

    def sent(self, venue_ms: int) -> None:
        """Count an order that is about to be sent."""
        self._add(1, venue_ms)

    def settled(self, venue_ms: int) -> None:
        """Uncount an order that was refused, or filled as a taker: the venue does so too."""
        self._add(-1, venue_ms)

    def observe(self, now: float, venue_ms: int, limits: list[RateLimitReport]) -> None:
        """Learn from the counts that came with an answer."""
        for limit in limits:
            if limit.rate_limit_type == "REQUEST_WEIGHT" and limit.limit > 0:
                self._questions.observe(now, 200, used=str(limit.count))
            elif limit.rate_limit_type == "ORDERS" and limit.window_ms > 0:
                window = self._windows.setdefault(limit.window_ms, _Window(limit))
                window.at(venue_ms)
                window.limit, window.used = limit, limit.count

    def rest_after(self, now: float, status: int, seconds: float | None) -> None:
        """Rest after a 429 or 418; `seconds` as the venue asked, None when it gave none."""
        after = None if seconds is None else str(math.ceil(min(seconds, LONGEST_BAN)))
        self.address.observe(now, 418 if status == 418 else 429, retry_after=after)

    def orders_full(self, venue_ms: int, until_ms: int | None) -> None:
        """Send no orders until then; None: until the shortest window ends."""
        shortest = min(self._windows)
        ends_ms = (venue_ms // shortest + 1) * shortest
        latest_ms = venue_ms + int(LONGEST_BAN * 1000)
        self._full_until_ms = min(max(until_ms or 0, ends_ms), latest_ms)

    def _add(self, amount: int, venue_ms: int) -> None:
        for window in self._windows.values():
            window.used = max(0, window.at(venue_ms) + amount)
