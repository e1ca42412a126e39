"""Plays a tape to the subscribed connections, at most at `speed`, and waits for slow ones.

Knows no sockets: a subscriber is a session and a send queue. Three things hold the tape: its own
time (`speed`), the slowest subscriber's full send queue, and, for a generated one, the reservation
of market time, by which a later start goes on after this one.
"""

import math
from collections.abc import Awaitable, Callable, Iterable

import attrs
import trio

from levitrio.venues.recordings.frames import TapeEvent
from levitrio.venues.simulator.exchange.faults import FaultPlan
from levitrio.venues.simulator.market.stream_protocol import StreamSession
from levitrio.venues.simulator.market.tape import SimulatorTape
from levitrio.venues.simulator.server.send_queue import SendQueue, text_frame

Reserve = Callable[[int], Awaitable[None]]
"""Awaited with a market time, ms since 1970, before the tape may play up to it."""

Tap = Callable[[TapeEvent], None]
"""Called with each event of a stream. Must neither block nor raise."""

RESERVED_SECONDS = 20.0
"""Real seconds of market time reserved at once: three durable writes a minute, and a start
after a crash skips at most that much."""

_MOST_RESERVED_MS = 24 * 3_600_000
"""A day of market time: the bound at unbounded speed."""

_NS_PER_SECOND = 1_000_000_000

_EARLY_SECONDS = 0.001
"""Events this near are sent together: a sleep of its own costs more than it paces."""

_LATE_SECONDS = 0.05
"""A longer delay is not caught up: that would break the promise that `speed` is a bound."""

_EVENTS_PER_TURN = 64
"""Events between two checkpoints, also when the tape is far behind its time."""


@attrs.frozen(eq=False)
class StreamSubscriber:
    """One connection that receives market streams."""

    session: StreamSession
    send_queue: SendQueue


@attrs.define(eq=False, kw_only=True)
class Player:
    """Steps the tape, in one task, and publishes its events."""

    tape: SimulatorTape
    speed: float
    """Market seconds per real second, an upper bound."""
    expected_streams: frozenset[str] | None
    """The tape starts once all of these are subscribed; None: once any stream is."""
    wall_clock: Callable[[], float]
    """Seconds since 1970."""
    reserve: Reserve | None
    start_after_ms: int
    """Market time that an earlier run may have played, ms since 1970."""
    faults: FaultPlan = attrs.field(factory=FaultPlan)
    """Changes the events that are sent; taps get the unchanged events."""
    started: trio.Event = attrs.field(factory=trio.Event, init=False)
    ended: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set at the end of the tape; a generated one has none."""
    _listeners: dict[str, list[StreamSubscriber]] = attrs.field(factory=dict, init=False)
    """By stream name; no empty lists."""
    _taps: dict[str, Tap] = attrs.field(factory=dict, init=False)
    """By stream name."""
    _holds: set[str] = attrs.field(factory=set, init=False)
    _has_listeners: trio.Event = attrs.field(factory=trio.Event, init=False)
    _reserved_ms: int = attrs.field(default=0, init=False)
    # The pair (market ns, real seconds) from which every event's moment is counted.
    _origin_ns: int | None = attrs.field(default=None, init=False)
    _origin_seconds: float = attrs.field(default=0.0, init=False)
    # The present lies between the last published event and the one that waits for its time.
    _published_ns: int = attrs.field(default=0, init=False)
    _due_ns: int | None = attrs.field(default=None, init=False)
    _latest_ms: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        # So that streams subscribed before the start are prepared at about the right time.
        self.tape.start(self._first_ms())

    def subscribe(self, listener: StreamSubscriber, stream: str) -> None:
        """Send every event of the stream to the listener from now on, each once."""
        listeners = self._listeners.get(stream)
        if listeners is None:
            if stream not in self._taps:
                self.tape.subscribe(stream)
            self._listeners[stream] = [listener]
        elif listener not in listeners:
            listeners.append(listener)

    def unsubscribe(self, listener: StreamSubscriber, streams: Iterable[str]) -> None:
        """Stop sending these streams to the listener; unknown ones are ignored."""
        for stream in streams:
            listeners = self._listeners.get(stream)
            if listeners is None or listener not in listeners:
                continue
            listeners.remove(listener)
            if not listeners:
                del self._listeners[stream]
                if stream not in self._taps:
                    self.tape.unsubscribe(stream)
        self._check_listeners()

    def tap(self, stream: str, tap: Tap) -> None:
        """Call `tap` with every event of the stream before any listener gets it.

        The exchange matches orders against the market that clients see. A tap alone does not
        keep the tape playing.
        """
        if stream not in self._taps and stream not in self._listeners:
            self.tape.subscribe(stream)
        self._taps[stream] = tap

    def untap(self, stream: str) -> None:
        """End a tap; unknown ones are ignored."""
        if self._taps.pop(stream, None) is not None and stream not in self._listeners:
            self.tape.unsubscribe(stream)

    def keep_playing(self, reason: str, is_wanted: bool) -> None:
        """Keep the tape playing without listeners while any reason is wanted."""
        if is_wanted:
            self._holds.add(reason)
            self.check_start()
        else:
            self._holds.discard(reason)
            self._check_listeners()

    def unsubscribe_all(self, listener: StreamSubscriber) -> None:
        """Stop sending anything to a listener whose connection has closed."""
        self.unsubscribe(
            listener, [name for name, who in self._listeners.items() if listener in who]
        )

    def check_start(self) -> None:
        """Start the tape if it may; called once all of a client's request is carried out."""
        if self._is_wanted:
            self._has_listeners.set()
        expected = self.expected_streams
        if self._is_wanted if expected is None else expected <= self._listeners.keys():
            self.started.set()

    def now_ms(self) -> int:
        """Market time at this moment, ms since 1970; never runs backwards.

        For a generated tape the time lies between the last published event and the next one. For
        a recording it is that of the newest trade, 0 before the first.
        """
        self._latest_ms = max(self._latest_ms, self._present_ms())
        return self._latest_ms

    def _present_ms(self) -> int:
        if self.tape.horizon_ms is None:
            return self.tape.market_ms
        if self._origin_ns is None:
            return self._first_ms()
        passed = (trio.current_time() - self._origin_seconds) * self.speed * 1000
        if not self._is_wanted and math.isfinite(passed):
            return self._origin_ns // 1_000_000 + int(passed)
        published_ms = self._published_ns // 1_000_000
        latest_ms = self.tape.market_ms if self._due_ns is None else self._due_ns // 1_000_000
        if math.isfinite(passed):
            latest_ms = min(latest_ms, self._origin_ns // 1_000_000 + int(passed))
        return max(published_ms, latest_ms)

    @property
    def _is_wanted(self) -> bool:
        return bool(self._listeners or self._holds)

    def _check_listeners(self) -> None:
        if not self._is_wanted and self._has_listeners.is_set():
            self._has_listeners = trio.Event()

    async def run(self) -> None:
        """Play to the end of the tape, then return; a generated one never ends.

        Cancellation leaves published frames in the send queues. An error of
        `reserve` ends the playing.
        """
        self.check_start()
        await self.started.wait()
        self.tape.start(self._first_ms())
        is_recording = self.tape.horizon_ms is None
        turn = 0
        while True:
            await self._wait_for_listeners()
            await self._reserve()
            events = self.tape.step()
            if events is None:
                break
            if not events:
                turn += 1
            for event in events:
                turn = await self._take_turn(turn + 1)
                delay = self._delay(event.time_ns)
                if delay > _EARLY_SECONDS:
                    turn = 0
                    self._due_ns = event.time_ns
                    await trio.sleep(delay)
                    self._due_ns = None
                if is_recording and not self._is_wanted:
                    # All listeners left while this event waited for its time: the next one gets it.
                    await self._has_listeners.wait()
                self._published_ns = event.time_ns
                for full in self._publish(event):
                    await full.wait_room()
            turn = await self._take_turn(turn)
        self.ended.set()

    @staticmethod
    async def _take_turn(turn: int) -> int:
        """Checkpoint after `_EVENTS_PER_TURN` events and restart the count.

        Also within a step: at a full minute the candles of a thousand symbols close together.
        """
        if turn < _EVENTS_PER_TURN:
            return turn
        await trio.lowlevel.checkpoint()
        return 0

    def _first_ms(self) -> int:
        return max(int(self.wall_clock() * 1000), self.start_after_ms)

    async def _wait_for_listeners(self) -> None:
        """Wait for a listener; generated market time goes on meanwhile, a recording stops."""
        if self._is_wanted:
            return
        await self._has_listeners.wait()
        if self._origin_ns is not None:
            elapsed = (trio.current_time() - self._origin_seconds) * self.speed
            market_ms = self._origin_ns / 1_000_000
            # At unbounded speed no elapsed market time is defined: the tape goes on in place.
            if math.isfinite(elapsed):
                market_ms += elapsed * 1000
            self.tape.start(int(market_ms))

    async def _reserve(self) -> None:
        horizon_ms = self.tape.horizon_ms
        if self.reserve is None or horizon_ms is None or horizon_ms <= self._reserved_ms:
            return
        ahead_ms = min(self.speed * RESERVED_SECONDS * 1000, _MOST_RESERVED_MS)
        reserved_ms = horizon_ms + int(ahead_ms)
        await self.reserve(reserved_ms)
        self._reserved_ms = reserved_ms

    def _delay(self, time_ns: int) -> float:
        """Real seconds until the event is due; 0 when it is."""
        now = trio.current_time()
        if self._origin_ns is None:
            self._origin_ns, self._origin_seconds = time_ns, now
            return 0.0
        due = self._origin_seconds + (time_ns - self._origin_ns) / _NS_PER_SECOND / self.speed
        if now - due > _LATE_SECONDS:
            self._origin_ns, self._origin_seconds = time_ns, now
        return max(0.0, due - now)

    def _publish(self, event: TapeEvent) -> list[SendQueue]:
        """Put an event into the send queues of its subscribers; returns the full ones."""
        tap = self._taps.get(event.stream)
        if tap is not None:
            tap(event)
        full: list[SendQueue] = []
        if event.stream in self._listeners:
            for sent in self.faults.on_event(event):
                full += self._send(sent)
        return full

    def _send(self, event: TapeEvent) -> list[SendQueue]:
        listeners = self._listeners.get(event.stream, ())
        raw = combined = b""
        full = []
        for listener in listeners:
            if listener.session.combined:
                frame = combined = combined or text_frame(event.combined())
            else:
                frame = raw = raw or text_frame(event.data)
            listener.send_queue.put(frame)
            if listener.send_queue.is_full:
                full.append(listener.send_queue)
        return full
