"""Trades of many recorded lines, decoded and checked in one go: half the cost of one by one.

The checks are those of the live feed. Where a trade of the block does not pass them, or a line is
not written as the venue writes it, each line is read by the feed's own decoder, which says which.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from operator import attrgetter

import attrs
import msgspec

from levitrio.trading.market import Trade
from levitrio.venues.binance.market_data.decoder import FrameDecoder
from levitrio.venues.binance.market_data.validation import AMOUNT, EARLIEST_MS, LARGEST_ID
from levitrio.venues.recordings.frames import FRAME_AT

_decode_lines = msgspec.json.Decoder(Trade).decode_lines

_SYMBOL, _PRICE, _QUANTITY, _TIME_MS, _ID = map(
    attrgetter, ("symbol", "raw_price", "raw_quantity", "time_ms", "trade_id")
)

_ALL_AMOUNTS = re.compile(rf"(?:(?>{AMOUNT.pattern})\n)++")
"""Never goes back over what it has read; with the look ahead of `POSITIVE` it takes thrice as
long."""


@attrs.define(eq=False)
class TradeBlocks:
    """Decodes the trades of a block of lines."""

    decoder: FrameDecoder
    """Has the streams of all symbols."""

    def __call__(
        self, payloads: Sequence[str], symbols: Sequence[str], lines: Callable[[], Sequence[str]]
    ) -> Iterator[Trade | None]:
        """The trades in order, None for one to refuse.

        Of each line comes what is its payload if it is a usual one, and its stream's symbol;
        `lines` is asked for the whole of them where they are not.
        """
        if not payloads:
            return iter(())
        try:
            trades = _decode_lines("\n".join(payloads))
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            trades = []
        if list(map(_SYMBOL, trades)) == symbols and self._are_sound(trades):
            return iter(trades)
        return map(self._careful, lines())

    def _careful(self, line: str) -> Trade | None:
        trade = self.decoder.decode(line[FRAME_AT:].rstrip())
        return trade if type(trade) is Trade else None

    def _are_sound(self, trades: Sequence[Trade]) -> bool:
        """Amounts, times and ids of all at once."""
        texts = [*map(_PRICE, trades), *map(_QUANTITY, trades), ""]
        amounts = "\n".join(texts)
        times, ids = list(map(_TIME_MS, trades)), list(map(_ID, trades))
        return bool(
            _ALL_AMOUNTS.fullmatch(amounts)
            and amounts.count("\n") == 2 * len(trades)
            and min(map(float, islice(texts, 2 * len(trades)))) > 0
            and min(times) > EARLIEST_MS
            and max(times) < self.decoder.latest_ms
            and min(ids) >= 0
            and max(ids) <= LARGEST_ID
        )
