"""The composition root: builds the objects of a fleet from a FleetConfig, without running them.

The only module that chooses a concrete class for each interface. Tests and replay build the same
fleet with other implementations of them.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import trio

from levitrio.app import banner, settings
from levitrio.app.engine_hooks import DirectHooks, EngineHooks
from levitrio.app.engine_slot import EngineSlot
from levitrio.app.status.cache import StatusCache
from levitrio.app.status.document import StatusDocument
from levitrio.app.status.incidents import IncidentRecorder
from levitrio.app.status.metrics import MetricsExporter
from levitrio.app.status.supervision_events import SupervisionReporter
from levitrio.app.status.telemetry import Telemetry
from levitrio.app.wiring import brokers
from levitrio.app.wiring.environment import Environment
from levitrio.app.wiring.models import user_of
from levitrio.app.wiring.venue import VenueServices
from levitrio.app.wiring.warm_up import WarmUp
from levitrio.config.sections import EngineConfig, FleetConfig
from levitrio.engine.engine import Engine
from levitrio.engine.inbox import Inbox
from levitrio.gateway.context import GatewayContext, OrderJournal, Report
from levitrio.gateway.gateway import Gateway
from levitrio.gateway.symbol_state import SymbolState
from levitrio.records.alerts.alerts import AlertRules, Alerts
from levitrio.records.journal.entries import History
from levitrio.records.journal.journal import Journal
from levitrio.records.locks.reserve_descriptor import ReservedDescriptor
from levitrio.records.logs.event_log import EventLog, RecentEvents
from levitrio.records.logs.redaction import Redactor
from levitrio.records.snapshots.filesystem import Directory
from levitrio.records.snapshots.store import SnapshotStore
from levitrio.records.snapshots.writer import SnapshotWriter
from levitrio.supervision.child import Child
from levitrio.supervision.lifecycle import Wanted
from levitrio.supervision.start_order import GroupRule
from levitrio.supervision.supervisor import Supervisor
from levitrio.trading.clock import LiveClock, MarketClock, TapeClock
from levitrio.trading.market import Bar
from levitrio.trading.market_view import MarketView
from levitrio.trading.position import Position
from levitrio.venues.binance.orders.credentials import Credentials


class Assembly:
    """All objects of one fleet, connected. `FleetRun.run` restores and runs it.

    Args:
        config: The checked fleet.toml.
        journal: The open journal; `history` is what its `open` returned.
        history: What the last run left in the journal.
        events: The fleet's event log.
        environment: Clocks, randomness, threads and network.
        credentials: The key that signs orders; None: opened as `[broker]` says.
        redactor: Learns the credentials, to take them out of texts.
        market_clock: The market's time; None: the clock that suits the feed.
        gateway_journal: Where the gateway appends; None: to `journal`.
        gateway_report: Receives the gateway's events; None: the event log does, fills included.
        engine_hooks: Wraps the signals that engines submit and the fills they receive.

    Raises:
        UsageError: The key cannot be used.
    """

    make_venue = VenueServices

    def __init__(
        self,
        config: FleetConfig,
        *,
        journal: Journal,
        history: History,
        events: EventLog,
        environment: Environment,
        credentials: Credentials | None = None,
        redactor: Redactor | None = None,
        market_clock: MarketClock | None = None,
        gateway_journal: OrderJournal | None = None,
        gateway_report: Report | None = None,
        engine_hooks: EngineHooks = DirectHooks(),  # noqa: B008  it has no state
    ) -> None:
        self.config = config
        self.engine_hooks = engine_hooks
        self.redactor = redactor or Redactor()
        self.credentials = credentials or brokers.open_credentials(config, environment.make_token)
        if self.credentials is not None:
            self.redactor.add(*self.credentials.values)
        self.environment = environment
        self.events = events
        self.journal = journal
        self.market_clock = market_clock or self._make_clock()
        self.slots: dict[str, EngineSlot] = {}
        self.symbol_states: dict[str, SymbolState] = {}
        self.markets: dict[str, MarketView] = {}
        self.models = environment.make_models(
            config, environment.wall_clock, environment.chance, self.tell
        )
        for engine in config.engines.values():
            self.load_models(engine)
            self.add_slot(engine)
        self.account = brokers.make_account(config, self.symbol_states)
        self.venue = self.make_venue(
            config=config,
            environment=environment,
            slots=self.slots,
            symbol_states=self.symbol_states,
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
        )
        self.gateway = self._make_gateway(gateway_journal or journal, gateway_report)
        recent = RecentEvents()
        events.add_sink(recent)
        self.incident_recorder = IncidentRecorder(
            journal=journal,
            wall_ms=self.wall_ms,
            offload=environment.offload(),
            recent=recent.of,
            redact=self.redactor.text,
        )
        children: dict[str, Child] = {}
        self.status_document = self._make_status_document(children)
        self.status = StatusCache(self.status_document)
        events.add_sink(self.status)
        self.reserve = ReservedDescriptor()
        self.snapshots = SnapshotWriter(
            SnapshotStore(Directory(config.fleet.data_dir, self.reserve)),
            self.status_document.snapshot,
            offload=environment.offload(),
            on_trouble=lambda text: self.tell("snapshot_trouble", text),
        )
        self.telemetry = Telemetry(
            slots=self.slots, account=self.account, market_clock=self.market_clock
        )
        events.add_sink(self.telemetry)
        self.alerts = Alerts(
            rules=AlertRules(fleet=config.fleet.name, on=()),
            offload=environment.outbox,
            failed=partial(self.tell, "alert_failed"),
        )
        self.metrics_exporter = MetricsExporter(
            status=self.status,
            telemetry=self.telemetry,
            slots=self.slots,
            journal=journal,
            snapshots=self.snapshots,
            feed=self.venue.feed_statistics,
            offload=environment.offload(),
        )
        self.reporter = SupervisionReporter(
            slots=self.slots,
            gateway=self.gateway,
            events=events,
            changed=self.snapshots.request,
            start_timeout=lambda: self.config.health.start_timeout,
        )
        self.supervisor = self._make_supervisor(children)

    # Called by the parts of the fleet

    def wall_ms(self) -> int:
        """The wall clock, in ms since 1970."""
        return int(self.environment.wall_clock() * 1000)

    def tell(self, kind: str, text: str, *, engine: str | None = None, **data: object) -> None:
        """Emit an event: one line of the event log."""
        self.events.emit(kind, text, engine, **data)

    def launch(self, symbol: str, incarnation: int) -> Engine:
        """Make a new incarnation of an engine. The supervisor calls it, inside the containment."""
        slot = self.slots[symbol]
        models = self.models.access(partial(self.tell, engine=symbol))
        engine = Engine(
            symbol=symbol,
            make_strategy=lambda: settings.make_strategy(slot.config, models),
            inbox=slot.inbox,
            submit=self.engine_hooks.submit(symbol, self.gateway.admit(symbol, incarnation)),
            market_clock=self.market_clock,
            cycle_interval=slot.config.cycle_interval,
            longest_nap=settings.longest_nap(self.config, slot.config),
            saved_state=slot.saved_state,
            absorbed_errors=lambda: slot.symbol_state.refused + models.errors,
            wait_ready=partial(self._wait_reconciled, slot.symbol_state),
            past_bars=self._past_bars(slot.config),
        )
        self.gateway.send_fills(symbol, self.engine_hooks.take_fill(engine))
        slot.engine = engine
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

    async def _wait_reconciled(self, state: SymbolState) -> None:
        # While the venue does not answer, engines must not crash one after the other: they start
        # and read data, and the gateway sends no order of theirs until they are reconciled.
        with trio.move_on_after(self.config.health.start_timeout / 2):
            await state.ready.wait()

    # Building

    def load_models(self, engine: EngineConfig) -> None:
        """Read the models an engine names, before it runs.

        Raises:
            UsageError: A model file cannot be used.
            ValueError: A model does not fit the strategy's parameters.
        """
        kind = user_of(engine.strategy)
        if kind is not None:
            self.models.take_in(kind, engine.params, self.config.file.parent)

    def add_slot(self, engine: EngineConfig) -> EngineSlot:
        """Make slot and symbol state of an engine; subscribes and starts nothing."""
        symbol = engine.symbol
        market = MarketView(symbol=symbol)
        state = SymbolState(
            symbol=symbol,
            position=Position(symbol=symbol, quote_asset=self.config.fleet.quote),
            market=market,
            signals_only=engine.signals_only,
        )
        slot = EngineSlot(
            config=engine,
            inbox=Inbox(engine.inbox),
            market=market,
            symbol_state=state,
            market_clock=self.market_clock,
        )
        self.slots[symbol], self.symbol_states[symbol], self.markets[symbol] = slot, state, market
        return slot

    def add_symbol(self, engine: EngineConfig) -> None:
        """Add an engine while the fleet runs: slot, subscription, reconciliation, child."""
        symbol = engine.symbol
        position = self.symbol_states[symbol].position if symbol in self.symbol_states else None
        if symbol in self.markets:
            self.venue.unsubscribe(symbol)
        slot = self.add_slot(engine)
        if position is not None:
            slot.symbol_state.position = position
        self.venue.subscribe(slot)
        self.gateway.reconcile(symbol)
        self.supervisor.add(symbol, after=engine.after, group=engine.group)

    def remove_symbol(self, symbol: str) -> None:
        """Remove a symbol's engine; its symbol state stays, because its position does."""
        slot = self.slots.pop(symbol)
        slot.inbox.close()
        if not slot.symbol_state.holds:
            self.venue.unsubscribe(symbol)
            del self.markets[symbol]

    def add_retired(self, symbol: str) -> None:
        """Add the state of a symbol that has fills or open orders, and no engine in fleet.toml."""
        market = MarketView(symbol=symbol)
        position = Position(symbol=symbol, quote_asset=self.config.fleet.quote)
        self.symbol_states[symbol] = SymbolState(symbol=symbol, position=position, market=market)
        self.markets[symbol] = market

    def restore(self, history: History, states: Mapping[str, object]) -> None:
        """Restore the last run: positions, trading state, wanted states, crashes.

        `states` is the strategies' saved state by symbol.
        """
        left = (leftover.order.symbol for leftover in history.open_orders)
        for symbol in dict.fromkeys((*(fill.symbol for fill in history.fills), *left)):
            if symbol not in self.symbol_states:
                self.add_retired(symbol)
        self.gateway.restore(history)
        wall_ms = self.wall_ms()
        for symbol, slot in self.slots.items():
            slot.restored_state = states.get(symbol)
            self.supervisor.add(
                symbol,
                wanted=Wanted(history.wanted.get(symbol, "running")),
                # After the wall clock was set back, an age could be negative: such a crash is new.
                crashes=[max(0, wall_ms - ms) / 1000 for ms in history.crashes.get(symbol, ())],
                failed=history.failed.get(symbol),
                last_error=history.last_errors.get(symbol, ""),
                after=slot.config.after,
                group=slot.config.group,
            )

    def _make_clock(self) -> MarketClock:
        if self.config.feed.kind == "binance":
            return LiveClock(self.environment.wall_clock)
        simulator = self.config.simulator
        return TapeClock(1.0 if simulator is None else simulator.speed)

    def _make_gateway(self, journal: OrderJournal, report: Report | None) -> Gateway:
        config = self.config
        return Gateway(
            account=self.account,
            rules=settings.order_rules(config),
            journal=journal,
            broker=self.venue.make_broker(),
            quote_asset=config.fleet.quote,
            context=GatewayContext(
                market_ms=self.market_clock.now_ms,
                wall_ms=self.wall_ms,
                data_state=self.venue.data_quality.state,
                report=report or self.tell,
                report_fills=report is None,
            ),
        )

    def _make_supervisor(self, children: dict[str, Child]) -> Supervisor:
        config = self.config
        return Supervisor(
            launch=self.launch,
            report=self.reporter,
            record=self.incident_recorder,
            chance=self.environment.chance,
            policy=settings.restart_policy(config),
            health=settings.health_limits(config),
            health_problem=self.venue.data_quality.health_problem,
            grace=config.fleet.grace,
            groups={name: GroupRule(group.restart) for name, group in config.groups.items()},
            children=children,
        )

    def _make_status_document(self, children: Mapping[str, Child]) -> StatusDocument:
        return StatusDocument(
            fleet=self.config.fleet.name,
            mode=banner.mode(self.config),
            orders_to=banner.orders_to(self.config),
            data_dir=self.config.fleet.data_dir,
            slots=self.slots,
            children=children,
            account=self.account,
            policy=lambda: settings.restart_policy(self.config),
            data_age=self.venue.data_quality.age,
            input_state=self.venue.data_quality.input_state,
            models=self.models.statistics,
            redact=self.redactor.text,
            wall_ms=self.wall_ms,
            market_ms=self.market_clock.now_ms,
        )
