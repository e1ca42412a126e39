"""One connection to the WS API: its requests and their answers, its events, its liveness.

Knows how to ask, not what: nothing here knows of keys or orders. A frame that cannot be read ends
the connection, because whoever waits for the answer that it may have been must not wait for ever.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import NoReturn
from urllib.parse import urlsplit

import msgspec
import trio

from levitrio.errors import VenueError
from levitrio.venues.binance import reference
from levitrio.venues.binance.connection import Timing
from levitrio.venues.binance.errors_table import RefusedByVenue
from levitrio.venues.binance.network import OpenStream, open_network_stream
from levitrio.venues.binance.order_limits import RateLimit
from levitrio.venues.binance.websocket import OpenWebsocket, Websocket

PATH = "/ws-api/v3"

ENDINGS = (
    VenueError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    OSError,
    *reference.ENDINGS,
)
"""Everything that a peer or a network can make come out of a connection."""


class Refusal(msgspec.Struct, rename="camel"):
    """`data` of an error."""

    server_time: int | None = None
    retry_after: int | None = None
    """When to come back, ms since 1970."""


class ErrorBody(msgspec.Struct):
    """Why a request was refused."""

    code: int = 0
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class Answer(msgspec.Struct, rename="camel"):
    """The answer to one request."""

    id: int | str | None = None
    status: int = 0
    """As in HTTP."""
    result: msgspec.Raw = msgspec.Raw(b"")
    error: ErrorBody | None = None
    rate_limits: list[RateLimit] = []
    event: msgspec.Raw = msgspec.Raw(b"")
    """It is no answer, but something told unasked."""

    @property
    def retry(self) -> Refusal:
        """When to come back, as far as it was said."""
        if self.error is None:
            return Refusal()
        try:
            return msgspec.json.decode(self.error.data, type=Refusal | None) or Refusal()
        except msgspec.DecodeError:
            return Refusal()


class _Event(msgspec.Struct):
    e: str = ""


_decode = msgspec.json.Decoder(Answer).decode
_decode_event = msgspec.json.Decoder(_Event).decode


class HandshakeRefused(VenueError):
    """The venue did not let us in; `status` is its HTTP status."""

    def __init__(self, status: int, retry_after: str | None) -> None:
        super().__init__(f"expected HTTP 101, got {status}")
        self.status = status
        self.retry_after = retry_after


class WsApi:
    """A connection; used once, by one caller of `run`.

    `take` is called on the connection's task with the kind of each event and its JSON, and must
    neither block nor raise anything but VenueError, which ends the connection.
    """

    def __init__(
        self,
        url: str,
        *,
        take: Callable[[str, bytes], None],
        timing: Timing | None = None,
        open_stream: OpenStream = open_network_stream,
        open_websocket: OpenWebsocket = reference.open_reference,
    ) -> None:
        """`url` such as `wss://ws-api.binance.com/ws-api/v3`; the path may be left out.

        Raises ValueError for what is no ws: or wss: address.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ValueError(f"expected ws://HOST[:PORT] or wss://HOST[:PORT], got {url[:200]!r}")
        self._host = parts.hostname
        self._tls = parts.scheme == "wss"
        self._port = parts.port or (443 if self._tls else 80)
        self._path = parts.path.rstrip("/") or PATH
        self._take = take
        self._timing = timing or Timing()
        self._open_stream = open_stream
        self._open_websocket = open_websocket
        self._websocket: Websocket | None = None
        self._ids = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._last_frame = 0.0
        self._quiet = trio.Event()

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return self._websocket is not None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connect and receive until the end, which is always an error: VenueError says why.

        `started()` is called once requests can be sent. The socket is closed in every case, and
        everybody who waits for an answer gets VenueError.
        """
        reason: VenueError | None = None
        try:
            await self._connect_and_read(task_status)
        except* ENDINGS as group:
            reason = _because(group)
        raise reason or VenueError("the connection is over")

    async def request(self, method: str, params: Mapping[str, object], *, within: float) -> Answer:
        """Send one request, and return its answer, which may be an error of the venue's.

        Raises VenueError when none comes within so many seconds, or the connection ends: it may
        have been carried out. Cancelled, the same is true; a late answer is dropped.
        """
        websocket = self._websocket
        if websocket is None:
            raise VenueError(f"{method}: expected an open connection, it is over")
        identity = next(self._ids)
        waiting = self._waiting[identity] = _Waiting()
        text = msgspec.json.encode({"id": identity, "method": method, "params": params}).decode()
        try:
            with trio.fail_after(within):
                await websocket.send_text(text)
                return await waiting.answer()
        except trio.TooSlowError:
            raise VenueError(f"{method}: expected an answer in {within:g} s, got none") from None
        except ENDINGS as error:
            raise VenueError(f"{method}: {_because(error)}") from None
        finally:
            del self._waiting[identity]
            if not self._waiting:
                self._quiet.set()

    async def wait_quiet(self) -> None:
        """Wait until nobody waits for an answer."""
        while self._waiting:
            self._quiet = trio.Event()
            await self._quiet.wait()

    async def _connect_and_read(self, task_status: trio.TaskStatus[None]) -> None:
        stream: trio.abc.Stream | None = None
        try:
            async with trio.open_nursery() as nursery:
                with trio.move_on_after(self._timing.connect_within) as deadline:
                    stream = await self._open_stream(self._host, self._port, self._tls)
                    self._websocket = await self._open_websocket(
                        nursery, stream, f"{self._host}:{self._port}", self._path
                    )
                if deadline.cancelled_caught or self._websocket is None:
                    seconds = self._timing.connect_within
                    raise VenueError(f"expected a connection in {seconds:g} s, got none")
                self._last_frame = trio.current_time()
                nursery.start_soon(self._watch, self._websocket)
                # From here on requests are sent and their answers are read.
                task_status.started()
                await self._read(self._websocket)
        finally:
            self._websocket = None
            for waiting in self._waiting.values():
                waiting.end()
            if stream is not None:
                await trio.aclose_forcefully(stream)

    async def _read(self, websocket: Websocket) -> NoReturn:
        while True:
            batch = await websocket.receive_batch()
            self._last_frame = trio.current_time()
            for frame in batch:
                self._handle(frame)

    def _handle(self, frame: str | bytes) -> None:
        try:
            answer = _decode(frame)
            kind = _decode_event(answer.event).e if answer.event else ""
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise VenueError(f"expected an answer or an event, got neither: {error}") from None
        if answer.event:
            self._take(kind, bytes(answer.event))
        elif isinstance(answer.id, int):
            waiting = self._waiting.get(answer.id)
            if waiting is not None:
                waiting.settle(answer)
        else:
            # Such as a key that was revoked: it is about the whole connection.
            said = answer.error or ErrorBody()
            raise RefusedByVenue("the session was ended", answer.status, said.code, said.msg)

    async def _watch(self, websocket: Websocket) -> NoReturn:
        """Ping when the peer is silent; end the connection when it stays so."""
        timing = self._timing
        while True:
            silent_at = self._last_frame + timing.ping_after
            if trio.current_time() < silent_at:
                await trio.sleep_until(silent_at)
                continue
            before = self._last_frame
            with trio.move_on_after(timing.pong_within):
                await websocket.ping()
                self._last_frame = trio.current_time()
            if self._last_frame == before:
                silence = trio.current_time() - before
                raise VenueError(f"expected a pong or any frame, got nothing for {silence:.0f} s")


class _Waiting:
    """Somebody who asked."""

    def __init__(self) -> None:
        self._answer: Answer | None = None
        self._settled = trio.Event()

    def settle(self, answer: Answer) -> None:
        self._answer = answer
        self._settled.set()

    def end(self) -> None:
        self._settled.set()

    async def answer(self) -> Answer:
        await self._settled.wait()
        if self._answer is None:
            raise VenueError("the connection ended before the answer")
        return self._answer


def _because(error: BaseException) -> VenueError:
    """Why a connection ended; of several reasons the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, VenueError):
        return error
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        headers = {bytes(k).lower(): v for k, v in getattr(error, "headers", None) or ()}
        after = headers.get(b"retry-after")
        return HandshakeRefused(status, None if after is None else after.decode("ascii", "replace"))
    return VenueError(reference.describe(error))
