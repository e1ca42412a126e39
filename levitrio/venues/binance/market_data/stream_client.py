"""One connection to the market streams: its requests, and where what comes over it goes.

Who takes frames off the socket is chosen by `READERS`; see `websocket`.
"""

from collections.abc import Callable, Sequence

import trio

from levitrio.errors import VenueError
from levitrio.venues.binance.market_data.messages import Decoded, Received, Reply, ServerShutdown
from levitrio.venues.binance.rate_limits.token_bucket import TokenBucket, message_bucket
from levitrio.venues.binance.websocket import library_client
from levitrio.venues.binance.websocket.fast_client import open_fast
from levitrio.venues.binance.websocket.interface import OpenWebsocket
from levitrio.venues.binance.websocket.network import OpenStream, open_network_stream
from levitrio.venues.binance.websocket.request_client import RequestClient, Timing

READERS: dict[str, OpenWebsocket] = {
    "trio-websocket": library_client.open_library,
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


class StreamClient:
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
        messages = messages or message_bucket()
        self._requests = RequestClient[Reply](
            url,
            path=lambda path: path if path.endswith("/stream") else f"{path}/stream",
            timing=timing,
            open_stream=open_stream,
            open_websocket=open_websocket,
            reserve=messages.reserve,
        )
        self._decode = decode
        self._receive = receive
        self._on_shutdown = on_shutdown
        self.frames = 0
        """Messages received so far, answers included."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connect and receive until the end, which is always an error: `VenueError` says why.

        `started()` is called once the handshake is done and requests can be sent. The socket is
        closed in every case; cancelled, without the closing handshake.
        """
        await self._requests.run(self._handle, task_status=task_status)

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

    async def request(self, method: str, params: Sequence[str] | None = None) -> Reply:
        """Send a control message within the venue's rate, and return its answer.

        Raises VenueError when none comes in time, or the connection is over. Cancelled, the
        message may have been sent; a late answer is ignored.
        """
        params = None if params is None else list(params)
        within = self._requests.timing.reply_within
        return await self._requests.ask(method, params, within=within)

    def _handle(self, batch: list[str | bytes], now: float) -> None:
        self.frames += len(batch)
        receive = self._receive
        for decoded in self._decode(batch):
            if not isinstance(decoded, Reply | ServerShutdown):
                receive(decoded, now)
            elif isinstance(decoded, Reply):
                if isinstance(decoded.id, int):
                    self._requests.answer(decoded.id, decoded)
            elif self._on_shutdown is None:
                raise VenueError("the venue announced its shutdown")
            else:
                self._on_shutdown()
