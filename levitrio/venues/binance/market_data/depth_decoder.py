"""Frames of the diff depth streams, to updates that may be applied to a book. Pure."""

import msgspec

from levitrio.trading.order_book import DepthUpdate
from levitrio.venues.binance.market_data.validation import (
    AMOUNT,
    EARLIEST_MS,
    LARGEST_ID,
    POSITIVE,
    RejectReason,
)

STREAMS = ("depth", "depth@100ms")
"""Every second, and every 100 ms."""

MAX_LEVELS = 10_000
"""On both sides of one update: the venue's whole book is 5,000 a side."""


class _DepthFrame(msgspec.Struct, gc=False):
    stream: str
    data: DepthUpdate


decode_depth = msgspec.json.Decoder(_DepthFrame).decode
"""A frame to its stream's name and its update."""


def check_depth(update: DepthUpdate, symbol: str, latest_ms: int) -> RejectReason | None:
    """Why an update of a symbol's stream is refused; None when it is sound.

    A quantity of zero is: it removes the level.
    """
    if update.symbol != symbol:
        return RejectReason.WRONG_SYMBOL
    if not 0 <= update.first_id <= update.final_id <= LARGEST_ID:
        return RejectReason.SEQUENCE
    if not EARLIEST_MS < update.time_ms < latest_ms:
        return RejectReason.TIME
    if len(update.bids) + len(update.asks) > MAX_LEVELS:
        return RejectReason.OVERSIZED
    for price, quantity in (*update.bids, *update.asks):
        if not POSITIVE.fullmatch(price):
            return RejectReason.PRICE
        if not AMOUNT.fullmatch(quantity):
            return RejectReason.QUANTITY
    return None
