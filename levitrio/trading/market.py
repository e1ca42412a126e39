"""Market events: trades, quotes and bars. Immutable, in the venue's order.

The JSON names of the fields are those of the Binance market streams, so that a frame is decoded
straight into the value a strategy receives, without a copy on the hot path. Prices and quantities
stay text until they are read: most quotes are superseded unread, and a Decimal from text is exact.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import ClassVar, Self

import msgspec

SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,31}\Z")


def normalize_symbol(text: str) -> str:
    """Turn `BTC/USDT`, `BTC-USDT` or `btcusdt` into `BTCUSDT`.

    Raises:
        ValueError: The text cannot be a symbol, or is not safe as a file name.
    """
    symbol = text.replace("/", "").replace("-", "").upper()
    if not SYMBOL.match(symbol) or not text.isascii() or ".." in symbol:
        raise ValueError(f"expected a symbol such as BTCUSDT or BTC/USDT, got {text[:64]!r}")
    return symbol


def utc(time_ms: int) -> datetime:
    """Milliseconds since 1970 as an aware UTC datetime."""
    return datetime.fromtimestamp(time_ms / 1000, UTC)


def to_ms(time: datetime | int) -> int:
    """An aware datetime, or milliseconds since 1970, as milliseconds."""
    return time if isinstance(time, int) else round(time.timestamp() * 1000)


class Trade(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One trade on the venue."""

    kind: ClassVar[str] = "trade"

    symbol: str = msgspec.field(name="s")
    trade_id: int = msgspec.field(name="t")
    raw_price: str = msgspec.field(name="p")
    raw_quantity: str = msgspec.field(name="q")
    time_ms: int = msgspec.field(name="T")
    buyer_is_maker: bool = msgspec.field(name="m")
    """True when the taker sold."""
    is_late: bool = msgspec.field(name="is_late", default=False)
    """True when it was missed on the stream and fetched from the venue's history later."""

    @classmethod
    def of(
        cls,
        symbol: str,
        price: Decimal | str | float,
        quantity: Decimal | str | float = "1",
        *,
        time: datetime | int,
        trade_id: int,
        buyer_is_maker: bool = False,
    ) -> Self:
        """Make a trade from plain values.

        Args:
            symbol: The venue's symbol.
            price: In the quote asset.
            quantity: In the base asset.
            time: An aware datetime, or ms since 1970.
            trade_id: The venue's, ascending by one for each trade of the symbol.
            buyer_is_maker: True when the taker sold.
        """
        return cls(
            symbol=symbol,
            trade_id=trade_id,
            raw_price=str(price),
            raw_quantity=str(quantity),
            time_ms=to_ms(time),
            buyer_is_maker=buyer_is_maker,
        )

    @property
    def price(self) -> Decimal:
        """In the quote asset."""
        return Decimal(self.raw_price)

    @property
    def quantity(self) -> Decimal:
        """In the base asset."""
        return Decimal(self.raw_quantity)

    @property
    def time(self) -> datetime:
        """The venue's trade time, UTC."""
        return utc(self.time_ms)


class Quote(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The touch: best bid and best ask. The venue sends it without a time."""

    kind: ClassVar[str] = "quote"

    symbol: str = msgspec.field(name="s")
    update_id: int = msgspec.field(name="u")
    raw_bid: str = msgspec.field(name="b")
    raw_bid_quantity: str = msgspec.field(name="B")
    raw_ask: str = msgspec.field(name="a")
    raw_ask_quantity: str = msgspec.field(name="A")

    @classmethod
    def of(
        cls,
        symbol: str,
        bid: Decimal | str | float,
        ask: Decimal | str | float,
        *,
        bid_quantity: Decimal | str | float = "1",
        ask_quantity: Decimal | str | float = "1",
        update_id: int = 0,
    ) -> Self:
        """Make a quote from plain values.

        Args:
            symbol: The venue's symbol.
            bid: Best bid price, in the quote asset.
            ask: Best ask price, in the quote asset.
            bid_quantity: Quantity at the bid, in the base asset.
            ask_quantity: Quantity at the ask, in the base asset.
            update_id: The venue's id of the order book's update.
        """
        return cls(
            symbol=symbol,
            update_id=update_id,
            raw_bid=str(bid),
            raw_bid_quantity=str(bid_quantity),
            raw_ask=str(ask),
            raw_ask_quantity=str(ask_quantity),
        )

    @property
    def bid(self) -> Decimal:
        """Best price of a buyer, in the quote asset."""
        return Decimal(self.raw_bid)

    @property
    def bid_quantity(self) -> Decimal:
        """Quantity at the bid, in the base asset."""
        return Decimal(self.raw_bid_quantity)

    @property
    def ask(self) -> Decimal:
        """Best price of a seller, in the quote asset."""
        return Decimal(self.raw_ask)

    @property
    def ask_quantity(self) -> Decimal:
        """Quantity at the ask, in the base asset."""
        return Decimal(self.raw_ask_quantity)


class Bar(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A closed candle. The JSON names of the fields are those of a kline's `k` object."""

    kind: ClassVar[str] = "bar"

    symbol: str = msgspec.field(name="s")
    interval: str = msgspec.field(name="i")
    open_time_ms: int = msgspec.field(name="t")
    close_time_ms: int = msgspec.field(name="T")
    """The last millisecond that belongs to the bar."""
    raw_open: str = msgspec.field(name="o")
    raw_high: str = msgspec.field(name="h")
    raw_low: str = msgspec.field(name="l")
    raw_close: str = msgspec.field(name="c")
    raw_volume: str = msgspec.field(name="v")
    trades: int = msgspec.field(name="n")
    """Number of trades in the bar; 0 marks a filler of a quiet interval."""

    @classmethod
    def of(
        cls,
        symbol: str,
        close: Decimal | str | float,
        *,
        open_time: datetime | int,
        open: Decimal | str | float | None = None,  # noqa: A002  the word of the field
        high: Decimal | str | float | None = None,
        low: Decimal | str | float | None = None,
        volume: Decimal | str | float = "1",
        interval: str = "1m",
        interval_ms: int = 60_000,
        trades: int = 1,
    ) -> Self:
        """Make a bar from plain values; prices that are not given equal `close`.

        Args:
            symbol: The venue's symbol.
            close: Last price, in the quote asset.
            open_time: Start of the interval, an aware datetime or ms since 1970.
            open: First price.
            high: Highest price.
            low: Lowest price.
            volume: In the base asset.
            interval: The venue's name of the interval.
            interval_ms: Its length in milliseconds.
            trades: Number of trades; 0 for a filler.
        """
        start = to_ms(open_time)
        return cls(
            symbol=symbol,
            interval=interval,
            open_time_ms=start,
            close_time_ms=start + interval_ms - 1,
            raw_open=str(close if open is None else open),
            raw_high=str(close if high is None else high),
            raw_low=str(close if low is None else low),
            raw_close=str(close),
            raw_volume=str(volume),
            trades=trades,
        )

    @property
    def open_time(self) -> datetime:
        """Start of the interval, UTC."""
        return utc(self.open_time_ms)

    @property
    def open(self) -> Decimal:
        """First price, in the quote asset."""
        return Decimal(self.raw_open)

    @property
    def high(self) -> Decimal:
        """Highest price, in the quote asset."""
        return Decimal(self.raw_high)

    @property
    def low(self) -> Decimal:
        """Lowest price, in the quote asset."""
        return Decimal(self.raw_low)

    @property
    def close(self) -> Decimal:
        """Last price, in the quote asset."""
        return Decimal(self.raw_close)

    @property
    def volume(self) -> Decimal:
        """Traded in the interval, in the base asset."""
        return Decimal(self.raw_volume)


MarketEvent = Trade | Quote | Bar
