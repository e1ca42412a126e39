"""One connection to the market streams: everything trio-websocket is in here.

The library reads the socket in a task of its own and answers pings there. It stops reading when
its message queue is full, and then the pongs stop too; so our queue is long and whoever receives
is synchronous, as an inbox is.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import NoReturn, cast
from urllib.parse import urlsplit

import attrs
import h11
import msgspec
import trio
import trio_websocket
import wsproto.utilities

from levitrio.errors import VenueError
from levitrio.venues.binance.limits import TokenBucket, message_bucket
from levitrio.venues.binance.network import OpenStream, open_network_stream
from levitrio.venues.binance.wire import Decoded, Received, Reply, ServerShutdown

MESSAGE_QUEUE = 1024
"""Frames read ahead of us: a tenth of a second at the fastest the library can read."""
RECEIVE_BYTES = 1 << 16
"""The library's own 4 KiB is one system call for every twenty trades."""
MAX_MESSAGE = 4 << 20
"""Bytes; above it the library ends the connection. From 1 MiB on the decoder refuses the frame."""
CHUNK = 200
"""Streams in one SUBSCRIBE, about 5 KB of text: far below any message limit."""


Receive = Callable[[Received], None]
"""Where what was decoded goes, at once: must neither block nor raise."""


@attrs.frozen(kw_only=True)
class Timing:
    """How long a connection waits for what, in seconds. Its sum bounds how long we are deaf."""

    connect_within: float = 10.0
    reply_within: float = 10.0
    """Between a control message and its answer."""
    ping_after: float = 10.0
    """Without any frame. The venue pings every 20 s, so a dead link is known before that."""
    pong_within: float = 10.0
    """Then the connection is dead: 20 s after its last sign of life, and 30 are allowed."""


_ENDINGS = (
    VenueError,
    trio_websocket.ConnectionClosed,
    trio_websocket.HandshakeError,
    wsproto.utilities.ProtocolError,
    h11.ProtocolError,  # the library answers garbage in a handshake out of turn
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    OSError,
    UnicodeDecodeError,  # a handshake or a close reason that is not text
)
"""Everything that a peer or a network can make come out of the library."""


class Connection:
    """A connection with combined streams; used once, by one caller of `run`.

    `receive` is called on the connection's task with everything decoded that is not an answer to
    a request, and must neither block nor raise.
    """

    def __init__(
        self,
        url: str,
        *,
        decode: Callable[[str | bytes], Decoded],
        receive: Receive,
        timing: Timing | None = None,
        messages: TokenBucket | None = None,
        open_stream: OpenStream = open_network_stream,
    ) -> None:
        """`url` is the venue's base, such as `wss://stream.binance.com:9443`.

        Raises ValueError for a URL that is no ws: or wss: address.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ValueError(f"expected ws://HOST[:PORT] or wss://HOST[:PORT], got {url[:200]!r}")
        self._host = parts.hostname
        self._tls = parts.scheme == "wss"
        self._port = parts.port or (443 if self._tls else 80)
        path = parts.path.rstrip("/")
        self._path = path if path.endswith("/stream") else f"{path}/stream"
        self._decode = decode
        self._receive = receive
        self._timing = timing or Timing()
        self._messages = messages or message_bucket()
        self._open_stream = open_stream
        self._websocket: trio_websocket.WebSocketConnection | None = None
        self._ids = itertools.count(1)
        self._waiting: dict[int, _Answer] = {}
        self._last_frame = 0.0
        self.frames = 0
        """Messages received so far, answers included."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connect and receive until the end, which is always an error: `VenueError` says why.

        `started()` is called once the handshake is done and requests can be sent. The socket is
        closed in every case; cancelled, without the closing handshake.
        """
        reason = ""
        try:
            await self._connect_and_read(task_status)
        except* _ENDINGS as group:
            reason = _describe(group)
        raise VenueError(reason)

    async def subscribe(self, names: Sequence[str]) -> list[str]:
        """Ask for streams, and wait until the venue has acknowledged them all.

        A venue refuses a whole message for one name in it; such a message is halved and sent
        again. Returns the names that were refused. Raises VenueError when there is no answer;
        cancelled, some may be subscribed.
        """
        refused: list[str] = []
        parts = [names[i : i + CHUNK] for i in range(0, len(names), CHUNK)]
        while parts:
            part = parts.pop()
            if (await self.request("SUBSCRIBE", part)).error is None:
                continue
            if len(part) == 1:
                refused.extend(part)
            else:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
        return refused

    async def unsubscribe(self, names: Sequence[str]) -> None:
        """Ask for no more of these streams, and wait for the acknowledgement; as `subscribe`."""
        for i in range(0, len(names), CHUNK):
            reply = await self.request("UNSUBSCRIBE", names[i : i + CHUNK])
            if reply.error is not None:
                raise VenueError(f"UNSUBSCRIBE: expected an acknowledgement, got {reply.error!r}")

    async def list_subscriptions(self) -> list[str]:
        """What the venue believes we are subscribed to. Raises VenueError without a list."""
        reply = await self.request("LIST_SUBSCRIPTIONS")
        if reply.error is not None or not isinstance(reply.result, list):
            raise VenueError(f"LIST_SUBSCRIPTIONS: expected a list, got {reply!r:.200}")
        return [str(name) for name in reply.result]

    async def request(self, method: str, params: Sequence[str] | None = None) -> Reply:
        """Send a control message within the venue's rate, and return its answer.

        Raises VenueError when none comes in time, or the connection is over. Cancelled, the
        message may have been sent; a late answer is ignored.
        """
        identity = next(self._ids)
        message: dict[str, object] = {"method": method, "id": identity}
        if params is not None:
            message["params"] = list(params)
        answer = self._waiting[identity] = _Answer()
        try:
            await trio.sleep(self._messages.reserve(trio.current_time()))
            if self._websocket is None:
                raise VenueError(f"{method}: expected an open connection, it is over")
            with trio.fail_after(self._timing.reply_within):
                await self._websocket.send_message(msgspec.json.encode(message).decode())
                return await answer.wait()
        except trio.TooSlowError:
            seconds = self._timing.reply_within
            raise VenueError(f"{method}: expected an answer in {seconds:g} s, got none") from None
        except trio_websocket.ConnectionClosed as end:
            raise VenueError(_describe(end)) from None
        finally:
            del self._waiting[identity]

    async def _connect_and_read(self, task_status: trio.TaskStatus[None]) -> None:
        stream: trio.abc.Stream | None = None
        try:
            async with trio.open_nursery() as nursery:
                with trio.move_on_after(self._timing.connect_within) as deadline:
                    stream = await self._open_stream(self._host, self._port, self._tls)
                    websocket = await trio_websocket.wrap_client_stream(
                        nursery,
                        # The library is typed for sockets, but uses nothing else of them.
                        cast(trio.SocketStream, stream),
                        f"{self._host}:{self._port}",
                        self._path,
                        message_queue_size=MESSAGE_QUEUE,
                        max_message_size=MAX_MESSAGE,
                        receive_buffer_size=RECEIVE_BYTES,
                    )
                if deadline.cancelled_caught:
                    seconds = self._timing.connect_within
                    raise VenueError(f"expected a connection in {seconds:g} s, got none")
                self._last_frame = trio.current_time()
                self._websocket = websocket
                nursery.start_soon(self._watch, websocket)
                # From here on requests are sent and their answers are read.
                task_status.started()
                await self._read(websocket)
        finally:
            self._websocket = None
            if stream is not None:
                # Closes at once also when cancelled: a peer that is silent costs no grace.
                await trio.aclose_forcefully(stream)

    async def _read(self, websocket: trio_websocket.WebSocketConnection) -> NoReturn:
        # `get_message` is a checkpoint for each frame, so engines get their turn between two.
        while True:
            frame = await websocket.get_message()
            self._last_frame = trio.current_time()
            self.frames += 1
            decoded = self._decode(frame)
            if isinstance(decoded, Reply):
                self._settle(decoded)
            elif isinstance(decoded, ServerShutdown):
                raise VenueError("the venue announced its shutdown")
            else:
                self._receive(decoded)

    def _settle(self, reply: Reply) -> None:
        answer = self._waiting.get(reply.id) if isinstance(reply.id, int) else None
        if answer is not None:
            answer.settle(reply)

    async def _watch(self, websocket: trio_websocket.WebSocketConnection) -> NoReturn:
        """Ping when the peer is silent; end the connection when it stays so."""
        timing = self._timing
        while True:
            silent_at = self._last_frame + timing.ping_after
            if trio.current_time() < silent_at:
                await trio.sleep_until(silent_at)
                continue
            await trio.sleep(self._messages.reserve(trio.current_time()))
            before = self._last_frame
            with trio.move_on_after(timing.pong_within):
                await websocket.ping()
                self._last_frame = trio.current_time()
            if self._last_frame == before:
                silence = trio.current_time() - before
                raise VenueError(f"expected a pong or any frame, got nothing for {silence:.0f} s")


class _Answer:
    """A reply somebody waits for."""

    def __init__(self) -> None:
        self._reply: Reply | None = None
        self._settled = trio.Event()

    def settle(self, reply: Reply) -> None:
        self._reply = reply
        self._settled.set()

    async def wait(self) -> Reply:
        await self._settled.wait()
        assert self._reply is not None
        return self._reply


def _describe(error: BaseException) -> str:
    """Why a connection ended, in a line; of several reasons the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, VenueError):
        return str(error)
    if isinstance(error, trio_websocket.ConnectionClosed):
        end = error.reason
        if end is None:
            return "the connection was closed"
        words = f" {end.reason[:200]!r}" if end.reason else ""
        return f"the venue closed the connection: {end.code} {end.name}{words}"
    if isinstance(error, trio_websocket.ConnectionRejected):
        return f"expected HTTP 101, got {error.status_code}"
    cause = error.__cause__
    text = f"{error}: {cause}" if cause else f"{error}"
    return f"{type(error).__name__}: {text}"[:300]
