"""The sections of fleet.toml: every key, its type, its default and its meaning.

Loader, JSON Schema and documentation start from these classes; a key exists when it is a field
here. A section that is None when absent turns something on by being in the file.
"""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import attrs

from levitrio.config.value_types import (
    Float,
    Integer,
    Location,
    Loopback,
    Number,
    PlainTable,
    Seconds,
    StreamUrl,
    SymbolName,
    Text,
)

DAY = 86_400.0
MAX_ENGINES = 10_000
"""A larger fleet needs more than one process."""

BinanceStream = Annotated[
    str,
    Text(
        r"trade|bookTicker|depth(@100ms)?"
        r"|kline_(1s|1m|3m|5m|15m|30m|1h|2h|4h|6h|8h|12h|1d|3d|1w|1M)",
        '"trade", "bookTicker", "depth@100ms" or a kline such as "kline_1m"',
    ),
]
AlertUrl = Annotated[
    str, Text(r"[a-z][a-z0-9+.-]*://[!-~]{1,2048}", "an address such as tgram://...", True)
]
AlertKind = Literal[
    "failed", "halted", "stuck", "stale", "blocked", "journal", "account", "summary"
]
GroupName = Annotated[str, Text(r"[A-Za-z0-9_-]{1,32}", "a name of letters, digits, _ and -")]


@attrs.frozen(kw_only=True)
class FleetSection:
    """`[fleet]`: the fleet as a whole."""

    name: Annotated[
        str,
        Text(
            "[a-z0-9][a-z0-9_-]{0,31}",
            "1 to 32 lower-case letters, digits, _ or -, a letter or digit first",
        ),
    ] = "fleet"
    """Names the control socket and its lock; two fleets of one user need two names."""
    data_dir: Annotated[Path, Location()] = Path("data")
    """Folder of journal, snapshots and logs."""
    quote: Annotated[str, Text("[A-Z0-9]{2,10}", "an asset such as USDT")] = "USDT"
    """The asset that every engine trades against and all money is counted in."""
    grace: Annotated[float, Seconds(0, 600)] = 5.0
    """Seconds an engine has to obey a stop before it is reported as stuck."""
    on_give_up: Literal["continue", "halt", "exit"] = "continue"
    """What the fleet does when an engine is given up: go on, halt trading, or end."""

    @property
    def journal(self) -> Path:
        """Path of the journal's SQLite database."""
        return self.data_dir / "journal.db"


@attrs.frozen(kw_only=True)
class SimulatorSection:
    """`[simulator]`: the built-in exchange, started with the fleet. Leave out for a real venue."""

    seed: Annotated[int, Integer(0, 2**63 - 1)] = 1
    """The same seed gives the same market."""
    speed: Annotated[float, Float(0, 1e9, True)] = 1.0
    """Market seconds per real second, an upper bound: the simulator waits for slow clients."""
    recording: tuple[Annotated[Path, Location()], ...] = ()
    """Recordings to play instead of a generated market."""
    port: Annotated[int, Integer(0, 65_535)] = 0
    """TCP port on 127.0.0.1; 0 picks a free one."""
    faults: Annotated[dict[str, Any], PlainTable()] = attrs.field(factory=dict)
    """Faults to inject, such as disconnect_every = 60; see docs/simulator.md."""


@attrs.frozen(kw_only=True)
class FeedSection:
    """`[feed]`: market data of the whole fleet."""

    kind: Literal["simulator", "binance"] = "simulator"
    """Where market data comes from."""
    url: Annotated[str, StreamUrl()] | None = None
    """Address of the market streams. Unset: production for binance, `[simulator]` for simulator."""
    reader: Literal["fast", "trio-websocket"] = "fast"
    """Code that reads WebSocket frames: our own, or the slower library to compare it with."""
    streams: tuple[BinanceStream, ...] = ("trade", "bookTicker", "kline_1m")
    """Streams to subscribe for each symbol."""
    symbols_per_connection: Annotated[int, Integer(1, 1024)] = 200
    """Symbols on one connection; the venue allows 1,024 streams, that is streams x symbols."""
    stale_after: Annotated[float, Seconds(1, DAY)] = 30.0
    """Seconds without data after which a symbol is stale and sends no order; longer for a pair
    whose gaps are usually longer."""


@attrs.frozen(kw_only=True)
class BrokerSection:
    """`[broker]`: where orders go."""

    kind: Literal["paper", "simulator", "binance"] = "paper"
    """`binance` is real money and needs `levi run --live` as well."""
    cash: Annotated[Decimal, Number(0, 1e12, True)] = Decimal(10_000)
    """Starting cash of paper and simulator, in the quote asset."""
    fee: Annotated[Decimal, Number(0, 0.1)] = Decimal("0.001")
    """Fee of the paper broker, as a fraction of an order's worth."""
    slippage: Annotated[Decimal, Number(0, 0.1)] = Decimal("0.0005")
    """Fraction by which a fill of the paper broker is worse than the touch."""
    latency: Annotated[float, Seconds(0, 60)] = 0.0
    """Seconds between an order and its fill at the paper broker."""
    entry: Literal["market", "limit", "limit_maker"] = "market"
    """How positions are opened: at once, or resting at the best bid; a maker never takes."""
    entry_timeout: Annotated[float, Seconds(1, DAY)] = 30.0
    """Seconds an entry may rest before the rest of it is cancelled."""
    key_file: Annotated[Path, Location()] | None = None
    """File with the API key of binance, readable by its owner only (0600)."""
    url: Annotated[str, StreamUrl()] | None = None
    """Address of the order interface. Unset: production for binance, `[simulator]` for
    simulator."""


@attrs.frozen(kw_only=True)
class RiskSection:
    """`[risk]`: limits of the whole fleet. Fractions, not percents."""

    max_daily_loss: Annotated[Decimal, Number(0, 1, True)] = Decimal("0.03")
    """Loss limit of a day: fraction of the equity at 00:00 UTC, unrealized loss included."""
    max_drawdown: Annotated[Decimal, Number(0, 1, True)] = Decimal("0.10")
    """Loss limit from the peak: fraction of the highest equity, unrealized loss included."""
    on_loss: Literal["reduce", "halt", "flatten"] = "reduce"
    """At a loss limit: exits only, no order at all, or close everything."""
    max_symbol_exposure: Annotated[Decimal, Number(0, 1, True)] = Decimal("0.20")
    """Largest position of one symbol, as a fraction of equity."""
    max_gross_exposure: Annotated[Decimal, Number(0, 10, True)] = Decimal("1.0")
    """Largest sum of all positions, as a fraction of equity."""
    max_open_positions: Annotated[int, Integer(1, MAX_ENGINES)] = 5
    """Number of symbols that may hold a position at the same time."""
    kelly_fraction: Annotated[Decimal, Number(0, 1, True)] = Decimal("0.25")
    """Fraction of the full Kelly bet that an entry takes."""
    volatility_target: Annotated[float, Float(0, 10, True)] = 0.15
    """Annualised volatility; a more volatile symbol gets a smaller entry."""
    max_orders_per_minute: Annotated[int, Integer(1, 100_000)] = 120
    """Limit for entries of the whole fleet; an exit is never refused for its rate."""
    cooldown: Annotated[float, Seconds(0, 7 * DAY)] = 0.0
    """Seconds between an order of a symbol and its next entry."""
    price_band: Annotated[Decimal, Number(0, 1, True)] = Decimal("0.05")
    """Largest distance of an order's price from the last trade, as a fraction."""


@attrs.frozen(kw_only=True)
class RecoverySection:
    """`[recovery]`: how crashed engines are restarted, the first time at once."""

    max_restarts: Annotated[int, Integer(0, 10_000)] = 5
    """Restarts within `window`; at the next crash the engine is given up."""
    window: Annotated[float, Seconds(0.001, 30 * DAY)] = 3600.0
    """Seconds in which restarts are counted."""
    backoff_base: Annotated[float, Seconds(0, DAY)] = 1.0
    """Seconds before the second restart."""
    backoff_factor: Annotated[float, Float(1, 100)] = 2.0
    """Factor by which each further pause is longer than the one before."""
    backoff_max: Annotated[float, Seconds(0, DAY)] = 60.0
    """Longest pause in seconds."""
    jitter: Annotated[float, Float(0, 1)] = 0.2
    """Random part of a pause, as a fraction, so that engines do not restart in step."""
    stable_after: Annotated[float, Seconds(0, 30 * DAY)] = 600.0
    """Seconds of running after which the next crash counts as the first."""


@attrs.frozen(kw_only=True)
class HealthSection:
    """`[health]`: when a running engine counts as crashed and is restarted."""

    heartbeat_timeout: Annotated[float, Seconds(0.03, DAY)] = 60.0
    """Seconds without a finished cycle; at least three cycles."""
    max_errors: Annotated[int, Integer(0, 1_000_000)] = 10
    """Consecutive errors an engine may absorb; one more is a crash."""
    blocked_after: Annotated[float, Seconds(0.05, 600, True)] = 0.5
    """Seconds of strategy code without a pause that count as a blocked loop; 0 turns it off."""
    start_timeout: Annotated[float, Seconds(0.05, 3600)] = 10.0
    """Seconds an engine has to get from starting to running."""


@attrs.frozen(kw_only=True)
class ControlSection:
    """`[control]`: the socket that `levi ctl` connects to."""

    socket: Annotated[Path, Location()] | None = None
    """Path of at most 100 bytes, in a folder of mode 0700. Unset: the user's state directory."""


@attrs.frozen(kw_only=True)
class HttpSection:
    """`[http]`: REST, metrics and dashboard. Off unless the section is in the file."""

    bind: Annotated[str, Loopback()] = "127.0.0.1:8787"
    """Address on this machine."""
    token_file: Annotated[Path, Location()] | None = None
    """File (0600) with the token that commands need. Unset: HTTP only reads."""


@attrs.frozen(kw_only=True)
class AlertsSection:
    """`[alerts]`: messages to people."""

    urls: tuple[AlertUrl, ...] = attrs.field(default=(), repr=False)
    """Receivers, as addresses of the apprise library."""
    on: tuple[AlertKind, ...] = (
        *("failed", "halted", "stuck", "stale", "blocked", "journal", "account"),
    )
    """Events that are sent; `summary` is one a day."""


@attrs.frozen(kw_only=True)
class ModelsSection:
    """`[models]`: worker processes for inference."""

    workers: Annotated[int, Integer(1, 256)] = 1
    """Number of worker processes."""
    deadline: Annotated[float, Seconds(0.001, 60)] = 0.25
    """Seconds for one call; a later answer is dropped and counted."""


@attrs.frozen(kw_only=True)
class GroupSection:
    """`[groups.NAME]`: engines that are restarted together."""

    restart: Literal["one_for_one", "one_for_all", "rest_for_one"] = "one_for_one"
    """Engines that restart with a crashed one: none, the group, or those started after it."""


@attrs.frozen(kw_only=True)
class EngineSettings:
    """`[defaults]`, and `[engines.X]` on top of it."""

    strategy: Annotated[
        str,
        Text(
            r"[A-Za-z_]\w*|[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*",
            'the name of a built-in strategy or "package.module:Class"',
        ),
    ] = "ema_cross"
    """Name of the strategy; `levi strategies` lists the built-in ones."""
    params: Annotated[dict[str, Any], PlainTable()] = attrs.field(factory=dict)
    """Keyword arguments of the strategy."""
    cycle_interval: Annotated[float, Seconds(0.01, 3600)] = 1.0
    """Seconds of market time between two calls of `on_cycle`."""
    inbox: Annotated[int, Integer(1, 2**24)] = 65_536
    """Market events that may wait for the engine; beyond that the oldest is dropped."""
    warm_up: Annotated[int, Integer(0, 1_000)] = 0
    """Closed bars of each kline stream that a strategy without saved state sees before it acts."""
    signals_only: bool = False
    """Run the strategy and decide its orders, but send none."""
    after: tuple[Annotated[str, SymbolName()], ...] = ()
    """Engines that must be running before this one starts."""
    group: GroupName | None = None
    """The group the engine belongs to."""


@attrs.frozen(kw_only=True)
class EngineConfig(EngineSettings):
    """The settings of one engine, defaults included."""

    symbol: str
    """Normalised, such as BTCUSDT."""


@attrs.frozen(kw_only=True)
class Sections:
    """The sections of fleet.toml other than the engines."""

    fleet: FleetSection = FleetSection()
    simulator: SimulatorSection | None = None
    feed: FeedSection = FeedSection()
    broker: BrokerSection = BrokerSection()
    risk: RiskSection = RiskSection()
    recovery: RecoverySection = RecoverySection()
    health: HealthSection = HealthSection()
    control: ControlSection = ControlSection()
    http: HttpSection | None = None
    alerts: AlertsSection | None = None
    models: ModelsSection | None = None
    groups: dict[str, GroupSection] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class FleetFile(Sections):
    """fleet.toml as it is written: `[defaults]` and `[engines.X]` still apart."""

    defaults: EngineSettings = EngineSettings()
    engines: dict[str, EngineSettings] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class FleetConfig(Sections):
    """fleet.toml as the program uses it: checked, merged, every path absolute."""

    file: Path = Path("fleet.toml")
    """Path of the file that was read."""
    engines: dict[str, EngineConfig] = attrs.field(factory=dict)
    """The engines by symbol, in the order of the file."""
