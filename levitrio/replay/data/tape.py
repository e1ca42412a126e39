"""Tapes: market events in the order in which a replay plays them.

Two kinds: `RecordingTape` for what the venue's streams sent, `CandleTape` for files of candles.

Quotes are the most frequent event by far, and most are replaced before anybody looks. So a tape
keeps the newest of each symbol unread, and parses it only when its price is needed: `mark`.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Protocol

from levitrio.trading.market import MarketEvent, Quote
from levitrio.trading.market_view import MarketView

SPREAD = Decimal("0.0002")
"""Of the price, between bid and ask, where a tape has no quotes: as of a liquid pair."""


class Tape(Protocol):
    """A sequence of events of the fleet's symbols."""

    quoted: set[str]
    """Symbols of which every quote is an event; of the others none is, see `mark`."""
    eager: bool
    """Every quote of every symbol is an event: orders wait for the moment they arrive."""

    def __iter__(self) -> Iterator[MarketEvent]:
        """Once. Raises UsageError when a file cannot be read at all."""

    def now_ns(self) -> int:
        """When the newest event arrived, in ns since 1970. May run backwards."""

    def mark(self, views: Mapping[str, MarketView], symbols: Iterable[str]) -> None:
        """Write the newest quotes of these symbols into the views."""

    def fraction(self) -> float:
        """How much of the tape was read, from 0 to 1."""

    def notes(self) -> list[str]:
        """Remarks on the data for the reader of the report, one line each."""


def quote_around(symbol: str, price: Decimal, spread: Decimal) -> Quote:
    """A made-up quote: half the spread (a fraction of the price) below and above it."""
    half = price * spread / 2
    return Quote(
        symbol=symbol,
        update_id=0,
        raw_bid=format(price - half, "f"),
        raw_bid_quantity="1",
        raw_ask=format(price + half, "f"),
        raw_ask_quantity="1",
    )
