"""Makes what tests trade with: events, orders and fills, each valid as it is.

A test names only what it is about. Amounts may be written as text. Market events of a series, with
dates of their own, are in `levitrio.testing`, which users have as well.
"""

from decimal import Decimal
from typing import Any

from levitrio.trading.market import Bar, Quote, Trade
from levitrio.trading.orders import Fill, Order, OrderType, Side

SYMBOL = "BTCUSDT"
MINUTE_MS = 60_000

Amount = Decimal | str | int | float


def decimal(amount: Amount) -> Decimal:
    """The exact value of what a test wrote."""
    return amount if isinstance(amount, Decimal) else Decimal(str(amount))


def make_trade(
    trade_id: int = 1,
    price: Amount = "100",
    quantity: Amount = "1",
    *,
    time_ms: int | None = None,
    symbol: str = SYMBOL,
    is_sale: bool = False,
) -> Trade:
    """A trade; without a time it happened `trade_id` ms after 1970."""
    time = trade_id if time_ms is None else time_ms
    return Trade.of(symbol, price, quantity, time=time, trade_id=trade_id, buyer_is_maker=is_sale)


def make_quote(
    update_id: int = 0, bid: Amount = "99", ask: Amount = "101", *, symbol: str = SYMBOL
) -> Quote:
    """A touch with one coin on each side."""
    return Quote.of(symbol, bid, ask, update_id=update_id)


def make_bar(minute: int = 0, close: Amount = "100", *, symbol: str = SYMBOL, **more: Any) -> Bar:
    """The closed candle of one minute since 1970; `more` as in `Bar.of`."""
    return Bar.of(symbol, close, open_time=minute * MINUTE_MS, **more)


def make_order(
    side: Side = Side.BUY,
    quantity: Amount = 1,
    *,
    client_id: str = "levi-0-1-0",
    symbol: str = SYMBOL,
    type: OrderType | None = None,  # noqa: A002  the field's name
    price: Amount | None = None,
    is_exit: bool = False,
) -> Order:
    """An order: LIMIT when it has a price, else MARKET."""
    return Order(
        client_id=client_id,
        symbol=symbol,
        side=side,
        type=type or (OrderType.MARKET if price is None else OrderType.LIMIT),
        quantity=decimal(quantity),
        price=None if price is None else decimal(price),
        is_exit=is_exit,
    )


def make_fill(
    side: Side | str = Side.BUY,
    quantity: Amount = 1,
    price: Amount = 100,
    *,
    fee: Amount = 0,
    fee_asset: str = "USDT",
    client_id: str = "levi-0-1-0",
    symbol: str = SYMBOL,
    time_ms: int = 0,
    venue: str = "paper",
    trade_id: int | None = None,
) -> Fill:
    """A fill of the paper broker, or with `venue` and `trade_id` one of a venue."""
    return Fill(
        client_id=client_id,
        symbol=symbol,
        side=Side(side),
        price=decimal(price),
        quantity=decimal(quantity),
        fee=decimal(fee),
        fee_asset=fee_asset,
        time_ms=time_ms,
        venue=venue,
        trade_id=trade_id,
    )
