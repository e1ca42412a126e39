"""Where connections are received: REST, market streams and the WS API on one port.

A connection speaks REST until it asks for a WebSocket. Whatever goes wrong with one client
ends that client only.
"""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, wrap_server_stream

from levitrio.venues.simulator.api import rest
from levitrio.venues.simulator.api.api import ExchangeApi
from levitrio.venues.simulator.api.rest import HttpRequest, HttpResponse
from levitrio.venues.simulator.api.ws_api import CONNECTION_WEIGHT, WsApiSession
from levitrio.venues.simulator.exchange.errors import ApiError
from levitrio.venues.simulator.exchange.faults import LostReply
from levitrio.venues.simulator.market.stream_protocol import StreamSession
from levitrio.venues.simulator.server.http import HttpConnection
from levitrio.venues.simulator.server.player import Player, StreamSubscriber
from levitrio.venues.simulator.server.send_queue import SendQueue, text_frame
from levitrio.venues.simulator.server.websocket import (
    PONG_SECONDS,
    ChangeNotifier,
    ClientWebSocket,
    SharedStream,
)

_HANDSHAKE_SECONDS = 10.0
"""A peer that connects and says nothing is let go."""

_QUEUED_REQUESTS = 64
"""Control messages of one client that wait; with fewer its pongs would wait behind them."""

_SEND_BUFFER = 256 * 1024
"""Bytes: the kernel would keep megabytes for a slow client, and pings would wait behind them."""

ServerSession = StreamSession | WsApiSession


@attrs.define(eq=False, kw_only=True)
class ConnectionHandler:
    """Serves every connection of one simulator."""

    venue: ExchangeApi
    player: Player
    on_event: Callable[[str, str], None]
    """Told `client_failed` and `client_silent` with a text."""
    _changes: ChangeNotifier = attrs.field(factory=ChangeNotifier, init=False)
    _accounts: dict[WsApiSession, SendQueue] = attrs.field(factory=dict, init=False)
    """The WS API connections that are open."""

    def __attrs_post_init__(self) -> None:
        self.venue.faults.on_replaced = self._changes.notify

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Serve one client until either side closes. The stream is closed, nothing is raised."""
        if isinstance(stream, trio.SocketStream):
            with suppress(OSError):
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        try:
            await self._serve(SharedStream(stream))
        except* (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError, LostReply):
            # The client went away, or a fault sent it away: nobody's failure.
            pass
        except* Exception as failures:  # noqa: BLE001  one client must not end the venue
            for failure in _leaves(failures):
                self.on_event("client_failed", f"{type(failure).__name__}: {failure}")
        finally:
            await trio.aclose_forcefully(stream)

    def tell_accounts(self) -> None:
        """Send what happened to accounts to whoever has subscribed to them."""
        for account, event in self.venue.exchange.take_events():
            for session, outbox in self._accounts.items():
                text = session.event(account, event)
                if text is not None:
                    outbox.put(text_frame(text.encode()))

    async def _serve(self, stream: SharedStream) -> None:
        connection = HttpConnection(stream)
        if not await connection.serve(self._answer):
            return
        stream.unread(connection.received)
        async with trio.open_nursery() as nursery:
            request: WebSocketRequest | None = None
            with trio.move_on_after(_HANDSHAKE_SECONDS):
                request = await wrap_server_stream(
                    nursery, stream, message_queue_size=_QUEUED_REQUESTS
                )
            if request is not None:
                await self._welcome(request, stream)
            nursery.cancel_scope.cancel()

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        """Answer one REST request; the user-data events it led to are on their way."""
        for _ in rest.prepare(self.venue, request):
            await trio.lowlevel.checkpoint()
        try:
            return rest.handle(self.venue, request)
        finally:
            self.tell_accounts()

    async def _welcome(self, request: WebSocketRequest, stream: SharedStream) -> None:
        """Let a WebSocket in by the door it knocked at; returns when its connection is over."""
        session: ServerSession | None = StreamSession.open(request.path)
        if session is None:
            session = WsApiSession.open(self.venue, request.path)
            if session is None:
                await request.reject(404, body=b"expected /ws, /stream or /ws-api/v3")
                return
            try:
                self.venue.spend(CONNECTION_WEIGHT)
            except ApiError as refusal:
                await request.reject(refusal.status, body=refusal.message.encode())
                return
        connection = await request.accept()
        async with trio.open_nursery() as nursery:
            websocket = ClientWebSocket(
                connection=connection,
                stream=stream,
                outbox=SendQueue(),
                scope=nursery.cancel_scope,
            )
            nursery.start_soon(websocket.write)
            nursery.start_soon(websocket.keep_alive, self._on_silence)
            nursery.start_soon(
                websocket.grow_old,
                self.venue.faults,
                self._changes,
                partial(self._shutdown, session),
            )
            if isinstance(session, WsApiSession):
                await self._converse(websocket, session)
            else:
                await self._stream(websocket, session)
            nursery.cancel_scope.cancel()

    async def _stream(self, websocket: ClientWebSocket, session: StreamSession) -> None:
        """Market streams: carry out what the client asks, in order, until it closes."""
        listener = StreamSubscriber(session, websocket.outbox)
        try:
            await self._subscribe(listener, tuple(session.subscriptions))
            while True:
                try:
                    message = await websocket.connection.get_message()
                except ConnectionClosed:
                    return
                reply = session.handle(message)
                websocket.outbox.put(text_frame(reply.text.encode()))
                self.player.unsubscribe(listener, reply.removed)
                await self._subscribe(listener, reply.added)
                await websocket.outbox.wait_room()
        finally:
            # No await before this: a listener that is gone must not hold up the tape.
            websocket.outbox.close()
            self.player.unsubscribe_all(listener)

    async def _subscribe(self, listener: StreamSubscriber, streams: Sequence[str]) -> None:
        for stream in streams:
            self.player.subscribe(listener, stream)
            # A kline looks back over up to an hour of trades: others get a turn in between.
            await trio.lowlevel.checkpoint()
        self.player.check_start()

    async def _converse(self, websocket: ClientWebSocket, session: WsApiSession) -> None:
        """WS API: answer what the client asks, in order, until it closes."""
        self._accounts[session] = websocket.outbox
        try:
            while True:
                try:
                    message = await websocket.connection.get_message()
                except ConnectionClosed:
                    return
                for _ in session.prepare(message):
                    await trio.lowlevel.checkpoint()
                answer = session.handle(message)
                if self.venue.faults.now.events_first:
                    self.tell_accounts()
                websocket.outbox.put(text_frame(answer.encode()))
                self.tell_accounts()
                await websocket.outbox.wait_room()
        finally:
            websocket.outbox.close()
            del self._accounts[session]
            # What a lost reply was about is still told on the account's other connections.
            self.tell_accounts()

    def _shutdown(self, session: ServerSession) -> dict[str, object]:
        event = {"e": "serverShutdown", "E": self.venue.wall_ms()}
        if isinstance(session, WsApiSession):
            return {"event": event}
        return {"stream": "!serverShutdown", "data": event} if session.combined else {**event}

    def _on_silence(self) -> None:
        self.on_event("client_silent", f"no pong within {PONG_SECONDS:g} s: closed")


def _leaves(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    for failure in group.exceptions:
        if isinstance(failure, ExceptionGroup):
            yield from _leaves(failure)
        else:
            yield failure
