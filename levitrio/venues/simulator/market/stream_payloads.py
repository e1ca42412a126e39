"""The payloads of the venue's market streams, as JSON bytes. Pure.

Formatted as text, not by an encoder: the shapes are fixed, and prices are text already.
"""

from decimal import Decimal

from levitrio.trading.candles import Candle
from levitrio.trading.market import Quote, Trade

_EIGHT = Decimal("0.00000001")


def fixed(value: Decimal) -> str:
    """A price or quantity with eight decimals, as the venue writes it."""
    return format(value.quantize(_EIGHT), "f")


def trade_payload(trade: Trade) -> bytes:
    """`<symbol>@trade`; the event time is the trade's time."""
    return (
        f'{{"e":"trade","E":{trade.time_ms},"s":"{trade.symbol}","t":{trade.trade_id},'
        f'"p":"{trade.raw_price}","q":"{trade.raw_quantity}","T":{trade.time_ms},'
        f'"m":{_bool(trade.buyer_is_maker)},"M":true}}'
    ).encode()


def agg_trade_payload(trade: Trade) -> bytes:
    """`<symbol>@aggTrade`: each trade is its own aggregate, with the trade's id."""
    trade_id = trade.trade_id
    return (
        f'{{"e":"aggTrade","E":{trade.time_ms},"s":"{trade.symbol}","a":{trade_id},'
        f'"p":"{trade.raw_price}","q":"{trade.raw_quantity}","f":{trade_id},"l":{trade_id},'
        f'"T":{trade.time_ms},"m":{_bool(trade.buyer_is_maker)},"M":true}}'
    ).encode()


def quote_payload(quote: Quote) -> bytes:
    """`<symbol>@bookTicker`."""
    return (
        f'{{"u":{quote.update_id},"s":"{quote.symbol}","b":"{quote.raw_bid}",'
        f'"B":"{quote.raw_bid_quantity}","a":"{quote.raw_ask}","A":"{quote.raw_ask_quantity}"}}'
    ).encode()


def kline_payload(candle: Candle, *, event_ms: int, is_closed: bool) -> bytes:
    """`<symbol>@kline_<interval>`."""
    return (
        f'{{"e":"kline","E":{event_ms},"s":"{candle.symbol}","k":{{"t":{candle.open_time_ms},'
        f'"T":{candle.close_time_ms},"s":"{candle.symbol}","i":"{candle.interval}",'
        f'"f":{candle.first_trade_id},"L":{candle.last_trade_id},"o":"{fixed(candle.open)}",'
        f'"c":"{fixed(candle.close)}","h":"{fixed(candle.high)}","l":"{fixed(candle.low)}",'
        f'"v":"{fixed(candle.volume)}","n":{candle.trades},"x":{_bool(is_closed)},'
        f'"q":"{fixed(candle.quote_volume)}","V":"{fixed(candle.taker_volume)}",'
        f'"Q":"{fixed(candle.taker_quote_volume)}","B":"0"}}}}'
    ).encode()


def _bool(value: bool) -> str:
    return "true" if value else "false"
