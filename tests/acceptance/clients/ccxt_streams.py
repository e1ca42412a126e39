"""ccxt.pro: streams, order book sync, orders over the WS API, user data."""

import asyncio
import sys
from typing import Any

import ccxt.pro as ccxt  # type: ignore[import-not-found]

http, ws = sys.argv[1:3]
SYMBOL = "BTC/USDT"


async def soon(awaited: Any) -> Any:
    return await asyncio.wait_for(awaited, 20)


async def main() -> None:
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
    exchange.urls["api"]["ws"]["spot"] = ws + "/ws"
    exchange.urls["api"]["ws"]["ws-api"]["spot"] = ws + "/ws-api/v3"
    try:
        await exchange.load_markets()
        await streams(exchange)
        await orders(exchange)
    finally:
        await exchange.close()


async def streams(exchange: Any) -> None:
    seen: list[int] = []
    while len(seen) < 4:
        trades = await soon(exchange.watch_trades(SYMBOL))
        seen += [int(each["id"]) for each in trades if int(each["id"]) not in seen]
    assert seen == list(range(seen[0], seen[0] + len(seen))), seen
    for _ in range(8):
        # Its own check of update ids raises when one is missing.
        position = await soon(exchange.watch_order_book(SYMBOL))
        assert position["bids"][0][0] < position["asks"][0][0]
        assert len(position["bids"]) >= 90
    candles = await soon(exchange.watch_ohlcv(SYMBOL, "1m"))
    assert candles[-1][0] % 60_000 == 0
    quotes = await soon(exchange.watch_bids_asks([SYMBOL, "ETH/USDT"]))
    assert set(quotes) <= {SYMBOL, "ETH/USDT"}


async def orders(exchange: Any) -> None:
    balance = asyncio.create_task(exchange.watch_balance())
    update = asyncio.create_task(exchange.watch_orders(SYMBOL))
    # It gives no sign of having subscribed.
    await asyncio.sleep(2)
    bought = await soon(exchange.create_order_ws(SYMBOL, "market", "buy", 0.01))
    assert bought["status"] == "closed", bought
    assert (await soon(update))[-1]["id"] == bought["id"]
    assert (await soon(balance))["BTC"]["free"] > 0
    price = float(exchange.price_to_precision(SYMBOL, bought["average"] * 0.9))
    resting = await soon(exchange.create_order_ws(SYMBOL, "limit", "buy", 0.01, price))
    assert len(await soon(exchange.fetch_open_orders_ws(SYMBOL))) == 1
    assert (await soon(exchange.fetch_order_ws(resting["id"], SYMBOL)))["status"] == "open"
    ended = await soon(exchange.cancel_order_ws(resting["id"], SYMBOL))
    assert ended["status"] == "canceled"
    assert (await soon(exchange.fetch_balance_ws()))["info"]["balances"][0]["asset"] == "BTC"
    assert len(await soon(exchange.fetch_ohlcv_ws(SYMBOL, "1m", limit=3))) == 3
    assert await soon(exchange.fetch_my_trades_ws(SYMBOL))


asyncio.run(main())
print("fine")
