"""Serves client connections: REST, market streams and the WS API on one port.

A connection speaks REST until it asks for a WebSocket. An error of one client ends that client
only.
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
"""A client that connects and sends no request is disconnected."""

_QUEUED_REQUESTS = 64
"""Queued control messages of one client; with fewer its pongs would wait behind them."""

_SEND_BUFFER = 256 * 1024
"""Bytes: by default the kernel buffers megabytes for a slow client, ahead of the pings."""

ServerSession = StreamSession | WsApiSession


@attrs.define(eq=False, kw_only=True)
class ConnectionHandler:
    """Serves every connection of one simulator."""

    venue: ExchangeApi
    player: Player
    on_event: Callable[[str, str], None]
    """Called with `client_failed` or `client_silent` and a text."""
    _changes: ChangeNotifier = attrs.field(factory=ChangeNotifier, init=False)
    _accounts: dict[WsApiSession, SendQueue] = attrs.field(factory=dict, init=False)
    """The open WS API connections."""

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
            # The client left, or a demanded fault cut the connection.
            pass
        except* Exception as failures:  # noqa: BLE001  one client must not end the venue
            for failure in _leaves(failures):
                self.on_event("client_failed", f"{type(failure).__name__}: {failure}")
        finally:
            await trio.aclose_forcefully(stream)

    def send_account_events(self) -> None:
        """Send new user-data events to the connections subscribed to their accounts."""
        for account, event in self.venue.exchange.take_events():
            for session, send_queue in self._accounts.items():
                text = session.event(account, event)
                if text is not None:
                    send_queue.put(text_frame(text.encode()))

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
                await self._serve_websocket(request, stream)
            nursery.cancel_scope.cancel()

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        """Answer one REST request, after queueing the user-data events it led to."""
        for _ in rest.prepare(self.venue, request):
            await trio.lowlevel.checkpoint()
        try:
            return rest.handle(self.venue, request)
        finally:
            self.send_account_events()

    async def _serve_websocket(self, request: WebSocketRequest, stream: SharedStream) -> None:
        """Serve a WebSocket as market streams or WS API, by its path, until it closes."""
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
                send_queue=SendQueue(),
                scope=nursery.cancel_scope,
            )
            nursery.start_soon(websocket.write)
            nursery.start_soon(websocket.keep_alive, self._on_silence)
            nursery.start_soon(
                websocket.close_when_due,
                self.venue.faults,
                self._changes,
                partial(self._shutdown, session),
            )
            if isinstance(session, WsApiSession):
                await self._answer_requests(websocket, session)
            else:
                await self._stream(websocket, session)
            nursery.cancel_scope.cancel()

    async def _stream(self, websocket: ClientWebSocket, session: StreamSession) -> None:
        """Market streams: handle the client's messages in order until it closes."""
        listener = StreamSubscriber(session, websocket.send_queue)
        try:
            await self._subscribe(listener, tuple(session.subscriptions))
            while True:
                try:
                    message = await websocket.connection.get_message()
                except ConnectionClosed:
                    return
                reply = session.handle(message)
                websocket.send_queue.put(text_frame(reply.text.encode()))
                self.player.unsubscribe(listener, reply.removed)
                await self._subscribe(listener, reply.added)
                await websocket.send_queue.wait_room()
        finally:
            # No await before this: a closed connection with a full queue would hold up the tape.
            websocket.send_queue.close()
            self.player.unsubscribe_all(listener)

    async def _subscribe(self, listener: StreamSubscriber, streams: Sequence[str]) -> None:
        for stream in streams:
            self.player.subscribe(listener, stream)
            # A kline looks back over up to an hour of trades: let other tasks run in between.
            await trio.lowlevel.checkpoint()
        self.player.check_start()

    async def _answer_requests(self, websocket: ClientWebSocket, session: WsApiSession) -> None:
        """WS API: answer the client's requests in order until it closes."""
        self._accounts[session] = websocket.send_queue
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
                    self.send_account_events()
                websocket.send_queue.put(text_frame(answer.encode()))
                self.send_account_events()
                await websocket.send_queue.wait_room()
        finally:
            websocket.send_queue.close()
            del self._accounts[session]
            # The events of a lost reply still go to the account's other connections.
            self.send_account_events()

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
