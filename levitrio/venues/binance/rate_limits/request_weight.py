"""Keeps our requests below the venue's request weight limit. Pure.

The venue allows an address a weight of 6,000 a minute. Market data takes at most half: orders
must never wait behind history.
"""

import attrs

BUDGET = 3_000
"""Weight in any minute: `CAPACITY` at once, the rest spread over it."""
CAPACITY = 1_000
_RATE = (BUDGET - CAPACITY) / 60.0

VENUE_LIMIT = 6_000
NEARLY_ALL = 0.8
"""Share of the venue's limit at which we rest, also when other programs used it."""

SHORTEST_BAN = 1.0
LONGEST_BAN = 900.0
"""Seconds. The longest wait that is accepted from a venue's answer."""

_UNREADABLE = {429: 60.0, 418: LONGEST_BAN}
"""Seconds, where the venue gives no readable Retry-After."""


@attrs.define(eq=False)
class WeightLimiter:
    """Shared by all who query one venue from this address. Times are monotonic, in seconds."""

    _full_at: float = float("-inf")
    _blocked_until: float = float("-inf")
    _banned_until: float = float("-inf")

    def reserve(self, now: float, weight: int) -> float:
        """Take `weight`; return the seconds from `now` until it may be used.

        Weight that is reserved and not used is lost, which errs on the safe side.
        """
        self._full_at = max(now, self._full_at) + weight / _RATE
        return max(self._full_at - CAPACITY / _RATE, self._blocked_until, now) - now

    def blocked_for(self, now: float) -> float:
        """Return the seconds until the venue may be queried again; 0 when it may."""
        return max(0.0, self._blocked_until - now)

    def banned_for(self, now: float) -> float:
        """Return the seconds left of a ban, which holds for orders too; 0 without one.

        A rest because this address has used much weight is no ban.
        """
        return max(0.0, self._banned_until - now)

    def observe(
        self, now: float, status: int, *, used: str | None = None, retry_after: str | None = None
    ) -> None:
        """Learn from an answer: its HTTP status, and the headers as they came."""
        if status in (429, 418):
            self._block(now, _seconds(retry_after, _UNREADABLE[status]))
            self._banned_until = self._blocked_until
        elif status == 403:
            # The firewall in front of the venue sends no Retry-After.
            self._block(now, _UNREADABLE[429])
        elif used is not None and _seconds(used, 0.0) >= NEARLY_ALL * VENUE_LIMIT:
            self._block(now, 60.0)

    def _block(self, now: float, seconds: float) -> None:
        ends = now + min(max(seconds, SHORTEST_BAN), LONGEST_BAN)
        self._blocked_until = max(self._blocked_until, ends)


def _seconds(text: str | None, otherwise: float) -> float:
    digits = (text or "").strip()
    if not digits.isascii() or not digits.lstrip("-").isdigit() or len(digits) > 20:
        return otherwise
    return float(int(digits))
