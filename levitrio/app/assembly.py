"""The composition root: from a FleetConfig to the objects that make a fleet, not yet running.

The one place that names concrete classes for every seam. Tests and replay build the same
fleet with other seams.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import trio

from levitrio.app import brokers, opening, settings
from levitrio.app.incidents import IncidentScribe
from levitrio.app.models import user_of
from levitrio.app.observing import Observer
from levitrio.app.reporting import SupervisionReporter
from levitrio.app.scraping import Scraper
from levitrio.app.seams import Seams
from levitrio.app.seat import Seat
from levitrio.app.status import StatusBoard
from levitrio.app.status_cache import StatusCache
from levitrio.app.venue import VenueSide
from levitrio.app.warm_up import WarmUp
from levitrio.engine import Engine
from levitrio.fleet.config import EngineConfig, FleetConfig
from levitrio.gateway.desk import Desk
from levitrio.gateway.gateway import Gateway
from levitrio.inbox import Inbox
from levitrio.records.alerts import AlertRules, Alerts
from levitrio.records.disk import Directory
from levitrio.records.entries import History
from levitrio.records.events import EventLog, RecentEvents
from levitrio.records.journal import Journal
from levitrio.records.redaction import Redactor
from levitrio.records.reserve import ReservedDescriptor
from levitrio.records.snapshot_writer import SnapshotWriter
from levitrio.records.snapshots import SnapshotStore
from levitrio.supervision.lifecycle import Wanted
from levitrio.supervision.order import GroupRule
from levitrio.supervision.supervisor import Supervisor
from levitrio.trading.book import Book
from levitrio.trading.clock import LiveClock, MarketClock, TapeClock
from levitrio.trading.market import Bar
from levitrio.trading.market_view import MarketView
from levitrio.venues.binance.secrets import Credentials


class Assembly:
    """A fleet, put together. `restore` it, then `levitrio.app.run` runs it.

    Args:
        config: a checked fleet.toml.
        journal: open; `history` is what it returned.
        events: where everything is told.
        credentials: what orders are signed with; opened as the file says when left out.
        redactor: learns them.

    Raises UsageError for a key that cannot be used.
    """

    make_venue = VenueSide

    def __init__(
        self,
        config: FleetConfig,
        *,
        journal: Journal,
        history: History,
        events: EventLog,
        seams: Seams,
        credentials: Credentials | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self.config = config
        self.redactor = redactor or Redactor()
        self.credentials = credentials or brokers.open_credentials(config, seams.make_token)
        if self.credentials is not None:
            self.redactor.add(*self.credentials.values)
        self.seams = seams
        self.events = events
        self.journal = journal
        self.market_clock = self._make_clock()
        self.seats: dict[str, Seat] = {}
        self.desks: dict[str, Desk] = {}
        self.markets: dict[str, MarketView] = {}
        self.models = seams.make_models(config, seams.wall_clock, seams.chance, self.tell)
        for engine in config.engines.values():
            self.take_in_models(engine)
            self.add_seat(engine)
        self.account = brokers.make_account(config, self.desks)
        self.venue = self.make_venue(
            config=config,
            seams=seams,
            seats=self.seats,
            desks=self.desks,
            markets=self.markets,
            market_clock=self.market_clock,
            credentials=self.credentials,
            redactor=self.redactor,
            journal=journal,
            played_ms=history.market_ms,
            balances=brokers.balances_after(
                history.fills, quote=config.fleet.quote, cash=config.broker.cash
            ),
            tell=self.tell,
            uptime=lambda symbol: self.supervisor.children[symbol].uptime,
            stop_trading=lambda reason: self.gateway.halt_soon(reason),
            learn_market=lambda *said: self.gateway.learn_market(*said),
        )
        self.gateway = self._make_gateway()
        recent = RecentEvents()
        events.add_sink(recent)
        self.scribe = IncidentScribe(
            journal=journal,
            wall_ms=self.wall_ms,
            offload=seams.offload(),
            recent=recent.of,
            redact=self.redactor.text,
        )
        self.supervisor = self._make_supervisor()
        self.board = self._make_board()
        self.status = StatusCache(self.board)
        events.add_sink(self.status)
        self.reserve = ReservedDescriptor()
        self.snapshots = SnapshotWriter(
            SnapshotStore(Directory(config.fleet.data_dir, self.reserve)),
            self.board.photograph,
            offload=seams.offload(),
            on_trouble=lambda text: self.tell("snapshot_trouble", text),
        )
        self.observer = Observer(
            seats=self.seats, account=self.account, market_clock=self.market_clock
        )
        events.add_sink(self.observer)
        self.alerts = Alerts(
            rules=AlertRules(fleet=config.fleet.name, on=()),
            offload=seams.outbox,
            failed=partial(self.tell, "alert_failed"),
        )
        self.scraper = Scraper(
            status=self.status,
            observer=self.observer,
            seats=self.seats,
            journal=journal,
            snapshots=self.snapshots,
            feed=self.venue.feed_statistics,
            offload=seams.offload(),
        )
        self.reporter = SupervisionReporter(
            seats=self.seats,
            gateway=self.gateway,
            events=events,
            changed=self.snapshots.request,
            start_timeout=lambda: self.config.health.start_timeout,
        )

    # What the parts ask of the whole

    def wall_ms(self) -> int:
        """Wall clock, ms since 1970."""
        return int(self.seams.wall_clock() * 1000)

    def tell(self, kind: str, text: str, *, engine: str | None = None, **data: object) -> None:
        """One line of the event log."""
        self.events.emit(kind, text, engine, **data)

    def launch(self, symbol: str, incarnation: int) -> Engine:
        """A new incarnation on its seat. The supervisor calls it, inside the containment."""
        seat = self.seats[symbol]
        models = self.models.access(partial(self.tell, engine=symbol))
        engine = Engine(
            symbol=symbol,
            make_strategy=lambda: settings.make_strategy(seat.config, models),
            inbox=seat.inbox,
            submit=lambda _: None,
            market_clock=self.market_clock,
            cycle_interval=seat.config.cycle_interval,
            longest_nap=settings.longest_nap(self.config, seat.config),
            saved_state=seat.saved_state,
            absorbed_errors=lambda: seat.desk.refused + models.errors,
            wait_ready=partial(self._wait_reconciled, seat.desk),
            past_bars=self._past_bars(seat.config),
        )
        engine.submit = self.gateway.admit(symbol, incarnation, engine.take_fill)
        seat.engine = engine
        return engine

    def _past_bars(self, engine: EngineConfig) -> Callable[[], Awaitable[Sequence[Bar]]] | None:
        if not engine.warm_up or self.venue.past_bars is None:
            return None
        return WarmUp(
            symbol=engine.symbol,
            intervals=settings.kline_intervals(self.config),
            count=engine.warm_up,
            past=self.venue.past_bars,
            market_ms=self.market_clock.now_ms,
            wall_ms=self.wall_ms,
            patience=self.config.health.start_timeout / 2,
        )

    async def _wait_reconciled(self, desk: Desk) -> None:
        # A venue that cannot be asked must not make engines crash one after the other: they run
        # and read data, and their desks let no order out.
        with trio.move_on_after(self.config.health.start_timeout / 2):
            await desk.ready.wait()

    # Building

    def take_in_models(self, engine: EngineConfig) -> None:
        """Read the models an engine names, before it runs. Raises UsageError or ValueError."""
        kind = user_of(engine.strategy)
        if kind is not None:
            self.models.take_in(kind, engine.params, self.config.file.parent)

    def add_seat(self, engine: EngineConfig) -> Seat:
        """Make room for a symbol; nothing is subscribed or started."""
        symbol = engine.symbol
        market = MarketView(symbol=symbol)
        desk = Desk(
            symbol=symbol,
            book=Book(symbol=symbol, quote_asset=self.config.fleet.quote),
            market=market,
            signals_only=engine.signals_only,
        )
        seat = Seat(
            config=engine,
            inbox=Inbox(engine.inbox),
            market=market,
            desk=desk,
            market_clock=self.market_clock,
        )
        self.seats[symbol], self.desks[symbol], self.markets[symbol] = seat, desk, market
        return seat

    def enlist(self, engine: EngineConfig) -> None:
        """Take a symbol in while the fleet runs: seat, data, child."""
        symbol = engine.symbol
        book = self.desks[symbol].book if symbol in self.desks else None
        if symbol in self.markets:
            self.venue.unsubscribe(symbol)
        seat = self.add_seat(engine)
        if book is not None:
            seat.desk.book = book
        self.venue.subscribe(seat)
        self.gateway.reconcile(symbol)
        self.supervisor.add(symbol, after=engine.after, group=engine.group)

    def retire(self, symbol: str) -> None:
        """Let a symbol's engine go; its book stays, because its money does."""
        seat = self.seats.pop(symbol)
        seat.inbox.close()
        if not seat.desk.holds:
            self.venue.unsubscribe(symbol)
            del self.markets[symbol]

    def add_retired(self, symbol: str) -> None:
        """A book without an engine: its fills are in the journal, its engine not in the file."""
        market = MarketView(symbol=symbol)
        book = Book(symbol=symbol, quote_asset=self.config.fleet.quote)
        self.desks[symbol] = Desk(symbol=symbol, book=book, market=market)
        self.markets[symbol] = market

    def restore(self, history: History, states: Mapping[str, object]) -> None:
        """Put back what the last run left: books, trading state, wanted states, crashes.

        `states` is what strategies had saved, by symbol.
        """
        left = (leftover.order.symbol for leftover in history.open_orders)
        for symbol in dict.fromkeys((*(fill.symbol for fill in history.fills), *left)):
            if symbol not in self.desks:
                self.add_retired(symbol)
        self.gateway.restore(history)
        wall_ms = self.wall_ms()
        for symbol, seat in self.seats.items():
            seat.restored_state = states.get(symbol)
            self.supervisor.add(
                symbol,
                wanted=Wanted(history.wanted.get(symbol, "running")),
                # A wall clock set back makes crashes new, never future.
                crashes=[max(0, wall_ms - ms) / 1000 for ms in history.crashes.get(symbol, ())],
                failed=history.failed.get(symbol),
                last_error=history.last_errors.get(symbol, ""),
                after=seat.config.after,
                group=seat.config.group,
            )

    def _make_clock(self) -> MarketClock:
        if self.config.feed.kind == "binance":
            return LiveClock(self.seams.wall_clock)
        simulator = self.config.simulator
        return TapeClock(1.0 if simulator is None else simulator.speed)

    def _make_gateway(self) -> Gateway:
        config = self.config
        return Gateway(
            account=self.account,
            rules=settings.order_rules(config),
            journal=self.journal,
            broker=self.venue.make_broker(),
            quote_asset=config.fleet.quote,
            market_ms=self.market_clock.now_ms,
            wall_ms=self.wall_ms,
            data=self.venue.trust.state,
            report=self.tell,
        )

    def _make_supervisor(self) -> Supervisor:
        config = self.config
        return Supervisor(
            launch=self.launch,
            report=lambda event: self.reporter(event),
            record=self.scribe,
            chance=self.seams.chance,
            policy=settings.restart_policy(config),
            health=settings.health_limits(config),
            ailment=self.venue.trust.ailment,
            grace=config.fleet.grace,
            groups={name: GroupRule(group.restart) for name, group in config.groups.items()},
        )

    def _make_board(self) -> StatusBoard:
        return StatusBoard(
            fleet=self.config.fleet.name,
            mode=opening.mode(self.config),
            orders_to=opening.orders_to(self.config),
            data_dir=self.config.fleet.data_dir,
            seats=self.seats,
            children=self.supervisor.children,
            account=self.account,
            policy=lambda: self.supervisor.policy,
            data_age=self.venue.trust.age,
            input_state=self.venue.trust.input_state,
            models=self.models.statistics,
            redact=self.redactor.text,
            wall_ms=self.wall_ms,
            market_ms=self.market_clock.now_ms,
        )
