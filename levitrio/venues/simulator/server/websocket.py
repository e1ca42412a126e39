"""What the two kinds of WebSocket connections share: frames, pings, and how they end.

The handshake, pings, closing and what clients say go through trio-websocket. What the venue says
does not: its frames are made once per event and written in batches beside it, on the same stream
under one lock, because a library call and a system call for each frame of each client would be
most of the cost.
"""

import json
import math
from collections.abc import Callable

import attrs
import trio
from trio_websocket import WebSocketConnection

from levitrio.venues.simulator.exchange.faults import FaultPlan
from levitrio.venues.simulator.server.send_queue import SendQueue, close_frame, text_frame

PING_SECONDS = 20.0
"""How often the venue pings."""

PONG_SECONDS = 60.0
"""The venue drops a peer that has not ponged by then."""

_CLOSING_SECONDS = 1.0
"""For the closing handshake of a connection whose day is over."""


@attrs.define(eq=False)
class SharedStream(trio.abc.Stream):
    """One stream, two writers: trio-websocket, and the writer of the venue's frames."""

    _stream: trio.abc.Stream
    _lock: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _unread: bytes = attrs.field(default=b"", init=False)

    def unread(self, data: bytes) -> None:
        """Let the next `receive_some` return what was read before."""
        self._unread = data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        async with self._lock:
            await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        async with self._lock:
            await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self._unread:
            await trio.lowlevel.checkpoint()
            data, self._unread = self._unread, b""
            return data
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()


@attrs.define(eq=False)
class ChangeNotifier:
    """Lets tasks wait until the faults were replaced."""

    _event: trio.Event = attrs.field(factory=trio.Event, init=False)

    def notify(self) -> None:
        """Wake everybody who waits."""
        self._event.set()
        self._event = trio.Event()

    async def wait(self) -> None:
        """Return at the next change."""
        await self._event.wait()


@attrs.frozen(kw_only=True)
class ClientWebSocket:
    """One open connection, whichever door it came through."""

    connection: WebSocketConnection
    stream: SharedStream
    outbox: SendQueue
    scope: trio.CancelScope
    """Cancelling it cuts the connection without a closing handshake."""

    async def write(self) -> None:
        """Send what waits, as fast as the client takes it. A cancelled send ends the connection."""
        while self.connection.closed is None:
            await self.stream.send_all(await self.outbox.take())

    async def keep_alive(self, on_silence: Callable[[], None]) -> None:
        """Ping until the client no longer answers, then cut the connection."""
        next_ping = trio.current_time()
        while True:
            next_ping += PING_SECONDS
            await trio.sleep_until(next_ping)
            with trio.move_on_after(PONG_SECONDS) as waiting:
                await self.connection.ping(b"%d" % int(next_ping * 1000))
            if waiting.cancelled_caught:
                on_silence()
                self.scope.cancel()
                return

    async def grow_old(
        self, faults: FaultPlan, changes: ChangeNotifier, shutdown: Callable[[], dict[str, object]]
    ) -> None:
        """Warn and close when the connection's time is over, by the faults of now.

        `shutdown` gives the `serverShutdown` event as this connection sends it.
        """
        opened = trio.current_time()
        is_warned = False
        while True:
            # Compared as moments that are slept until: an age, rounded, may stay below for ever.
            now, at = faults.now, trio.current_time()
            cut_at = opened + (now.disconnect_every or math.inf)
            closes_at = opened + now.cut_after
            if at >= cut_at:
                break
            if at >= closes_at:
                # Behind what waits, and by hand: the library would close before that is sent. The
                # client's answer ends the connection; the scope ends one that does not answer.
                self.outbox.put_last(close_frame(1001, "the connection is a day old"))
                await trio.sleep(_CLOSING_SECONDS)
                break
            warns_at = closes_at - now.shutdown_notice if now.shutdown_notice else math.inf
            if not is_warned and at >= warns_at:
                is_warned = True
                text = json.dumps(shutdown(), separators=(",", ":"))
                self.outbox.put(text_frame(text.encode()))
            with trio.move_on_at(min(cut_at, closes_at, math.inf if is_warned else warns_at)):
                await changes.wait()
        self.scope.cancel()
