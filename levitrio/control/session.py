"""One client's connection: its lines, its deadlines, its calls in flight.

What a session may hold is bounded: one line, 8 calls, one answer being written. An error in it
ends this session and no other.
"""

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

import attrs
import trio

from levitrio.control import error_codes, responses
from levitrio.control.fleet_interface import FleetApi, Peer
from levitrio.control.method import Request
from levitrio.control.methods import METHODS, convert_params, error_data
from levitrio.control.protocol import Frame, RpcCall, RpcConnection, RpcFault
from levitrio.errors import ControlError

MAX_IN_FLIGHT = 8
FRAME_TIMEOUT = 5.0
"""Seconds from the first byte of a line to its end; a slower client has stalled."""
IDLE_TIMEOUT = 60.0
"""Seconds without a line and without a call in flight; enough for a person at `nc -U`."""
WRITE_TIMEOUT = 5.0
"""Seconds for one chunk of an answer; a client that does not read it is closed."""
URGENT_TIMEOUT = 0.09
"""Seconds for the first line of a client beyond the limit; `levi ctl` sends it at once."""
CHUNK = 64 * 1024
"""Bytes received at once."""
SEND_CHUNK = 256 * 1024
"""Bytes of an answer for which `WRITE_TIMEOUT` is given: more than a socket holds."""
_CHECK_PERIOD = min(FRAME_TIMEOUT, IDLE_TIMEOUT, WRITE_TIMEOUT)
"""Seconds between two checks of the deadlines; no deadline is set closer than this."""

CarryOut = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Runs work that must go on when this client disconnects, and returns its result."""


class Log(Protocol):
    """Receives errors of the control server; called on the loop, must not block."""

    def __call__(self, event: str, **details: object) -> None:
        """Log one event."""


class Disconnected(Exception):
    """The client has left, stalled, or does not read; nothing more is sent to it."""


@attrs.define(eq=False, kw_only=True)
class ClientSession:
    """Serves one client; `run` closes the stream when it ends."""

    fleet: FleetApi
    stream: trio.abc.Stream
    peer: Peer
    carry_out: CarryOut
    log: Log
    urgent_only: bool = False
    """Accepted beyond the connection limit: one line, and only stop, halt or shutdown."""
    connection: RpcConnection = attrs.field(factory=RpcConnection)
    in_flight: int = attrs.field(default=0, init=False)
    _write_lock: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _line_deadline: float = attrs.field(default=math.inf, init=False)
    """When the client must have sent its line; infinite while no line is waited for."""
    _write_deadline: float = attrs.field(default=math.inf, init=False)
    """When the client must have read the chunk being sent; infinite while none is."""
    _line_began: float | None = attrs.field(default=None, init=False)
    _hung_up: bool = attrs.field(default=False, init=False)
    _subscribed: bool = attrs.field(default=False, init=False)
    _follow_from: int | None = attrs.field(default=None, init=False)
    _following: trio.CancelScope | None = attrs.field(default=None, init=False)

    async def run(self) -> None:
        """Serve until the client leaves, stalls or breaks the framing.

        A client that closes only its sending side still gets the answers of its calls in flight.
        Cancelling ends the session at once; commands that were begun go on.
        """
        try:
            # Two nurseries, so that deadlines hold while the inner one waits for calls in flight.
            async with trio.open_nursery() as outer:
                outer.start_soon(self._keep_time)
                async with trio.open_nursery() as nursery:
                    await self._read(nursery)
                outer.cancel_scope.cancel()
        except* (Disconnected, trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(self.stream)

    async def _read(self, nursery: trio.Nursery) -> None:
        while True:
            frame = self.connection.next_frame()
            if frame is not None:
                self._line_began = None
                await self._take(frame, nursery)
                if frame.closes:
                    nursery.cancel_scope.cancel()
                if frame.closes or self.urgent_only:
                    return
                if self.connection.has_partial_frame:
                    # A thousand lines may have come at once: let other tasks run in between.
                    await trio.lowlevel.checkpoint()
                continue
            if not self.connection.has_partial_frame:
                self._line_began = None
            elif self._line_began is None:
                self._line_began = trio.current_time()
            data = await self._receive()
            if not data:
                # Half-closed, or gone: calls in flight are still answered. A follower is ended,
                # because only its open sending side shows that it still reads.
                # Set first: a follower that is not waiting just now sees it before it waits again.
                self._hung_up = True
                if self._following is not None:
                    self._following.cancel()
                return
            self.connection.receive_data(data)

    async def _receive(self) -> bytes:
        if self.urgent_only:
            with trio.move_on_after(URGENT_TIMEOUT):
                return bytes(await self.stream.receive_some(CHUNK))
            await self._send(responses.encode_error(None, *_FULL))
            raise Disconnected
        if self._line_began is None:
            self._line_deadline = trio.current_time() + IDLE_TIMEOUT
        else:
            self._line_deadline = self._line_began + FRAME_TIMEOUT
        data = await self.stream.receive_some(CHUNK)
        self._line_deadline = math.inf
        return bytes(data)

    async def _keep_time(self) -> None:
        """End the session when the client is late, with a line or in reading an answer.

        One task per connection, because a cancel scope for each wait costs 8 us, twice a request.
        """
        while True:
            now = trio.current_time()
            if min(self._line_deadline, self._write_deadline) <= now:
                # If the loop was late, the line may be here by now: let the reading task run.
                await trio.lowlevel.checkpoint()
                if self._line_deadline <= now and self.in_flight and self._line_began is None:
                    self._line_deadline = now + IDLE_TIMEOUT  # the client waits for its calls
                if min(self._line_deadline, self._write_deadline) <= now:
                    raise Disconnected
            due = min(self._line_deadline, self._write_deadline, now + _CHECK_PERIOD)
            await trio.sleep_until(due)

    async def _take(self, frame: Frame, nursery: trio.Nursery) -> None:
        """Answer now, or start a task that answers; a client may have 8 of those."""
        if self.urgent_only and not _is_urgent(frame):
            await self._refuse(frame, *_FULL)
        elif not frame.is_batch and _answers_at_once(frame.items[0]):
            await self._answer(frame)
        elif self.in_flight < MAX_IN_FLIGHT:
            self.in_flight += 1
            nursery.start_soon(self._answer_later, frame)
        else:
            await self._refuse(
                frame, error_codes.BUSY, f"expected at most {MAX_IN_FLIGHT} calls in flight"
            )

    async def _answer_later(self, frame: Frame) -> None:
        try:
            await self._answer(frame)
            # Follow only after the answer is sent, so that no event overtakes it.
            if self._follow_from is not None and any(map(_follows, frame.items)):
                since, self._follow_from = self._follow_from, None
                await self._follow(since)
        finally:
            self.in_flight -= 1

    async def _answer(self, frame: Frame) -> None:
        """Answer the items of a batch one after another, in their order."""
        found = [await self._answer_item(item) for item in frame.items]
        await self._send_answers(frame, found)

    async def _refuse(self, frame: Frame, code: int, message: str) -> None:
        found = [
            responses.encode_error(item.id, code, message)
            if isinstance(item, RpcFault) or item.wants_answer
            else None
            for item in frame.items
        ]
        await self._send_answers(frame, found)

    async def _send_answers(self, frame: Frame, found: list[bytes | None]) -> None:
        lines = [line for line in found if line is not None]
        if lines:
            await self._send(responses.encode_batch(lines) if frame.is_batch else lines[0])

    async def _answer_item(self, item: RpcCall | RpcFault) -> bytes | None:
        if isinstance(item, RpcFault):
            return responses.encode_error(item.id, item.code, item.message)
        try:
            answer = responses.encode_result(item.id, await self._result(item))
            if len(answer) > error_codes.MAX_RESPONSE:
                raise ControlError(
                    error_codes.TOO_LARGE,
                    "the answer is too large",
                    "ask for fewer symbols, or summary",
                )
        except ControlError as error:
            answer = responses.encode_error(item.id, error.code, error.message, error_data(error))
        except Exception as error:  # noqa: BLE001  a bug in one method must not end the fleet
            self.log(
                "control_method_failed",
                method=item.method,
                error=f"{type(error).__name__}: {error}"[:2000],
            )
            answer = responses.encode_error(
                item.id, error_codes.INTERNAL_ERROR, f"{item.method} failed: {type(error).__name__}"
            )
        return answer if item.wants_answer else None

    async def _result(self, call: RpcCall) -> object:
        method = METHODS.get(call.method)
        if method is None:
            raise ControlError(
                error_codes.UNKNOWN_METHOD, error_codes.MEANING[error_codes.UNKNOWN_METHOD]
            )
        request = Request(
            fleet=self.fleet, peer=self.peer, params=convert_params(method, call.params)
        )
        if _follows(call):
            return self._subscribe(request)
        if method.answer is not None:
            return method.answer(request)
        assert method.carry_out is not None
        work = partial(method.carry_out, request)
        value = await (self.carry_out(work) if method.changes else work())
        return value if method.finish is None else await method.finish(request, value)

    def _subscribe(self, request: Request) -> object:
        """Answer with the events so far; later ones follow once the answer is sent."""
        if self._subscribed:
            raise ControlError(error_codes.BUSY, "this connection follows already")
        # One for each connection: several would interleave their events without a mark.
        self._subscribed = True
        batch = request.fleet.events(request.params.since, request.params.limit)
        self._follow_from = batch.next_since
        return attrs.asdict(batch)

    async def _follow(self, since: int) -> None:
        """Send each event once; a slow reader gets `events.missed` for those it lost."""
        while not self._hung_up:
            with trio.CancelScope() as self._following:
                await self.fleet.wait_event(since)
            if self._following.cancelled_caught:
                return
            batch = self.fleet.events(since, 1000)
            since = batch.next_since
            if batch.missed:
                await self._send(
                    responses.encode_notification("events.missed", {"missed": batch.missed})
                )
            for event in batch.events:
                await self._send(responses.encode_notification("event", dict(event)))

    async def _send(self, answer: bytes) -> None:
        data = memoryview(responses.to_line(answer))
        # `acquire` runs a checkpoint even when the lock is free; one per answer is measurable.
        try:
            self._write_lock.acquire_nowait()
        except trio.WouldBlock:
            await self._write_lock.acquire()
        try:
            for start in range(0, len(data), SEND_CHUNK):
                self._write_deadline = trio.current_time() + WRITE_TIMEOUT
                await self.stream.send_all(data[start : start + SEND_CHUNK])
        finally:
            self._write_deadline = math.inf
            self._write_lock.release()


_FULL = (error_codes.BUSY, "too many clients; stop, halt and shutdown are still accepted")


def _is_urgent(frame: Frame) -> bool:
    item = frame.items[0]
    method = METHODS.get(item.method) if isinstance(item, RpcCall) else None
    return method is not None and method.urgent and not frame.is_batch


def _follows(item: RpcCall | RpcFault) -> bool:
    return (
        isinstance(item, RpcCall)
        and item.method == "events.subscribe"
        and item.params.get("follow") is True
    )


def _answers_at_once(item: RpcCall | RpcFault) -> bool:
    if isinstance(item, RpcFault):
        return True
    method = METHODS.get(item.method)
    return (method is None or method.answer is not None or method.in_line) and not _follows(item)
