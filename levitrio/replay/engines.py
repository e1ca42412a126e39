"""The engines of a replay: their births, their crashes, their fills and signals."""

from collections import deque
from collections.abc import Callable

import attrs
import trio

from levitrio.app import settings
from levitrio.app.assembly import Assembly
from levitrio.replay.place import NEVER, Place
from levitrio.strategies.base import Signal
from levitrio.supervision.restart import RestartPolicy
from levitrio.trading.orders import Fill
from levitrio.trading.risk import Permission

OnSignal = Callable[[str, int, Signal], None]
"""Called with symbol, market time in ms and the signal, for each that is submitted."""


@attrs.define(eq=False)
class Engines:
    """One place for each engine of the fleet; crashes are answered by its restart policy."""

    assembly: Assembly
    chance: Callable[[], float]
    on_signal: OnSignal | None = None
    places: dict[str, Place] = attrs.field(init=False)
    filled: deque[Place] = attrs.field(factory=deque, init=False)
    """Those with fills that were not handed over."""
    restart_ms: int = NEVER
    """When the next restart is due, in market ms."""
    _policy: RestartPolicy = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        config = self.assembly.config
        self._policy = settings.restart_policy(config)
        intervals = len(settings.kline_intervals(config))
        self.places = {
            symbol: Place(seat=seat, warm_up=seat.config.warm_up * intervals)
            for symbol, seat in self.assembly.seats.items()
        }

    def launch_all(self) -> None:
        """The first incarnation of each, before the first event."""
        for place in self.places.values():
            self.launch(place)

    def restart_due(self, now_ms: int) -> None:
        """The next incarnation of those whose pause is over."""
        if now_ms < self.restart_ms:
            return
        for place in self.places.values():
            if place.restart_ms <= now_ms:
                self.launch(place)
        self.restart_ms = min(place.restart_ms for place in self.places.values())

    def launch(self, place: Place) -> None:
        """A new incarnation, with the state the last one had saved."""
        place.incarnation += 1
        place.restart_ms = NEVER
        engine = self.assembly.launch(place.symbol, place.incarnation)
        engine.submit = self._signals_of(place, engine.submit)
        desk = self.assembly.desks[place.symbol]
        desk.on_fill = self._fills_of(place, engine.fills.append)
        self.assembly.gateway.permit(place.symbol, Permission.ALL)
        try:
            engine.prepare()
        except BaseException as error:  # noqa: BLE001  whatever a strategy raises is a crash
            self.crashed(place, error)
            return
        place.take(engine, self.assembly.market_clock.now_ms())

    def crashed(self, place: Place, error: BaseException) -> None:
        """Something left a method of the strategy: a crash, unless it is Ctrl-C.

        Raises the error again when it is meant for the replay as a whole.
        """
        if isinstance(error, KeyboardInterrupt | trio.Cancelled):
            raise error
        now_ms = self.assembly.market_clock.now_ms()
        self.assembly.gateway.permit(place.symbol, Permission.NONE)
        place.lose(error, self._policy, now_ms=now_ms, chance=self.chance())
        if place.restart_ms <= now_ms:
            self.launch(place)
        else:
            self.restart_ms = min(self.restart_ms, place.restart_ms)

    def _fills_of(self, place: Place, take: Callable[[Fill], None]) -> Callable[[Fill], None]:
        def on_fill(fill: Fill) -> None:
            if place.wants_fills:
                take(fill)
                self.filled.append(place)

        return on_fill

    def _signals_of(
        self, place: Place, submit: Callable[[Signal], None]
    ) -> Callable[[Signal], None]:
        told = self.on_signal

        def submit_counted(signal: Signal) -> None:
            if place.warm_up:
                return
            place.signals += 1
            if told is not None:
                told(place.symbol, self.assembly.market_clock.now_ms(), signal)
            submit(signal)

        return submit_counted
