"""WebSocket connections of clients: sending, pings, and how they end.

Handshake, pings, closing and received messages go through trio-websocket. Sent frames do not: each
is made once per event and written in batches beside the library, on the same stream under one
lock, because a library call and a system call for each frame of each client would be most of the
cost.
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
"""The venue drops a client that has not ponged by then."""

_CLOSING_SECONDS = 1.0
"""Time for the closing handshake at the end of a connection's day."""


@attrs.define(eq=False)
class SharedStream(trio.abc.Stream):
    """A stream with two writers: trio-websocket, and the writer of the venue's frames."""

    _stream: trio.abc.Stream
    _lock: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _unread: bytes = attrs.field(default=b"", init=False)

    def unread(self, data: bytes) -> None:
        """Let the next `receive_some` return bytes that were read before."""
        self._unread = data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes to the client."""
        async with self._lock:
            await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until a send might not block."""
        async with self._lock:
            await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive bytes of the client; empty at its end."""
        if self._unread:
            await trio.lowlevel.checkpoint()
            data, self._unread = self._unread, b""
            return data
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()


@attrs.define(eq=False)
class ChangeNotifier:
    """Lets tasks wait until the faults were replaced."""

    _event: trio.Event = attrs.field(factory=trio.Event, init=False)

    def notify(self) -> None:
        """Wake all waiting tasks."""
        self._event.set()
        self._event = trio.Event()

    async def wait(self) -> None:
        """Return at the next change."""
        await self._event.wait()


@attrs.frozen(kw_only=True)
class ClientWebSocket:
    """One open connection, of market streams or of the WS API."""

    connection: WebSocketConnection
    stream: SharedStream
    send_queue: SendQueue
    scope: trio.CancelScope
    """Cancelling it cuts the connection without a closing handshake."""

    async def write(self) -> None:
        """Send queued frames as fast as the client reads. A cancelled send ends the connection."""
        while self.connection.closed is None:
            await self.stream.send_all(await self.send_queue.take())

    async def keep_alive(self, on_silence: Callable[[], None]) -> None:
        """Ping the client; when it no longer answers, cut the connection."""
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

    async def close_when_due(
        self, faults: FaultPlan, changes: ChangeNotifier, shutdown: Callable[[], dict[str, object]]
    ) -> None:
        """Warn and close when the connection's time is over, by the present faults.

        `shutdown` makes the `serverShutdown` event in this connection's shape.
        """
        opened = trio.current_time()
        is_warned = False
        while True:
            # Compared as absolute times: a rounded age may stay below the limit for ever.
            now, at = faults.now, trio.current_time()
            cut_at = opened + (now.disconnect_every or math.inf)
            closes_at = opened + now.cut_after
            if at >= cut_at:
                break
            if at >= closes_at:
                # Queued behind the other frames: the library would close before those are sent.
                # The client's answer ends the connection; the scope ends one that does not answer.
                self.send_queue.put_last(close_frame(1001, "the connection is a day old"))
                await trio.sleep(_CLOSING_SECONDS)
                break
            warns_at = closes_at - now.shutdown_notice if now.shutdown_notice else math.inf
            if not is_warned and at >= warns_at:
                is_warned = True
                text = json.dumps(shutdown(), separators=(",", ":"))
                self.send_queue.put(text_frame(text.encode()))
            with trio.move_on_at(min(cut_at, closes_at, math.inf if is_warned else warns_at)):
                await changes.wait()
        self.scope.cancel()
