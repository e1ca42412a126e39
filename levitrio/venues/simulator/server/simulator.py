"""The simulator: a venue on 127.0.0.1 whose one port serves REST, market streams and the WS API.

Assembles its parts: tape and player, the exchange and its market, the API, and the handler of
connections.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import trio

from levitrio.errors import UsageError
from levitrio.trading.market import Quote, Trade
from levitrio.venues.recordings.frames import TapeEvent
from levitrio.venues.simulator.api.api import ExchangeApi
from levitrio.venues.simulator.exchange.accounts import ApiKey
from levitrio.venues.simulator.exchange.faults import FaultPlan, Faults
from levitrio.venues.simulator.exchange.timers import Timers
from levitrio.venues.simulator.market.generated_tape import GeneratedTape
from levitrio.venues.simulator.market.market import VenueMarket, generated_market
from levitrio.venues.simulator.market.recorded_market import RecordedMarket
from levitrio.venues.simulator.market.recorded_tape import RecordedTape
from levitrio.venues.simulator.market.tape import SimulatorTape
from levitrio.venues.simulator.server.connections import ConnectionHandler
from levitrio.venues.simulator.server.player import Player, Reserve
from levitrio.venues.simulator.server.websocket import PING_SECONDS, PONG_SECONDS

__all__ = ["HOST", "PING_SECONDS", "PONG_SECONDS", "OnSimulatorEvent", "Simulator"]

HOST = "127.0.0.1"

BALANCES = {"USDT": Decimal(100_000)}
"""Balances of each account at the start, by default."""

OnSimulatorEvent = Callable[[str, str], None]
"""Called with a kind (`tape_ended`, `recording_refused`, `client_failed`, `client_silent`) and a
text."""

_decode_trade = msgspec.json.Decoder(Trade).decode
_decode_quote = msgspec.json.Decoder(Quote).decode


_MATCHED = ("@bookTicker", "@trade")
"""Streams that move resting orders; in this order, because a quote precedes its trade."""


def _ignore(kind: str, text: str) -> None:
    pass


class Simulator:
    """A simulated venue. Its port is open only during `run`."""

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
        on_event: OnSimulatorEvent = _ignore,
        keys: Sequence[ApiKey] = (),
        balances: Mapping[str, Decimal] = BALANCES,
        fee: Decimal = Decimal("0.001"),
        faults: Faults | None = None,
    ) -> None:
        """Prepare a simulator; reads the first lines of recordings.

        Args:
            seed: of the generated market; ignored with recordings.
            speed: market seconds per real second, an upper bound; `inf` is allowed.
            recordings: played instead of the generated market, merged by local time.
            port: on 127.0.0.1; 0 lets the system choose.
            expected_streams: names as clients write them (`btcusdt@trade`); the tape starts
                once all of them are subscribed. None: once the first request to subscribe was
                carried out.
            wall_clock: seconds since 1970; where a generated market begins.
            reserve: awaited with a market time (ms) before the generated tape passes the last
                reserved one; the next start passes it as `start_after_ms`. Its error ends `run`.
            start_after_ms: a generated market begins no earlier.
            on_event: called with a kind and a text; must neither block nor raise.
            keys: one account each; without any, signed requests are refused.
            balances: of each account at the start, by asset.
            fee: fraction of the amount a fill brings in.
            faults: what goes wrong from the start; clients may change it at /sim/faults.

        Raises:
            UsageError: the speed is not positive, or a recording cannot be read.
        """
        if math.isnan(speed) or speed <= 0:
            raise UsageError(f"speed: expected a number above 0, got {speed!r}")
        self._port = port
        self._on_event = on_event
        self._url: str | None = None
        self._recorded: RecordedTape | None = None
        tape: SimulatorTape
        if recordings:
            tape = self._recorded = RecordedTape(
                recordings, lambda problem: on_event("recording_refused", problem)
            )
        else:
            tape = GeneratedTape(seed)
        self._tape = tape
        plan = FaultPlan(faults if faults is not None else Faults())
        self._player = player = Player(
            tape=tape,
            speed=speed,
            expected_streams=expected_streams,
            wall_clock=wall_clock,
            reserve=reserve,
            start_after_ms=start_after_ms,
            faults=plan,
        )
        self._timers = Timers()
        self._recorded_market: RecordedMarket | None = None
        market: VenueMarket
        if self._recorded is not None:
            market = self._recorded_market = self._tapped_market(self._recorded)
        else:
            market = generated_market(seed, clock=player.now_ms, first_ms=player.now_ms())
        self._venue = ExchangeApi(
            market=market,
            wall_clock=wall_clock,
            later=self._later,
            keys=keys,
            balances=balances,
            fee=fee,
            faults=plan,
            watch=self._watch,
        )
        self._connections = ConnectionHandler(venue=self._venue, player=player, on_event=on_event)

    @property
    def url(self) -> str:
        """Such as `ws://127.0.0.1:9443`; only once `run` has started."""
        if self._url is None:
            raise RuntimeError("the simulator has no url before run() has started")
        return self._url

    @property
    def started(self) -> trio.Event:
        """Set when the tape begins."""
        return self._player.started

    @property
    def ended(self) -> trio.Event:
        """Set at the end of the recording; connections stay open without events."""
        return self._player.ended

    @property
    def http_url(self) -> str:
        """Such as `http://127.0.0.1:9443`, the same port; only once `run` has started."""
        return self.url.replace("ws://", "http://", 1)

    @property
    def venue(self) -> ExchangeApi:
        """The state behind REST and WS API; for tests."""
        return self._venue

    @property
    def market_ms(self) -> int:
        """Market time of the tape, ms since 1970; 0 before it began."""
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
                nursery.start_soon(self.run_timers)
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

    async def run_timers(self) -> None:
        """Run delayed work, such as orders that arrive late; `run` does it."""
        await self._timers.run()

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serve one client until either side closes; `run` does it for each that connects.

        An error of one client ends that client only. The stream is closed.
        """
        await self._connections.serve(stream)

    def _tapped_market(self, tape: RecordedTape) -> RecordedMarket:
        streams = [each for each in tape.recorded_streams if each.endswith(_MATCHED)]
        for stream in streams:
            self._player.tap(stream, self._see)
        return RecordedMarket(sorted(streams), self._player.now_ms)

    def _watch(self, symbol: str, is_wanted: bool) -> None:
        """Tap and keep playing a symbol's market while orders of the symbol rest."""
        if self._recorded is None:
            for kind in _MATCHED:
                stream = symbol.lower() + kind
                if is_wanted:
                    self._player.tap(stream, self._see)
                else:
                    self._player.untap(stream)
        self._player.keep_playing(symbol, is_wanted)

    def _see(self, event: TapeEvent) -> None:
        """Pass one market event to the exchange and send the account events it led to."""
        seen: Trade | Quote | None
        if self._recorded_market is not None:
            seen = self._recorded_market.see(event)
        elif event.stream.endswith("@trade"):
            seen = _decode_trade(event.data)
        else:
            seen = _decode_quote(event.data)
        if isinstance(seen, Trade):
            self._venue.exchange.see_trade(seen)
        elif seen is not None:
            self._venue.exchange.see_quote(seen)
        self._connections.send_account_events()

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        def act_and_send() -> None:
            act()
            self._connections.send_account_events()

        self._timers.later(seconds, act_and_send)
