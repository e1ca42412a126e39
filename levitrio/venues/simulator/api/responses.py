"""Formats the venue's answers: market data, orders, accounts. Pure."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from levitrio.trading.candles import Candle
from levitrio.trading.market import Quote, Trade
from levitrio.venues.simulator.exchange.accounts import AccountTrade, VenueAccount, VenueOrder
from levitrio.venues.simulator.exchange.order_request import ResponseKind
from levitrio.venues.simulator.exchange.user_data import filled, quote_filled
from levitrio.venues.simulator.market.stream_payloads import fixed

ZERO = Decimal(0)

Json = Any
"""A value that `json.dumps` accepts."""


def kline(candle: Candle) -> list[Json]:
    """One row of klines."""
    return [
        candle.open_time_ms,
        fixed(candle.open),
        fixed(candle.high),
        fixed(candle.low),
        fixed(candle.close),
        fixed(candle.volume),
        candle.close_time_ms,
        fixed(candle.quote_volume),
        candle.trades,
        fixed(candle.taker_volume),
        fixed(candle.taker_quote_volume),
        "0",
    ]


def trade(made: Trade) -> dict[str, Json]:
    """One row of trades and historicalTrades."""
    return {
        "id": made.trade_id,
        "price": made.raw_price,
        "qty": made.raw_quantity,
        "quoteQty": fixed(made.price * made.quantity),
        "time": made.time_ms,
        "isBuyerMaker": made.buyer_is_maker,
        "isBestMatch": True,
    }


def agg_trade(made: Trade) -> dict[str, Json]:
    """One row of aggTrades: each trade is its own aggregate, as on the stream."""
    return {
        "a": made.trade_id,
        "p": made.raw_price,
        "q": made.raw_quantity,
        "f": made.trade_id,
        "l": made.trade_id,
        "T": made.time_ms,
        "m": made.buyer_is_maker,
        "M": True,
    }


def book_ticker(quote: Quote) -> dict[str, Json]:
    """One row of ticker/bookTicker."""
    return {
        "symbol": quote.symbol,
        "bidPrice": quote.raw_bid,
        "bidQty": quote.raw_bid_quantity,
        "askPrice": quote.raw_ask,
        "askQty": quote.raw_ask_quantity,
    }


def window_ticker(total: Candle) -> dict[str, Json]:
    """One row of ticker: the time from the window's start up to now."""
    change = total.close - total.open
    return {
        "symbol": total.symbol,
        "priceChange": fixed(change),
        "priceChangePercent": f"{change / total.open * 100:.3f}",
        "weightedAvgPrice": fixed(total.quote_volume / total.volume),
        "openPrice": fixed(total.open),
        "highPrice": fixed(total.high),
        "lowPrice": fixed(total.low),
        "lastPrice": fixed(total.close),
        "volume": fixed(total.volume),
        "quoteVolume": fixed(total.quote_volume),
        "openTime": total.open_time_ms,
        "closeTime": total.close_time_ms,
        "firstId": total.first_trade_id,
        "lastId": total.last_trade_id,
        "count": total.trades,
    }


def day_ticker(total: Candle, quote: Quote, last: Trade) -> dict[str, Json]:
    """One row of ticker/24hr: the last 24 hours, not the calendar's day."""
    return {
        **window_ticker(total),
        # The close of the trade before the window is the open of the window, give or take a tick.
        "prevClosePrice": fixed(total.open),
        "lastQty": last.raw_quantity,
        "bidPrice": quote.raw_bid,
        "bidQty": quote.raw_bid_quantity,
        "askPrice": quote.raw_ask,
        "askQty": quote.raw_ask_quantity,
    }


_NOT_MINI = (
    "priceChange",
    "priceChangePercent",
    "weightedAvgPrice",
    "prevClosePrice",
    "lastQty",
    "bidPrice",
    "bidQty",
    "askPrice",
    "askQty",
)


def mini(ticker: dict[str, Json]) -> dict[str, Json]:
    """The row in the shape of `type=MINI`."""
    return {name: value for name, value in ticker.items() if name not in _NOT_MINI}


def placed(order: VenueOrder) -> dict[str, Json]:
    """The answer to a new order, in the length that `newOrderRespType` asks for."""
    request = order.request
    answer: dict[str, Json] = {
        "symbol": request.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "transactTime": order.update_ms,
    }
    if request.response is ResponseKind.ACK:
        return answer
    answer |= _state(order)
    answer["workingTime"] = order.working_ms
    if request.response is ResponseKind.FULL:
        answer["fills"] = [
            {
                "price": fixed(each.price),
                "qty": fixed(each.quantity),
                "commission": fixed(each.commission),
                "commissionAsset": each.commission_asset,
                "tradeId": each.trade_id,
            }
            for each in order.trades
        ]
    return answer


def queried(order: VenueOrder) -> dict[str, Json]:
    """One order in the answers of order, openOrders and allOrders."""
    request = order.request
    return {
        "symbol": request.symbol,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        **_state(order),
        "stopPrice": fixed(request.stop_price or ZERO),
        "icebergQty": fixed(request.iceberg_quantity or ZERO),
        "time": order.time_ms,
        "updateTime": order.update_ms,
        "isWorking": order.working_ms >= 0,
        "workingTime": order.working_ms,
        "expiryReason": order.expiry_reason,
    }


def cancelled(order: VenueOrder, cancel_id: str) -> dict[str, Json]:
    """The answer to a cancel: `clientOrderId` is the cancel's, `origClientOrderId` the order's."""
    answer = {
        "symbol": order.request.symbol,
        "origClientOrderId": order.client_id,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": cancel_id,
        "transactTime": order.update_ms,
        **_state(order),
    }
    if order.request.stop_price is not None:
        answer["stopPrice"] = fixed(order.request.stop_price)
    return answer


def _state(order: VenueOrder) -> dict[str, Json]:
    request = order.request
    state: dict[str, Json] = {
        "price": fixed(request.price or ZERO),
        "origQty": fixed(order.resting.quantity),
        "executedQty": fixed(filled(order)),
        "origQuoteOrderQty": fixed(request.quote_quantity or ZERO),
        "cummulativeQuoteQty": fixed(quote_filled(order)),
        "status": order.status.value,
        "timeInForce": request.time_in_force.value,
        "type": request.kind.value,
        "side": order.resting.side.value,
        "selfTradePreventionMode": "NONE",
    }
    if request.strategy_id is not None:
        state["strategyId"] = request.strategy_id
    if request.strategy_type is not None:
        state["strategyType"] = request.strategy_type
    return state


def my_trade(made: AccountTrade) -> dict[str, Json]:
    """One row of myTrades."""
    return {
        "symbol": made.symbol,
        "id": made.trade_id,
        "orderId": made.order_id,
        "orderListId": -1,
        "price": fixed(made.price),
        "qty": fixed(made.quantity),
        "quoteQty": fixed(made.amount),
        "commission": fixed(made.commission),
        "commissionAsset": made.commission_asset,
        "time": made.time_ms,
        "isBuyer": made.is_buyer,
        "isMaker": made.is_maker,
        "isBestMatch": True,
    }


def account(held: VenueAccount, *, omit_zero: bool) -> dict[str, Json]:
    """The answer of account; `omit_zero` leaves empty balances out."""
    basis_points = 10_000
    return {
        "makerCommission": int(held.maker_fee * basis_points),
        "takerCommission": int(held.taker_fee * basis_points),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": _rates(held),
        "canTrade": True,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": held.update_ms,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": fixed(each.free), "locked": fixed(each.locked)}
            for asset, each in sorted(held.balances.items())
            if not omit_zero or each.free or each.locked
        ],
        "permissions": ["SPOT"],
        "uid": held.uid,
    }


def commission(held: VenueAccount, symbol: str) -> dict[str, Json]:
    """The answer of account/commission."""
    none = {"maker": fixed(ZERO), "taker": fixed(ZERO), "buyer": fixed(ZERO), "seller": fixed(ZERO)}
    return {
        "symbol": symbol,
        "standardCommission": _rates(held),
        "specialCommission": none,
        "taxCommission": none,
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "BNB",
            "discount": fixed(ZERO),
        },
    }


def test_commission(held: VenueAccount) -> dict[str, Json]:
    """The answer of order/test with `computeCommissionRates`."""
    rates_of = commission(held, "")
    names = {
        "standardCommission": "standardCommissionForOrder",
        "specialCommission": "specialCommissionForOrder",
        "taxCommission": "taxCommissionForOrder",
    }
    rates = {
        new: {way: rates_of[old][way] for way in ("maker", "taker")} for old, new in names.items()
    }
    return {**rates, "discount": rates_of["discount"]}


def _rates(held: VenueAccount) -> dict[str, str]:
    return {
        "maker": fixed(held.maker_fee),
        "taker": fixed(held.taker_fee),
        "buyer": fixed(ZERO),
        "seller": fixed(ZERO),
    }


def levels(side: Iterable[tuple[Decimal, Decimal]]) -> list[list[str]]:
    """One side of a depth answer."""
    return [[fixed(price), fixed(quantity)] for price, quantity in side]
