"""Keeps connection attempts and control messages below the venue's limits, for the whole fleet."""

import attrs

CONNECT_INTERVAL = 1.25
"""Seconds between two attempts. The venue allows 300 in 5 minutes for an address; other programs
may share ours, so we stay at 240, and never try twice in a second."""

MESSAGE_RATE = 3.0
"""Control messages and pings of ours per second on one connection. The venue cuts above 5 in a
second and counts pongs too: this rate with a burst of one is at most 4, and a pong still fits."""

STREAMS_PER_CONNECTION = 1024
"""The venue's own bound."""


@attrs.define(eq=False)
class TokenBucket:
    """Hands out turns: at most `capacity` + `rate` x t of them in any t seconds.

    A turn is reserved at once, for now or for later, so callers are served in the order
    of their calls, and a thousand calls together are spread without a second call.
    """

    capacity: int = attrs.field(validator=attrs.validators.ge(1))
    """Turns that may be taken together after a rest."""
    rate: float = attrs.field(validator=attrs.validators.gt(0.0))
    """Turns per second."""
    _full_at: float = attrs.field(default=float("-inf"), init=False)
    """When the bucket will have been refilled completely."""

    def reserve(self, now: float) -> float:
        """Take the next turn; return the seconds from `now` until it may be used.

        `now` is monotonic, in seconds. A turn that is not used is lost, which errs on the safe
        side.
        """
        interval = 1.0 / self.rate
        full_at = max(now, self._full_at)
        self._full_at = full_at + interval
        return max(0.0, full_at - (self.capacity - 1) * interval - now)


def connect_bucket() -> TokenBucket:
    """Make the bucket from which all connections of a fleet take their attempts."""
    return TokenBucket(capacity=1, rate=1.0 / CONNECT_INTERVAL)


def message_bucket() -> TokenBucket:
    """Make the bucket of one connection's messages."""
    return TokenBucket(capacity=1, rate=MESSAGE_RATE)
