"""Formats exchangeInfo: the venue's symbols, filters and rate limits. Pure."""

from decimal import Decimal
from typing import Any

from levitrio.trading.filter_parsing import parse_filters
from levitrio.trading.filters import SymbolFilters
from levitrio.venues.simulator.exchange.order_request import OrderKind
from levitrio.venues.simulator.exchange.rate_limits import RATE_LIMITS
from levitrio.venues.simulator.market.market import assets_of
from levitrio.venues.simulator.market.price_generator import SimulatedMarket
from levitrio.venues.simulator.market.stream_payloads import fixed

MIN_NOTIONAL = Decimal(5)
"""In the quote asset; the real venue's number for most pairs."""

_MOST_NOTIONAL = Decimal(9_000_000)

_MOST_TICKS = 10**9
"""The highest price in ticks: above any price of the market by orders of magnitude."""

_MOST_STEPS = 9 * 10**9

_MARKET_WORTH = 250_000
"""The most a MARKET order may be worth at the anchor price, in the quote asset."""

AVERAGE_MINUTES = 5


def filters_json(market: SimulatedMarket) -> list[dict[str, Any]]:
    """The `filters` array of a symbol."""
    tick, step = market.tick, market.step
    market_steps = int(_MARKET_WORTH / market.anchor / step) or 1
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": fixed(tick),
            "maxPrice": fixed(tick * _MOST_TICKS),
            "tickSize": fixed(tick),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": fixed(step),
            "maxQty": fixed(step * _MOST_STEPS),
            "stepSize": fixed(step),
        },
        {"filterType": "ICEBERG_PARTS", "limit": 50},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": fixed(Decimal(0)),
            "maxQty": fixed(step * market_steps),
            "stepSize": fixed(Decimal(0)),
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": "5",
            "bidMultiplierDown": "0.2",
            "askMultiplierUp": "5",
            "askMultiplierDown": "0.2",
            "avgPriceMins": AVERAGE_MINUTES,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": fixed(MIN_NOTIONAL),
            "applyMinToMarket": True,
            "maxNotional": fixed(_MOST_NOTIONAL),
            "applyMaxToMarket": False,
            "avgPriceMins": AVERAGE_MINUTES,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
    ]


def filters_of(market: SimulatedMarket) -> SymbolFilters:
    """The same filters, parsed to check orders against."""
    return parse_filters(filters_json(market))


def symbol_json(symbol: str, market: SimulatedMarket, status: str) -> dict[str, Any]:
    """One element of `symbols`."""
    assets = assets_of(symbol)
    assert assets is not None, symbol
    base, quote = assets
    return {
        "symbol": symbol,
        "status": status,
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": [kind.value for kind in OrderKind],
        "icebergAllowed": True,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters_json(market),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def exchange_json(
    symbols: list[tuple[str, SimulatedMarket]], *, server_ms: int, status: str = "TRADING"
) -> dict[str, Any]:
    """The whole answer of exchangeInfo."""
    return {
        "timezone": "UTC",
        "serverTime": server_ms,
        "rateLimits": [limit.describe() for limit in RATE_LIMITS],
        "exchangeFilters": [],
        "symbols": [symbol_json(symbol, market, status) for symbol, market in symbols],
    }
