"""Serves HTTP/1.1 on one connection; h11 does the protocol.

Requests are answered one after the other until either side closes, or until one asks for a
WebSocket: its bytes are handed back for the WebSocket library to read. It need not be the first,
because clients keep a connection for both.
"""

from collections.abc import Awaitable, Callable

import attrs
import h11
import trio

from levitrio.venues.simulator.api.rest import HttpRequest, HttpResponse, reason_of

MAX_BODY = 1024 * 1024
"""Bytes: an order has a few hundred."""

_HANDSHAKE_SECONDS = 10.0
"""A client that connects and sends no request is disconnected."""

_IDLE_SECONDS = 60.0
"""A connection without a request for so long is closed."""

_READ = 16 * 1024

Handle = Callable[[HttpRequest], Awaitable[HttpResponse]]


@attrs.define(eq=False)
class HttpConnection:
    """A connection that speaks HTTP so far. Does not close the stream."""

    stream: trio.abc.Stream
    _http: h11.Connection = attrs.field(init=False)
    _received: bytearray = attrs.field(factory=bytearray, init=False)
    _has_body: bool = attrs.field(default=True, init=False)
    """Whether the answer has a body; one to HEAD has none."""

    def __attrs_post_init__(self) -> None:
        self._http = h11.Connection(h11.SERVER)

    @property
    def received(self) -> bytes:
        """The bytes of the newest request, for another protocol to read again."""
        return bytes(self._received)

    async def serve(self, handle: Handle) -> bool:
        """Answer requests until either side closes; True when one asks for a WebSocket.

        The bytes of that request are in `received`. Cancellation, or an error of `handle`, leaves
        the connection in the middle of an answer: close it.
        """
        patience = _HANDSHAKE_SECONDS
        while (head := await self._head(patience)) is not None:
            if _wants_websocket(head):
                return True
            try:
                request = await self._whole(head)
            except h11.RemoteProtocolError as error:
                await self._respond(_plain(error.error_status_hint, str(error)))
                return False
            if request is None:
                await self._respond(_plain(413, f"expected at most {MAX_BODY} bytes of body"))
                return False
            await self._respond(await handle(request))
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return False
            self._http.start_next_cycle()
            self._received = bytearray(self._http.trailing_data[0])
            patience = _IDLE_SECONDS
        return False

    async def _head(self, patience: float) -> h11.Request | None:
        """The head of the next request; None when the client leaves or sends no HTTP."""
        event: object = None
        with trio.move_on_after(patience):
            try:
                event = await self._next()
            except h11.RemoteProtocolError:
                return None
        return event if isinstance(event, h11.Request) else None

    async def _whole(self, head: h11.Request) -> HttpRequest | None:
        """The request with its body; None when the body is too long."""
        if self._http.they_are_waiting_for_100_continue:
            going_on = h11.InformationalResponse(status_code=100, headers=[])
            await self.stream.send_all(self._http.send(going_on) or b"")
        self._has_body = head.method != b"HEAD"
        body = bytearray()
        while True:
            event = await self._next()
            if isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_BODY:
                    return None
            else:
                break
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        return HttpRequest(
            verb=head.method.decode("latin-1"),
            target=head.target.decode("latin-1"),
            headers=headers,
            body=bytes(body),
        )

    async def _next(self) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            data = await self.stream.receive_some(_READ)
            self._received += data
            self._http.receive_data(bytes(data))

    async def _respond(self, response: HttpResponse) -> None:
        if self._http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        headers = [
            ("Content-Type", response.content_type),
            ("Content-Length", str(len(response.body))),
            *response.headers,
        ]
        head = h11.Response(
            status_code=response.status, headers=headers, reason=reason_of(response.status)
        )
        # One system call: with Nagle's algorithm a second small piece waits for an acknowledgement.
        await self.stream.send_all(
            (self._http.send(head) or b"")
            + (self._http.send(h11.Data(data=response.body if self._has_body else b"")) or b"")
            + (self._http.send(h11.EndOfMessage()) or b"")
        )


def _wants_websocket(request: h11.Request) -> bool:
    """Whether a request asks to upgrade to a WebSocket."""
    return any(
        name == b"upgrade" and value.strip().lower() == b"websocket"
        for name, value in request.headers
    )


def _plain(status: int, text: str) -> HttpResponse:
    return HttpResponse(status=status, body=text.encode(), content_type="text/plain")
