"""When input that is well-formed is not believed, and when a whole symbol is not. Pure."""

from collections import deque

import attrs

BAND = 1.25
"""A price more than this factor from the last good one is no tick of a market. A shifted decimal
point is a factor of ten, the smallest absurdity of the catalogue one of 1.5; real single ticks
stay below, also in a crash."""

CONFIRMATIONS = 3
"""Prices in a row that agree with each other, from different messages, are a real jump: a market
that reopened, or that moved while we were away."""

REFUSALS = 10
WINDOW = 60.0
"""So many refusals within so many seconds suspend a symbol. A real jump costs about five."""

CALM = 5.0
"""Seconds without a refusal, after a new subscription, that end a suspension."""

AGAIN = 30.0
"""Seconds between two new subscriptions of a symbol that stays suspicious."""


@attrs.define(eq=False)
class OutlierFilter:
    """Judges one kind of price of one symbol by the last good one."""

    _raw: str = ""
    _low: float = 0.0
    _high: float = 0.0
    _strange: float = 0.0
    _strange_number: int = -1
    _agreeing: int = 0

    def accepts(self, raw: str, number: int) -> bool:
        """Whether a price may be believed. It is a sound amount.

        `number` is the message's own: a message repeated does not confirm itself.
        """
        if raw == self._raw:
            return True
        price = float(raw)
        if self._low < price < self._high or not self._raw or self._is_confirmed(price, number):
            self._raw = raw
            self._low, self._high = price / BAND, price * BAND
            self._agreeing = 0
            return True
        return False

    def contains(self, raw: str) -> bool:
        """Whether a price would be believed at once; anything is while none is known."""
        return not self._raw or self._low < float(raw) < self._high

    def _is_confirmed(self, price: float, number: int) -> bool:
        if number == self._strange_number:
            return False
        is_same = self._agreeing and self._strange / BAND < price < self._strange * BAND
        self._agreeing = self._agreeing + 1 if is_same else 1
        self._strange, self._strange_number = price, number
        return self._agreeing >= CONFIRMATIONS


@attrs.define(eq=False)
class Suspension:
    """Counts what was refused of one symbol. Times are monotonic, in seconds."""

    is_suspended: bool = False
    _refusals: deque[float] = attrs.field(factory=lambda: deque(maxlen=REFUSALS))
    _asked_again: float = 0.0

    def refuse(self, now: float) -> bool:
        """Something was refused; True when that suspends the symbol."""
        refusals = self._refusals
        refusals.append(now)
        if self.is_suspended or len(refusals) < REFUSALS or now - refusals[0] > WINDOW:
            return False
        self.is_suspended = True
        self._asked_again = now
        return True

    def resume(self, now: float) -> bool:
        """Whether the suspension ends now; called from time to time."""
        if not self.is_suspended or now - max(self._refusals[-1], self._asked_again) < CALM:
            return False
        self.is_suspended = False
        self._refusals.clear()
        return True

    def ask_again(self, now: float) -> bool:
        """Whether a suspended symbol should be subscribed anew; then counts it as done."""
        if not self.is_suspended or now - self._asked_again < AGAIN:
            return False
        self._asked_again = now
        return True
