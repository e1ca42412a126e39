"""A WS API that says what a test tells it to, however untrue. In memory, in virtual time."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio
import trio_websocket
from trio.testing import memory_stream_pair

from levitrio.venues.binance.orders.broker import BinanceBroker
from levitrio.venues.binance.orders.credentials import Credentials
from tests.fakes import FakeListener
from tests.venues.binance.broker_harness import API_KEY, API_SECRET, EPOCH

Script = Callable[[dict[str, Any]], "dict[str, Any] | str | None"]
"""The params of a request -> what is answered: merged with its id, sent as it is, or nothing."""


@attrs.define(eq=False)
class ScriptedVenue:
    """One answer for each method; those of a session are sound from the start."""

    scripts: dict[str, Script] = attrs.field(factory=dict)
    requests: list[dict[str, Any]] = attrs.field(factory=list)
    broker: BinanceBroker = attrs.field(init=False)
    listener: FakeListener = attrs.field(factory=FakeListener)
    events: list[tuple[str, str]] = attrs.field(factory=list)
    connected: trio.Event = attrs.field(factory=trio.Event)
    _socket: trio_websocket.WebSocketConnection | None = None

    def __attrs_post_init__(self) -> None:
        self.says("time", lambda _: {"serverTime": int((EPOCH + trio.current_time()) * 1000)})
        self.says("userDataStream.subscribe.signature", lambda _: {"subscriptionId": 0})
        self.says(
            "exchangeInfo",
            lambda params: {
                "symbols": [
                    {"symbol": each, "status": "TRADING", "filters": []}
                    for each in params["symbols"]
                ]
            },
        )
        self.says("account.status", lambda _: {"canTrade": True, "balances": []})

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]

    def says(self, method: str, result: Callable[[dict[str, Any]], Any]) -> None:
        """Answer a method with a result."""
        self.scripts[method] = lambda params: {"status": 200, "result": result(params)}

    def refuses(self, method: str, status: int, code: int, msg: str, **data: int) -> None:
        """Answer a method with an error."""
        error: dict[str, Any] = {"code": code, "msg": msg, **({"data": data} if data else {})}
        self.scripts[method] = lambda _: {"status": status, "error": error}

    def asked(self, method: str) -> list[dict[str, Any]]:
        """The params of every request of a method so far."""
        return [each["params"] for each in self.requests if each["method"] == method]

    def told(self, kind: str, text: str) -> None:
        """The broker's events."""
        self.events.append((kind, text))
        if kind == "broker_connected":
            self.connected.set()

    async def tell(self, event: dict[str, Any]) -> None:
        """Send a user data event, and let it be handled."""
        assert self._socket is not None
        await self._socket.send_message(json.dumps({"subscriptionId": 0, "event": event}))
        await trio.testing.wait_all_tasks_blocked()

    async def send(self, text: str) -> None:
        """Send any text."""
        assert self._socket is not None
        await self._socket.send_message(text)
        await trio.testing.wait_all_tasks_blocked()

    async def serve(self, stream: trio.abc.Stream) -> None:
        try:
            async with trio.open_nursery() as nursery:
                request = await trio_websocket.wrap_server_stream(nursery, stream)
                self._socket = await request.accept()
                await self._answer(self._socket)
        finally:
            await trio.aclose_forcefully(stream)

    async def _answer(self, socket: trio_websocket.WebSocketConnection) -> None:
        while True:
            try:
                request = json.loads(await socket.get_message())
                self.requests.append(request)
                script = self.scripts.get(request["method"])
                answer = None if script is None else script(request["params"])
                if isinstance(answer, dict):
                    answer = json.dumps({"id": request["id"], **answer})
                if answer is not None:
                    await socket.send_message(answer)
            except trio_websocket.ConnectionClosed:
                return


@asynccontextmanager
async def scripted_venue(redact: Callable[[str], str] = str) -> AsyncIterator[ScriptedVenue]:
    """A broker that is connected to a venue with a script."""
    venue = ScriptedVenue()
    async with trio.open_nursery() as nursery:

        async def open_stream(host: str, port: int, tls: bool) -> trio.abc.Stream:
            ours, theirs = memory_stream_pair()
            nursery.start_soon(venue.serve, theirs)
            return ours

        venue.broker = BinanceBroker(
            address=lambda: "ws://127.0.0.1:1",
            venue="scripted",
            credentials=Credentials.of(API_KEY, API_SECRET),
            on_event=lambda kind, text, *, engine=None: venue.told(kind, text),
            backoff=lambda attempt, chance: 1.0,
            chance=lambda: 0.5,
            redact=redact,
            open_stream=open_stream,
        )
        venue.broker.listen(venue.listener)
        await nursery.start(venue.broker.run)
        await venue.connected.wait()
        await trio.testing.wait_all_tasks_blocked()
        yield venue
        nursery.cancel_scope.cancel()
