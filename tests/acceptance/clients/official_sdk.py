"""The venue's own client: REST, WS API with both kinds of keys, user data, streams.

The third argument, where there is one, is the path of an Ed25519 private key.
"""

import asyncio
import sys
from typing import Any

from binance_common.configuration import (  # type: ignore[import-not-found]
    ConfigurationRestAPI,
    ConfigurationWebSocketAPI,
    ConfigurationWebSocketStreams,
)
from binance_common.errors import BadRequestError  # type: ignore[import-not-found]
from binance_sdk_spot.spot import Spot  # type: ignore[import-not-found]

http, ws = sys.argv[1:3]
SYMBOL = "BTCUSDT"
has_private_key = len(sys.argv) > 3
key = {"api_key": "K"}
key |= {"private_key": sys.argv[3]} if has_private_key else {"api_secret": "S"}
spot = Spot(
    ConfigurationRestAPI(base_path=http, **key),
    ConfigurationWebSocketAPI(stream_url=ws + "/ws-api/v3", **key),
    ConfigurationWebSocketStreams(stream_url=ws),
)


async def soon(awaited: Any) -> Any:
    return await asyncio.wait_for(awaited, 20)


def rest() -> None:
    api = spot.rest_api
    assert api.exchange_info(symbol=SYMBOL).data().symbols[0].symbol == SYMBOL
    assert len(api.klines(SYMBOL, "1m", limit=5).data()) == 5
    assert len(api.depth(SYMBOL, limit=5).data().bids) == 5
    bought = api.new_order(SYMBOL, "BUY", "MARKET", quantity=0.01).data()
    assert bought.status == "FILLED"
    assert bought.fills[0].commission_asset == "BTC"
    assert api.get_account().data().balances[0].free == "0.00999000"
    assert len(api.my_trades(SYMBOL).data()) == 1
    try:
        api.get_order(SYMBOL, order_id=1)
    except BadRequestError as error:
        answer = str(error)
    else:
        answer = "an order"
    assert "does not exist" in answer, answer


async def websocket_api() -> None:
    api = await spot.websocket_api.create_connection()
    events: asyncio.Queue[Any] = asyncio.Queue()
    if has_private_key:
        await soon(api.session_logon())
        subscribed = await soon(api.user_data_stream_subscribe())
    else:
        subscribed = await soon(api.user_data_stream_subscribe_signature())
    subscribed.stream.on("message", events.put_nowait)
    bought = (await soon(api.order_place(SYMBOL, "BUY", "MARKET", quantity=0.01))).data()
    assert bought.result.status == "FILLED"
    told = [await soon(events.get()) for _ in range(3)]
    assert "FILLED" in str(told[1])
    resting = await soon(
        api.order_place(SYMBOL, "BUY", "LIMIT", time_in_force="GTC", price=50_000, quantity=0.01)
    )
    order_id = resting.data().result.order_id
    found = await soon(api.order_status(SYMBOL, order_id=order_id))
    assert found.data().result.status == "NEW"
    ended = await soon(api.order_cancel(SYMBOL, order_id=order_id))
    assert ended.data().result.status == "CANCELED"
    account = await soon(api.account_status())
    assert account.data().result.balances[0].asset == "BTC"
    await api.close_connection(close_session=True)


async def streams() -> None:
    connection = await spot.websocket_streams.create_connection()
    events: asyncio.Queue[Any] = asyncio.Queue()
    for stream in (
        await connection.agg_trade(symbol="btcusdt"),
        await connection.kline(symbol="btcusdt", interval="1m"),
        await connection.diff_book_depth(symbol="btcusdt"),
    ):
        stream.on("message", events.put_nowait)
    kinds: set[str] = set()
    while len(kinds) < 3:
        kinds.add((await soon(events.get())).e)
    assert kinds == {"aggTrade", "kline", "depthUpdate"}
    await connection.close_connection(close_session=True)


rest()
asyncio.run(websocket_api())
asyncio.run(streams())
print("fine")
