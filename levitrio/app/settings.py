"""Converts sections of fleet.toml to the values that supervisor, gateway, feed and engines take."""

from collections.abc import Callable

import attrs

from levitrio.config.sections import EngineConfig, FleetConfig
from levitrio.gateway.order_decision import EntryRules, Rules
from levitrio.inference.interface import ModelAccess, ModelUser
from levitrio.strategies.base import Strategy
from levitrio.strategies.catalog import resolve
from levitrio.supervision.health import HealthLimits
from levitrio.supervision.restart import RestartPolicy
from levitrio.trading.orders import OrderType
from levitrio.trading.risk import RiskRules
from levitrio.trading.sizing import SizingRules
from levitrio.venues.binance.market_data.decoder import stream_name


def restart_policy(config: FleetConfig) -> RestartPolicy:
    """`[recovery]` as the supervisor's policy."""
    return RestartPolicy(**attrs.asdict(config.recovery))


def feed_backoff(config: FleetConfig) -> Callable[[int, float], float]:
    """The restart policy's backoff for reconnects, whose first attempt is 0."""
    policy = restart_policy(config)
    return lambda attempt, chance: policy.backoff(attempt + 1, chance)


def health_limits(config: FleetConfig) -> HealthLimits:
    """`[health]` as the supervisor's limits."""
    health = config.health
    return HealthLimits(
        heartbeat_timeout=health.heartbeat_timeout,
        max_errors=health.max_errors,
        start_timeout=health.start_timeout,
    )


def order_rules(config: FleetConfig) -> Rules:
    """`[risk]` and the entry settings of `[broker]` as the gateway's rules."""
    risk = config.risk
    return Rules(
        risk=RiskRules(
            max_daily_loss=risk.max_daily_loss,
            max_drawdown=risk.max_drawdown,
            on_loss=risk.on_loss,
            max_symbol_exposure=risk.max_symbol_exposure,
            max_gross_exposure=risk.max_gross_exposure,
            max_open_positions=risk.max_open_positions,
            max_orders_per_minute=risk.max_orders_per_minute,
            cooldown=risk.cooldown,
            price_band=risk.price_band,
            stale_after=config.feed.stale_after,
        ),
        sizing=SizingRules(
            max_symbol_exposure=risk.max_symbol_exposure,
            kelly_fraction=risk.kelly_fraction,
            volatility_target=risk.volatility_target,
        ),
        entry=EntryRules(
            type=OrderType(config.broker.entry.upper()), timeout=config.broker.entry_timeout
        ),
    )


def expected_streams(config: FleetConfig) -> frozenset[str]:
    """The names of all streams of all engines: a tape starts when all are subscribed."""
    return frozenset(
        stream_name(symbol, stream) for symbol in config.engines for stream in config.feed.streams
    )


def kline_intervals(config: FleetConfig) -> tuple[str, ...]:
    """The bar intervals of the kline streams, in the order of fleet.toml."""
    streams = config.feed.streams
    return tuple(s.removeprefix("kline_") for s in streams if s.startswith("kline_"))


def make_strategy(config: EngineConfig, models: ModelAccess) -> Strategy:
    """Make an engine's strategy. Called on its task: what it raises is a crash while starting."""
    strategy = resolve(config.strategy)(config.symbol, **config.params)
    if isinstance(strategy, ModelUser):
        strategy.models = models
    return strategy


def longest_nap(config: FleetConfig, engine: EngineConfig) -> float:
    """Longest time, in seconds, that an engine without data sleeps before its next heartbeat.

    A heartbeat each cycle, but at most one a second: a thousand idle engines must not cost a core.
    """
    return min(config.health.heartbeat_timeout / 3, max(1.0, engine.cycle_interval))
