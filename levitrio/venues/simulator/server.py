"""The simulator's network shell: the venue's market streams on 127.0.0.1.

The handshake, pings, closing and what clients say go through trio-websocket. What the tape
says does not: its frames are made once per event and written in batches beside it, on the same
stream under one lock, because a library call and a system call for each frame of each client
would be most of the cost.
"""

import math
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import attrs
import trio
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    WebSocketRequest,
    wrap_server_stream,
)

from levitrio.errors import UsageError
from levitrio.venues.simulator.generated import GeneratedTape
from levitrio.venues.simulator.outbox import Outbox, text_frame
from levitrio.venues.simulator.player import Listener, Player, Reserve
from levitrio.venues.simulator.recorded import RecordedTape
from levitrio.venues.simulator.streams import StreamSession
from levitrio.venues.simulator.tape import Tape

HOST = "127.0.0.1"

PING_SECONDS = 20.0
"""How often the venue pings."""

PONG_SECONDS = 60.0
"""The venue drops a peer that has not ponged by then."""

_HANDSHAKE_SECONDS = 10.0
"""A peer that connects and says nothing is let go."""

_QUEUED_REQUESTS = 64
"""Control messages of one client that wait; with fewer its pongs would wait behind them."""

_SEND_BUFFER = 256 * 1024
"""Bytes: the kernel would keep megabytes for a slow client, and pings would wait behind them."""

OnEvent = Callable[[str, str], None]
"""Told a kind and a text: `tape_ended`, `recording_refused`, `client_failed`, `client_silent`."""


def _ignore(kind: str, text: str) -> None:
    pass


@attrs.define(eq=False)
class _SharedStream(trio.abc.Stream):
    """One stream, two writers: trio-websocket, and the writer of the tape's frames."""

    _stream: trio.abc.Stream
    _lock: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        async with self._lock:
            await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        async with self._lock:
            await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()


class Simulator:
    """A venue of our own. Nothing listens before `run`; everything is closed after it."""

    def __init__(
        self,
        *,
        seed: int = 0,
        speed: float = 1.0,
        recordings: Sequence[Path] = (),
        port: int = 0,
        expected_streams: frozenset[str] | None = None,
        wall_clock: Callable[[], float],
        reserve: Reserve | None = None,
        start_after_ms: int = 0,
        on_event: OnEvent = _ignore,
    ) -> None:
        """Prepare a simulator; reads the first lines of recordings.

        Args:
            seed: of the generated market; without meaning for recordings.
            speed: market seconds per real second, an upper bound; `inf` is allowed.
            recordings: played instead of the generated market, merged by local time.
            port: on 127.0.0.1; 0 lets the system choose.
            expected_streams: names as clients write them (`btcusdt@trade`); the tape starts
                once all of them are subscribed. None: once the first request to subscribe was
                carried out.
            wall_clock: seconds since 1970; where a generated market begins.
            reserve: awaited with a market time (ms) before the generated tape passes the one
                before, so that the next start can be told `start_after_ms`. Its error ends `run`.
            start_after_ms: a generated market begins no earlier.
            on_event: told a kind and a text; must neither block nor raise.

        Raises:
            UsageError: the speed is not positive, or a recording cannot be read.
        """
        if math.isnan(speed) or speed <= 0:
            raise UsageError(f"speed: expected a number above 0, got {speed!r}")
        self._port = port
        self._on_event = on_event
        self._url: str | None = None
        self._recorded: RecordedTape | None = None
        tape: Tape
        if recordings:
            tape = self._recorded = RecordedTape(
                recordings, lambda problem: on_event("recording_refused", problem)
            )
        else:
            tape = GeneratedTape(seed)
        self._tape = tape
        self._player = Player(
            tape=tape,
            speed=speed,
            expected_streams=expected_streams,
            wall_clock=wall_clock,
            reserve=reserve,
            start_after_ms=start_after_ms,
        )

    @property
    def url(self) -> str:
        """Such as `ws://127.0.0.1:9443`; only once `run` has started."""
        if self._url is None:
            raise RuntimeError("the simulator has no url before run() has started")
        return self._url

    @property
    def started(self) -> trio.Event:
        """The tape has begun."""
        return self._player.started

    @property
    def ended(self) -> trio.Event:
        """The recording was played to its end; connections stay open, and silent."""
        return self._player.ended

    @property
    def market_ms(self) -> int:
        """How far the tape has come, ms since 1970; 0 before it began."""
        return self._tape.market_ms

    async def run(self, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled, also after the tape has ended.

        `started()` gets the url, when connections are accepted. Cancellation closes every
        connection without a closing handshake. Raises UsageError when the port is taken.
        """
        try:
            listeners = await trio.open_tcp_listeners(self._port, host=HOST)
        except OSError as error:
            raise UsageError(
                f"port {self._port}: expected one that is free on {HOST}, got: {error}"
            ) from None
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(trio.serve_listeners, self.handle, listeners)
                self._url = f"ws://{HOST}:{listeners[0].socket.getsockname()[1]}"
                task_status.started(self._url)
                await self.play()
                await trio.sleep_forever()
        finally:
            if self._recorded is not None:
                self._recorded.close()

    async def play(self) -> None:
        """Play the tape to its end, if it has one; `run` does it."""
        await self._player.run()
        if self._recorded is not None:
            self._on_event(
                "tape_ended",
                f"{self._recorded.trades} trades played, {self._recorded.refused} lines refused",
            )

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serve one client until either side closes; `run` does it for each that connects.

        Whatever goes wrong with one client ends that client only. The stream is closed.
        """
        if isinstance(stream, trio.SocketStream):
            with suppress(OSError):
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        try:
            await self._serve(_SharedStream(stream))
        except* (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
            # The client went away: nobody's failure.
            pass
        except* Exception as failures:  # noqa: BLE001  one client must not end the venue
            for failure in _leaves(failures):
                self._on_event("client_failed", f"{type(failure).__name__}: {failure}")
        finally:
            await trio.aclose_forcefully(stream)

    async def _serve(self, stream: _SharedStream) -> None:
        async with trio.open_nursery() as nursery:
            request: WebSocketRequest | None = None
            with trio.move_on_after(_HANDSHAKE_SECONDS):
                request = await wrap_server_stream(
                    nursery, stream, message_queue_size=_QUEUED_REQUESTS
                )
            session = StreamSession.open(request.path) if request is not None else None
            if request is None:
                pass
            elif session is None:
                await request.reject(404, body=b"expected /ws or /stream")
            else:
                connection = await request.accept()
                await self._converse(connection, stream, session)
            nursery.cancel_scope.cancel()

    async def _converse(
        self, connection: WebSocketConnection, stream: _SharedStream, session: StreamSession
    ) -> None:
        """All that happens on an open connection; returns when it is over."""
        listener = Listener(session, Outbox())
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_write, connection, stream, listener.outbox)
                nursery.start_soon(self._keep_alive, connection, nursery.cancel_scope)
                await self._subscribe(listener, tuple(session.subscriptions))
                await self._answer(connection, listener)
                nursery.cancel_scope.cancel()
        finally:
            # No await before this: a listener that is gone must not hold up the tape.
            listener.outbox.close()
            self._player.unsubscribe_all(listener)

    async def _answer(self, connection: WebSocketConnection, listener: Listener) -> None:
        """Carry out what the client asks, in order, until it closes."""
        while True:
            try:
                message = await connection.get_message()
            except ConnectionClosed:
                return
            reply = listener.session.handle(message)
            listener.outbox.put(text_frame(reply.text.encode()))
            self._player.unsubscribe(listener, reply.removed)
            await self._subscribe(listener, reply.added)
            await listener.outbox.wait_room()

    async def _subscribe(self, listener: Listener, streams: Sequence[str]) -> None:
        for stream in streams:
            self._player.subscribe(listener, stream)
            # A kline looks back over up to an hour of trades: others get a turn in between.
            await trio.lowlevel.checkpoint()
        self._player.check_start()

    async def _keep_alive(self, connection: WebSocketConnection, scope: trio.CancelScope) -> None:
        next_ping = trio.current_time()
        while True:
            next_ping += PING_SECONDS
            await trio.sleep_until(next_ping)
            with trio.move_on_after(PONG_SECONDS) as waiting:
                await connection.ping(b"%d" % int(next_ping * 1000))
            if waiting.cancelled_caught:
                self._on_event("client_silent", f"no pong within {PONG_SECONDS:g} s: closed")
                scope.cancel()
                return


def _leaves(group: ExceptionGroup[Exception]) -> Iterator[Exception]:
    for failure in group.exceptions:
        if isinstance(failure, ExceptionGroup):
            yield from _leaves(failure)
        else:
            yield failure


async def _write(connection: WebSocketConnection, stream: _SharedStream, outbox: Outbox) -> None:
    """Send what waits, as fast as the client takes it. A cancelled send ends the connection."""
    while connection.closed is None:
        await stream.send_all(await outbox.take())
