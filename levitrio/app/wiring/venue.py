"""Builds what connects a fleet to its venue: simulator, feed, broker, data quality."""

from collections.abc import Mapping
from decimal import Decimal

import attrs

from levitrio.app import settings
from levitrio.app.engine_slot import EngineSlot
from levitrio.app.status.data_quality import DataQuality
from levitrio.app.wiring import brokers
from levitrio.app.wiring.environment import Environment
from levitrio.config.sections import FleetConfig
from levitrio.errors import JournalUnavailable
from levitrio.gateway.context import Report
from levitrio.gateway.symbol_state import SymbolState
from levitrio.records.journal.entries import MarketTimeEntry
from levitrio.records.journal.journal import Journal
from levitrio.records.logs.redaction import Redactor
from levitrio.trading.clock import MarketClock
from levitrio.trading.filters import SymbolFilters
from levitrio.trading.market_view import MarketView
from levitrio.venues.base import Broker, PastBars
from levitrio.venues.binance.market_data.backfill import RestBackfill
from levitrio.venues.binance.market_data.feed import BinanceFeed
from levitrio.venues.binance.market_data.statistics import BinanceFeedStatistics
from levitrio.venues.binance.orders.credentials import Credentials
from levitrio.venues.binance.orders.exchange_info import TRADING
from levitrio.venues.binance.public_exchange_info import PublicExchangeInfo
from levitrio.venues.binance.rate_limits.request_weight import WeightLimiter
from levitrio.venues.binance.rest import RestClient, rest_url
from levitrio.venues.paper import PaperBroker
from levitrio.venues.simulator.exchange.faults import Faults
from levitrio.venues.simulator.server.simulator import Simulator

BINANCE_STREAMS = "wss://stream.binance.com:9443"
"""The market streams of Binance production; they need no key."""


@attrs.define(eq=False, kw_only=True)
class VenueServices:
    """Makes simulator, broker and feed, each once. Its mappings are live views of the fleet's."""

    config: FleetConfig
    environment: Environment
    slots: Mapping[str, EngineSlot]
    symbol_states: Mapping[str, SymbolState]
    markets: Mapping[str, MarketView]
    market_clock: MarketClock
    credentials: Credentials | None
    redactor: Redactor
    journal: Journal
    played_ms: int
    """Market ms up to which the built-in simulator may have played in earlier runs."""
    balances: Mapping[str, Decimal]
    """Balances by asset that the built-in simulator's account begins with."""
    tell: Report
    simulator: Simulator | None = attrs.field(init=False)
    data_quality: DataQuality = attrs.field(init=False)
    feed: BinanceFeed | None = None
    """None until the venue's address is known."""
    past_bars: PastBars | None = None
    """Source of the bars for a warm-up; None until the venue's address is known."""
    _paper: PaperBroker | None = None
    _rest: RestClient | None = None
    """For requests without a key; None until the venue's address is known."""
    _weight_limiter: WeightLimiter = attrs.field(factory=WeightLimiter)
    """Shared by feed and broker: the venue bans an address for market data and orders alike."""

    def __attrs_post_init__(self) -> None:
        self.simulator = self._make_simulator()
        self.data_quality = DataQuality(
            feed=lambda: self.feed,
            symbols=self.slots.keys(),
            stale_after=self.config.feed.stale_after,
            is_tape_over=self._is_tape_over,
        )

    def _is_tape_over(self) -> bool:
        return self.simulator is not None and self.simulator.ended.is_set()

    def _make_simulator(self) -> Simulator | None:
        config = self.config.simulator
        if config is None:
            return None
        return Simulator(
            seed=config.seed,
            speed=config.speed,
            recordings=config.recording,
            port=config.port,
            expected_streams=settings.expected_streams(self.config),
            wall_clock=self.environment.wall_clock,
            reserve=self._reserve_market_time,
            start_after_ms=self.played_ms,
            on_event=self.tell,
            keys=brokers.simulator_keys(self.config, self.credentials),
            balances=self.balances,
            fee=self.config.broker.fee,
            faults=Faults.parse(config.faults),
        )

    async def _reserve_market_time(self, market_ms: int) -> None:
        try:
            await self.journal.append(MarketTimeEntry(market_ms=market_ms))
        except JournalUnavailable as exc:
            # The simulator plays on. At worst the next run plays this time again, with the same
            # trade ids.
            self.tell("journal_trouble", f"market time not journaled: {exc}")

    def make_broker(self) -> Broker:
        """The broker that `[broker]` names."""
        config = self.config
        if self.credentials is not None:
            return brokers.make_binance(
                config,
                self.credentials,
                simulator_url=self._simulator_url,
                on_event=self.tell,
                weight_limiter=self._weight_limiter,
                chance=self.environment.chance,
                redact=self.redactor.text,
                open_stream=self.environment.open_stream,
            )
        self._paper = PaperBroker(
            rulebook=PublicExchangeInfo(
                lambda: self._rest,
                self._learn_exchange_info,
                lambda kind, text, symbol: self.tell(kind, text, engine=symbol),
            ),
            markets=self.markets,
            quote_asset=config.fleet.quote,
            market_ms=self.market_clock.now_ms,
            fee=config.broker.fee,
            slippage=config.broker.slippage,
            latency=config.broker.latency,
        )
        for slot in self.slots.values():
            slot.also = self._paper.see
        return self._paper

    def _learn_exchange_info(self, symbol: str, filters: SymbolFilters, status: str) -> None:
        if self._paper is not None:
            self._paper.learn(symbol, filters, "" if status == TRADING else status)

    def _simulator_url(self) -> str:
        assert self.simulator is not None, "the check of fleet.toml requires [simulator] here"
        return self.simulator.url

    def make_feed(self, url: str) -> BinanceFeed:
        """Make the feed of all symbols. Called once the venue runs and its address is known."""
        feed = self.config.feed
        self._rest = RestClient(
            rest_url(url),
            weight_limiter=self._weight_limiter,
            open_stream=self.environment.open_stream,
        )
        self.past_bars = backfill = RestBackfill(self._rest)
        self.feed = BinanceFeed(
            url,
            streams=feed.streams,
            symbols_per_connection=feed.symbols_per_connection,
            backoff=settings.feed_backoff(self.config),
            chance=self.environment.chance,
            on_event=self.tell,
            wall_clock=self.environment.wall_clock if feed.kind == "binance" else None,
            backfill=backfill,
            stale_after=feed.stale_after,
            is_resting=self._is_tape_over,
            open_stream=self.environment.open_stream,
            reader=feed.reader,
        )
        for symbol, market in self.markets.items():
            slot = self.slots.get(symbol)
            if slot is not None:
                self.feed.add(symbol, slot.deliver)
            elif not self.symbol_states[symbol].position.is_flat:
                # No engine trades it any more, but its position still needs a price.
                self.feed.add(symbol, market.see)
            market.depth = self.feed.order_book(symbol)
        return self.feed

    def feed_statistics(self) -> BinanceFeedStatistics | None:
        """The feed's counters; None before there is a feed."""
        return None if self.feed is None else self.feed.statistics()

    def subscribe(self, slot: EngineSlot) -> None:
        """Subscribe a symbol that was added while the fleet runs."""
        if self._paper is not None:
            slot.also = self._paper.see
        if self.feed is not None:
            symbol = slot.config.symbol
            self.feed.add(symbol, slot.deliver)
            slot.market.depth = self.feed.order_book(symbol)

    def unsubscribe(self, symbol: str) -> None:
        """End the subscription of a symbol."""
        if self.feed is not None:
            self.feed.remove(symbol)
