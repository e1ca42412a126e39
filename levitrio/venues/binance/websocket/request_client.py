"""Requests and replies over one websocket: opened in time, watched for silence, always closed.

The market stream connections and the WS API connection share it. It knows neither the requests nor
how frames are read.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import Generic, NoReturn, TypeVar
from urllib.parse import urlsplit

import attrs
import msgspec
import trio

from levitrio.errors import VenueError, first_error
from levitrio.venues.binance.websocket import library_client
from levitrio.venues.binance.websocket.interface import OpenWebsocket, Websocket
from levitrio.venues.binance.websocket.network import OpenStream

Backoff = Callable[[int, float], float]
"""Attempt (0 for the first after a connection that worked) and chance (0 to 1) -> seconds."""


A = TypeVar("A")

ENDINGS = (
    VenueError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    OSError,
    *library_client.ENDINGS,
)
"""Exceptions that a peer or the network can cause in a connection."""

Handle = Callable[[list[str | bytes], float], None]
"""Called with the messages of one read and its monotonic time. Must not block; a VenueError from
it ends the connection."""


@attrs.frozen(kw_only=True)
class Timing:
    """Timeouts of a connection, in seconds. Their sum bounds how long a dead one goes unnoticed."""

    connect_within: float = 10.0
    reply_within: float = 10.0
    """Between a control message and its answer."""
    ping_after: float = 10.0
    """Without any frame. The venue pings every 20 s, so a dead link is known before that."""
    pong_within: float = 10.0
    """Then the connection is dead: 20 s after its last frame, and 30 are allowed."""


class HandshakeRefused(VenueError):
    """The venue refused the handshake; `status` is its HTTP status."""

    def __init__(self, status: int, retry_after: str | None) -> None:
        super().__init__(f"expected HTTP 101, got {status}")
        self.status = status
        self.retry_after = retry_after


class RequestClient(Generic[A]):
    """Used once, by one caller of `run` and any number of `ask`."""

    def __init__(
        self,
        url: str,
        *,
        path: Callable[[str], str],
        timing: Timing | None,
        open_stream: OpenStream,
        open_websocket: OpenWebsocket,
        reserve: Callable[[float], float] = lambda _now: 0.0,
    ) -> None:
        """Make a client; nothing is connected before `run`.

        `path` makes the path of the request from the one in `url`, which has no slash at its end.
        `reserve` is called with the time before each message we send, and returns for how many
        seconds it must wait.

        Raises:
            ValueError: The URL is no ws: or wss: address.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ValueError(f"expected ws://HOST[:PORT] or wss://HOST[:PORT], got {url[:200]!r}")
        self._host = parts.hostname
        self._tls = parts.scheme == "wss"
        self._port = parts.port or (443 if self._tls else 80)
        self._path = path(parts.path.rstrip("/"))
        self.timing = timing or Timing()
        self._open_stream = open_stream
        self._open_websocket = open_websocket
        self._reserve = reserve
        self._websocket: Websocket | None = None
        self._ids = itertools.count(1)
        self._waiting: dict[int, _Waiting[A]] = {}
        self._last_frame = 0.0
        self._quiet = trio.Event()

    @property
    def is_open(self) -> bool:
        """Whether a message can be sent."""
        return self._websocket is not None

    async def run(
        self, handle: Handle, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Connect and receive until the connection ends, which is always an error.

        `started()` is called once messages can be sent. The socket is closed in every case, at
        once and without the closing handshake, and every waiting `ask` raises VenueError.

        Raises:
            VenueError: Why the connection ended.
        """
        reason: VenueError | None = None
        try:
            await self._connect_and_read(handle, task_status)
        except* ENDINGS as group:
            reason = _because(group)
        raise reason or VenueError("the connection is over")

    async def ask(self, method: str, params: object, *, within: float) -> A:
        """Send one request in its turn, and return its answer, which may be a refusal.

        Cancelled, the request may have been carried out; a late answer is dropped.

        Raises:
            VenueError: No answer within so many seconds, or the connection ended; the request may
                have been carried out.
        """
        identity = next(self._ids)
        request: dict[str, object] = {"id": identity, "method": method}
        if params is not None:
            request["params"] = params
        waiting = self._waiting[identity] = _Waiting()
        try:
            await self._wait_turn()
            websocket = self._websocket
            if websocket is None:
                raise VenueError(f"{method}: expected an open connection, it is over")
            try:
                with trio.fail_after(within):
                    await websocket.send_text(msgspec.json.encode(request).decode())
                    return await waiting.answer()
            except trio.TooSlowError:
                text = f"{method}: expected an answer in {within:g} s, got none"
                raise VenueError(text) from None
            except ENDINGS as error:
                raise VenueError(f"{method}: {_because(error)}") from None
        finally:
            del self._waiting[identity]
            if not self._waiting:
                self._quiet.set()

    def answer(self, identity: int, answer: A) -> None:
        """Pass an answer to the task that waits for it; dropped when none does any more."""
        waiting = self._waiting.get(identity)
        if waiting is not None:
            waiting.settle(answer)

    async def wait_quiet(self) -> None:
        """Wait until no request waits for its answer."""
        while self._waiting:
            self._quiet = trio.Event()
            await self._quiet.wait()

    async def _connect_and_read(self, handle: Handle, task_status: trio.TaskStatus[None]) -> None:
        stream: trio.abc.Stream | None = None
        try:
            async with trio.open_nursery() as nursery:
                with trio.move_on_after(self.timing.connect_within) as deadline:
                    stream = await self._open_stream(self._host, self._port, self._tls)
                    websocket = await self._open_websocket(
                        nursery, stream, f"{self._host}:{self._port}", self._path
                    )
                if deadline.cancelled_caught:
                    seconds = self.timing.connect_within
                    raise VenueError(f"expected a connection in {seconds:g} s, got none")
                self._last_frame = trio.current_time()
                self._websocket = websocket
                nursery.start_soon(self._watch, websocket)
                # From here on requests are sent and their answers are read.
                task_status.started()
                while True:
                    batch = await websocket.receive_batch()
                    self._last_frame = trio.current_time()
                    handle(batch, self._last_frame)
        finally:
            self._websocket = None
            for waiting in self._waiting.values():
                waiting.end()
            if stream is not None:
                # Closes at once also when cancelled: a peer that is silent costs no grace.
                await trio.aclose_forcefully(stream)

    async def _watch(self, websocket: Websocket) -> NoReturn:
        """Ping when the peer is silent; end the connection when it stays so."""
        timing = self.timing
        while True:
            silent_at = self._last_frame + timing.ping_after
            if trio.current_time() < silent_at:
                await trio.sleep_until(silent_at)
                continue
            await self._wait_turn()
            before = self._last_frame
            with trio.move_on_after(timing.pong_within):
                await websocket.ping()
                self._last_frame = trio.current_time()
            if self._last_frame == before:
                silence = trio.current_time() - before
                raise VenueError(f"expected a pong or any frame, got nothing for {silence:.0f} s")

    async def _wait_turn(self) -> None:
        """Wait for the rate limit; without a checkpoint when there is nothing to wait for."""
        seconds = self._reserve(trio.current_time())
        if seconds > 0:
            await trio.sleep(seconds)


class _Waiting(Generic[A]):
    """A request that waits for its answer."""

    def __init__(self) -> None:
        self._answer: A | None = None
        self._settled = trio.Event()

    def settle(self, answer: A) -> None:
        self._answer = answer
        self._settled.set()

    def end(self) -> None:
        self._settled.set()

    async def answer(self) -> A:
        await self._settled.wait()
        if self._answer is None:
            raise VenueError("the connection ended before the answer")
        return self._answer


def _because(error: BaseException) -> VenueError:
    """Return why a connection ended; of several reasons the first."""
    error = first_error(error)
    if isinstance(error, VenueError):
        return error
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        headers: Mapping[bytes, bytes] = {
            bytes(k).lower(): v for k, v in getattr(error, "headers", None) or ()
        }
        after = headers.get(b"retry-after")
        return HandshakeRefused(status, None if after is None else after.decode("ascii", "replace"))
    return VenueError(library_client.describe(error))
