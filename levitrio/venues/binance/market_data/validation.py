"""Is what the venue says possible at all? Nothing absurd may reach a strategy.

Pure. A check answers with the reason of a refusal, or None. It looks at one event alone; what
needs the events before it (duplicates, gaps) is in `sequence`.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import msgspec

from levitrio.trading.market import Bar, utc


class RejectReason(StrEnum):
    """Why input was refused: the whole, closed set, the keys of `FeedStatistics.dropped`."""

    BINARY = "binary"
    """A binary frame; the streams speak text."""
    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    """No JSON, or not the fields and types its stream has."""
    UNKNOWN_STREAM = "unknown_stream"
    """From a stream without a subscription."""
    UNSUBSCRIBED = "unsubscribed"
    """Still on its way when its symbol was removed: no fault of the venue."""
    WRONG_SYMBOL = "wrong_symbol"
    """The payload names another symbol than its stream."""
    PRICE = "price"
    """Zero, negative, not finite, or not written as the venue writes prices."""
    QUANTITY = "quantity"
    CROSSED = "crossed"
    """Bid at or above ask."""
    CANDLE = "candle"
    """High, low, open and close contradict each other, or its times do not fit its interval."""
    TIME = "time"
    """Not in milliseconds of this age of the world, or too far ahead of the clock."""
    SEQUENCE = "sequence"
    """An id that cannot be one."""
    DUPLICATE = "duplicate"
    """Delivered before: usual right after a reconnect."""
    OUT_OF_ORDER = "out_of_order"
    """A quote older than the last one of the same connection."""
    PRICE_BAND = "price_band"
    """Absurdly far from the last good price, and not confirmed by the next ones."""
    SUSPENDED = "suspended"
    """Sound, but of a symbol whose input is not believed at the moment."""


AMOUNT = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?")
"""How the venue writes prices and quantities: ASCII digits and one dot, of a sane length. It
keeps out signs, exponents, hex, blanks, underscores, foreign digits, and every spelling of NaN."""

POSITIVE = re.compile(r"(?=[0-9.]*[1-9])" + AMOUNT.pattern)

_PLAIN_LENGTH = 22
"""Characters. No amount this short has more than 20 digits after its point."""
_NOT_PLAIN = ("e", "E", " ", "\t", "\n", "\r")
"""What JSON allows in numbers and between them, and `AMOUNT` does not."""
_numbers = msgspec.json.Decoder(list[Annotated[float, msgspec.Meta(gt=0, lt=1e20)]]).decode

EARLIEST_MS = 1_230_768_000_000
"""2009-01-01, older than any market we trade: seconds and 1970 fall below it."""
LATEST_MS = 4_102_444_800_000
"""2100-01-01: microseconds fall above it."""
LARGEST_ID = 2**63 - 1

_MINUTE = 60_000
_DAY = 24 * 60 * _MINUTE
_WEEK = 7 * _DAY
_FIRST_MONDAY = 4 * _DAY  # 1970-01-05; the venue's weeks open on Monday 00:00 UTC

INTERVALS: dict[str, int] = {
    "1s": 1_000,
    "1m": _MINUTE,
    "3m": 3 * _MINUTE,
    "5m": 5 * _MINUTE,
    "15m": 15 * _MINUTE,
    "30m": 30 * _MINUTE,
    "1h": 60 * _MINUTE,
    "2h": 120 * _MINUTE,
    "4h": 240 * _MINUTE,
    "6h": 360 * _MINUTE,
    "8h": 480 * _MINUTE,
    "12h": 720 * _MINUTE,
    "1d": _DAY,
    "3d": 3 * _DAY,
    "1w": _WEEK,
    "1M": 0,
}
"""Length in ms; 0 for the month, which has no fixed one. Case matters: 1m is not 1M."""


def positive_numbers(texts: Sequence[str]) -> list[float] | None:
    """The numbers of many amounts; None unless each is `POSITIVE` without any doubt.

    None proves nothing: leading zeros, for one, are sound, and no JSON. A list is proof. Read as
    one list of JSON an amount costs a fifth of what the expression takes to match it. JSON has no
    points or digits where `AMOUNT` has none, and a comma too many shows in the count.
    """
    joined = ",".join(texts)
    if max(map(len, texts), default=0) > _PLAIN_LENGTH:
        return None
    if any(odd in joined for odd in _NOT_PLAIN):
        return None
    try:
        numbers = _numbers(f"[{joined}]")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return numbers if len(numbers) == len(texts) else None


def is_crossed(bid: str, ask: str) -> bool:
    """Whether bid >= ask. Both are sound amounts."""
    # Rounding to float keeps the order, so "less" is proof; only a tie needs the exact numbers.
    return not float(bid) < float(ask) and Decimal(bid) >= Decimal(ask)


def check_bar(bar: Bar, interval: str, latest_ms: int) -> RejectReason | None:
    """Why a closed candle of a stream of `interval` is refused, None when it is sound."""
    for price in (bar.raw_open, bar.raw_high, bar.raw_low, bar.raw_close):
        if not POSITIVE.fullmatch(price):
            return RejectReason.PRICE
    if not AMOUNT.fullmatch(bar.raw_volume):
        return RejectReason.QUANTITY
    if not (EARLIEST_MS < bar.open_time_ms < latest_ms):
        return RejectReason.TIME
    if bar.interval != interval or bar.trades < 0 or not _times_fit(bar):
        return RejectReason.CANDLE
    if bar.high < max(bar.open, bar.close) or bar.low > min(bar.open, bar.close):
        return RejectReason.CANDLE
    return None


def _times_fit(bar: Bar) -> bool:
    """Whether the candle opens on its grid and closes one millisecond before the next opens."""
    length = INTERVALS[bar.interval]
    if not length:
        following = bar.close_time_ms + 1
        if not following < LATEST_MS or following % _DAY or bar.open_time_ms % _DAY:
            return False
        opened, ended = utc(bar.open_time_ms), utc(following)
        months = (ended.year - opened.year) * 12 + ended.month - opened.month
        return opened.day == 1 and ended.day == 1 and months == 1
    if bar.close_time_ms != bar.open_time_ms + length - 1:
        return False
    # The grid of three-day candles begins on a day of each symbol's own.
    grid = _DAY if bar.interval == "3d" else length
    return (bar.open_time_ms - (_FIRST_MONDAY if bar.interval == "1w" else 0)) % grid == 0
