"""python-binance: REST, sockets, depth cache, orders over the WS API, user data."""

import asyncio
import sys
from typing import Any

from binance import (  # type: ignore[import-not-found]
    AsyncClient,
    BinanceSocketManager,
    Client,
    DepthCacheManager,
)
from binance.exceptions import BinanceAPIException  # type: ignore[import-not-found]

http, ws = sys.argv[1:3]
SYMBOL = "BTCUSDT"

for kind in (Client, AsyncClient):
    kind.API_URL = http + "/api"
    kind.WS_API_URL = ws + "/ws-api/v3"
BinanceSocketManager.STREAM_URL = ws + "/"


async def soon(awaited: Any) -> Any:
    return await asyncio.wait_for(awaited, 20)


def rest() -> None:
    client = Client("K", "S")
    assert client.get_symbol_info(SYMBOL)["baseAsset"] == "BTC"
    assert len(client.get_klines(symbol=SYMBOL, interval="5m", limit=50)) == 50
    assert len(client.get_historical_klines(SYMBOL, "1m", "2 hours ago UTC")) >= 119
    assert len(client.get_aggregate_trades(symbol=SYMBOL, limit=5)) == 5
    quote = client.get_orderbook_ticker(symbol=SYMBOL)
    assert float(quote["bidPrice"]) < float(quote["askPrice"])
    assert client.get_ticker(symbol=SYMBOL)["count"] > 100_000
    bought = client.order_market_buy(symbol=SYMBOL, quantity="0.01")
    assert bought["status"] == "FILLED"
    assert bought["fills"][0]["commissionAsset"] == "BTC"
    resting = client.order_limit_sell(symbol=SYMBOL, quantity="0.005", price="90000")
    found = client.get_open_orders(symbol=SYMBOL)
    assert [each["orderId"] for each in found] == [resting["orderId"]]
    ended = client.cancel_order(symbol=SYMBOL, orderId=resting["orderId"])
    assert ended["status"] == "CANCELED"
    assert len(client.get_my_trades(symbol=SYMBOL)) == 1
    assert client.get_asset_balance("BTC")["free"] == "0.00999000"
    assert (
        client.create_test_order(symbol=SYMBOL, side="BUY", type="MARKET", quoteOrderQty=100) == {}
    )
    try:
        client.order_limit_buy(symbol=SYMBOL, quantity="0.01", price="1.5")
    except BinanceAPIException as error:
        answer = (error.code, error.status_code)
    else:
        answer = (0, 200)
    assert answer == (-1013, 400), answer


async def sockets() -> None:
    client = await AsyncClient.create("K", "S")
    manager = BinanceSocketManager(client)
    async with manager.trade_socket(SYMBOL) as socket:
        ids = [(await soon(socket.recv()))["t"] for _ in range(3)]
        assert ids == [ids[0], ids[0] + 1, ids[0] + 2]
    async with manager.multiplex_socket(["btcusdt@bookTicker", "ethusdt@kline_1m"]) as socket:
        names = {(await soon(socket.recv()))["stream"] for _ in range(12)}
        assert names == {"btcusdt@bookTicker", "ethusdt@kline_1m"}
    async with manager.user_socket() as socket:
        await asyncio.sleep(1)
        order = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        assert (await soon(client.ws_create_order(**order)))["status"] == "FILLED"
        events = [await soon(socket.recv()) for _ in range(3)]
        assert [each["e"] for each in events] == [
            "executionReport",
            "executionReport",
            "outboundAccountPosition",
        ]
        assert events[1]["X"] == "FILLED"
    async with DepthCacheManager(client, SYMBOL) as cache:
        for _ in range(4):
            position = await soon(cache.recv())
            assert position.get_bids()[0][0] < position.get_asks()[0][0]
    await client.close_connection()


rest()
asyncio.run(sockets())
print("fine")
