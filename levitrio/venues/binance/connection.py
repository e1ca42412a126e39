"""One connection to the market streams: its requests, its liveness and its end.

Who takes frames off the socket is chosen by `READERS`; see `websocket`.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import NoReturn
from urllib.parse import urlsplit

import attrs
import msgspec
import trio

from levitrio.errors import VenueError
from levitrio.venues.binance import reference
from levitrio.venues.binance.limits import TokenBucket, message_bucket
from levitrio.venues.binance.messages import Decoded, Received, Reply, ServerShutdown
from levitrio.venues.binance.network import OpenStream, open_network_stream
from levitrio.venues.binance.reader import open_fast
from levitrio.venues.binance.websocket import OpenWebsocket, Websocket

READERS: dict[str, OpenWebsocket] = {
    "trio-websocket": reference.open_reference,
    "fast": open_fast,
}
"""What `feed.reader` can say."""
CHUNK = 200
"""Streams in one SUBSCRIBE, about 5 KB of text: far below any message limit."""


Decode = Callable[[Sequence[str | bytes]], Sequence[Decoded]]
"""Frames of one read -> what they say, one for one and in their order. Must not raise."""

Receive = Callable[[Received, float], None]
"""Where what was decoded goes, at once, with the monotonic time of its read: must neither block
nor raise."""


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
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    OSError,
    *reference.ENDINGS,
)
"""Everything that a peer or a network can make come out of a reader."""


class Connection:
    """A connection with combined streams; used once, by one caller of `run`.

    `receive` is called on the connection's task with everything decoded that is not an answer to
    a request, and must neither block nor raise.
    """

    def __init__(
        self,
        url: str,
        *,
        decode: Decode,
        receive: Receive,
        timing: Timing | None = None,
        messages: TokenBucket | None = None,
        open_stream: OpenStream = open_network_stream,
        open_websocket: OpenWebsocket = open_fast,
        on_shutdown: Callable[[], None] | None = None,
    ) -> None:
        """`url` is the venue's base, such as `wss://stream.binance.com:9443`.

        `on_shutdown` is called when the venue announces that it will close the connection;
        without it the announcement is the end.

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
        self._open_websocket = open_websocket
        self._on_shutdown = on_shutdown
        self._websocket: Websocket | None = None
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
                await self._websocket.send_text(msgspec.json.encode(message).decode())
                return await answer.wait()
        except trio.TooSlowError:
            seconds = self._timing.reply_within
            raise VenueError(f"{method}: expected an answer in {seconds:g} s, got none") from None
        finally:
            del self._waiting[identity]

    async def _connect_and_read(self, task_status: trio.TaskStatus[None]) -> None:
        stream: trio.abc.Stream | None = None
        try:
            async with trio.open_nursery() as nursery:
                with trio.move_on_after(self._timing.connect_within) as deadline:
                    stream = await self._open_stream(self._host, self._port, self._tls)
                    websocket = await self._open_websocket(
                        nursery, stream, f"{self._host}:{self._port}", self._path
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

    async def _read(self, websocket: Websocket) -> NoReturn:
        # A checkpoint for each batch, so engines get their turn after at most 256 KiB.
        receive = self._receive
        while True:
            batch = await websocket.receive_batch()
            now = self._last_frame = trio.current_time()
            self.frames += len(batch)
            for decoded in self._decode(batch):
                if not isinstance(decoded, Reply | ServerShutdown):
                    receive(decoded, now)
                elif isinstance(decoded, Reply):
                    self._settle(decoded)
                elif self._on_shutdown is None:
                    raise VenueError("the venue announced its shutdown")
                else:
                    self._on_shutdown()

    def _settle(self, reply: Reply) -> None:
        answer = self._waiting.get(reply.id) if isinstance(reply.id, int) else None
        if answer is not None:
            answer.settle(reply)

    async def _watch(self, websocket: Websocket) -> NoReturn:
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
    return str(error) if isinstance(error, VenueError) else reference.describe(error)
