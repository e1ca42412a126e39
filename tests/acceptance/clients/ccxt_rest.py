"""ccxt over REST: markets, candles, orders. Run with the http and ws url of a simulator."""

import sys
from itertools import pairwise

import ccxt  # type: ignore[import-not-found]

http = sys.argv[1]
exchange = ccxt.binance(
    {
        "apiKey": "K",
        "secret": "S",
        "options": {
            "defaultType": "spot",
            "fetchCurrencies": False,
            "fetchMargins": False,
            "fetchMarkets": {"types": ["spot"]},
        },
    }
)
for name in ("public", "private", "v1"):
    exchange.urls["api"][name] = http + "/api/v3"

SYMBOL = "BTC/USDT"
markets = exchange.load_markets()
assert markets[SYMBOL]["precision"] == {
    "amount": 0.00001,
    "price": 0.01,
    "base": 1e-8,
    "quote": 1e-8,
}, markets[SYMBOL]["precision"]
minutes = exchange.fetch_ohlcv(SYMBOL, "1m", limit=100)
assert len(minutes) == 100
assert all(later[0] - earlier[0] == 60_000 for earlier, later in pairwise(minutes))
assert all(low <= min(o, c) <= max(o, c) <= high for _, o, high, low, c, _ in minutes)
hours = exchange.fetch_ohlcv(SYMBOL, "1h", limit=3)
assert len(hours) == 3
position = exchange.fetch_order_book(SYMBOL, 5)
assert position["bids"][0][0] < position["asks"][0][0]
assert position["bids"][0][0] <= exchange.fetch_ticker(SYMBOL)["ask"] * 1.01
assert len(exchange.fetch_trades(SYMBOL, limit=10)) == 10

before = exchange.fetch_balance()["USDT"]["free"]
bought = exchange.create_order(SYMBOL, "market", "buy", 0.01)
assert (bought["status"], bought["filled"]) == ("closed", 0.01), bought
assert bought["fees"] == [{"currency": "BTC", "cost": 0.00001}], bought["fees"]
balance = exchange.fetch_balance()
assert balance["BTC"]["free"] == 0.00999
assert abs(before - balance["USDT"]["free"] - bought["cost"]) < 1e-6

price = float(exchange.price_to_precision(SYMBOL, bought["average"] * 0.9))
resting = exchange.create_order(SYMBOL, "limit", "buy", 0.01, price)
assert resting["status"] == "open"
assert [each["id"] for each in exchange.fetch_open_orders(SYMBOL)] == [resting["id"]]
assert exchange.cancel_order(resting["id"], SYMBOL)["status"] == "canceled"
assert exchange.fetch_order(resting["id"], SYMBOL)["status"] == "canceled"
assert len(exchange.fetch_my_trades(SYMBOL)) == 1
stop = exchange.create_order(SYMBOL, "STOP_LOSS_LIMIT", "sell", 0.005, price, {"stopPrice": price})
assert exchange.cancel_all_orders(SYMBOL)[0]["id"] == stop["id"]

for error, order in (
    (ccxt.InsufficientFunds, ("market", "buy", 4)),
    (ccxt.InvalidOrder, ("limit", "buy", 0.01, 1.5)),
):
    try:
        exchange.create_order(SYMBOL, *order)
    except error:
        continue
    raise AssertionError(f"{order}: expected {error.__name__}")
try:
    exchange.fetch_order("123", SYMBOL)
except ccxt.OrderNotFound:
    print("fine")
