"""What a frame of the market streams can say, besides market events. Values, nothing else."""

import attrs

from levitrio.trading.market import MarketEvent
from levitrio.trading.order_book import DepthUpdate
from levitrio.venues.binance.market_data.validation import RejectReason


@attrs.frozen(kw_only=True)
class InvalidFrame:
    """Input that goes no further."""

    reason: RejectReason
    symbol: str | None = None
    """The symbol of the stream it came on, where that is known."""


@attrs.frozen(kw_only=True)
class OpenCandle:
    """Proof that a symbol's stream is alive, without news: an update of an open candle."""

    symbol: str
    interval: str
    open_time_ms: int
    """Of the candle: every earlier one is closed."""


@attrs.frozen(kw_only=True)
class Reply:
    """The answer to one of our control messages."""

    id: int | str | None
    result: object = None
    error: str | None = None
    """Code and text of the venue when it refused."""


@attrs.frozen(kw_only=True)
class ServerShutdown:
    """The venue announces that it will close this connection."""


Received = MarketEvent | DepthUpdate | OpenCandle | InvalidFrame
"""A message about a symbol, or about none."""

Decoded = Received | Reply | ServerShutdown
"""The last two concern the connection."""
