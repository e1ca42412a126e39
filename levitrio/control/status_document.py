"""The status document, written down once: its keys in their order, their types and meanings.

The fleet makes dictionaries of these types, and mypy checks every key. The JSON is those
dictionaries; the OpenAPI schemas and the Prometheus metrics are generated from the annotations;
`levi ctl status` and `levi ctl top` read what came over the socket by the same types.

They are TypedDicts, not Structs, because making the 38 members of an engine as a Struct takes
9.5 us and as a dictionary 4.3 us, and because `levi ctl status` reads them without msgspec.

A member with `gauge` or `counter` is a metric of that name, its description the help text.
Members may be added, never renamed: clients have read them since version 1.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, TypedDict

from msgspec import Meta

from levitrio.records.metrics.process_stats import ProcessUsage
from levitrio.supervision.lifecycle import State, Wanted
from levitrio.trading.risk import TradingState


def _one_of(words: type[StrEnum] | Iterable[str]) -> Meta:
    return Meta(extra_json_schema={"enum": [str(word) for word in words]})


def _gauge(name: str, text: str) -> Meta:
    return Meta(description=text, extra={"gauge": name})


def _counter(name: str, text: str) -> Meta:
    return Meta(description=text, extra={"counter": name})


Count = Annotated[int, Meta(ge=0)]
Amount = Annotated[str, Meta(pattern=r"^-?\d+(\.\d+)?$")]
"""A decimal number as text: money in the quote asset, or a quantity in the base asset."""

Always = Annotated[bool, Meta(extra_json_schema={"const": True})]
StateWord = Annotated[str, _one_of(State)]
WantedWord = Annotated[str, _one_of(Wanted)]
TradingStateWord = Annotated[str, _one_of(TradingState)]


class ModelsStatus(TypedDict):
    """Calls of models since the fleet started, and the workers that answer them."""

    workers: Annotated[Count, Meta(description="Worker processes that are configured.")]
    ready: Annotated[Count, Meta(description="Workers that are alive, with their models loaded.")]
    calls: Count
    late: Annotated[Count, Meta(description="Answers after the deadline, or none at all.")]
    wrong: Annotated[
        Count, Meta(description="Answers that are no probability, and models that do not load.")
    ]
    lost: Annotated[Count, Meta(description="Workers that died, or were ended because they hung.")]


class OpenOrder(TypedDict):
    """The entry of an engine that rests at the venue, or is on its way there."""

    client_id: str
    side: str
    type: str
    price: Amount
    quantity: Amount
    filled: Amount
    expires_in: Annotated[float | None, Meta(description="Seconds; null: it does not expire.")]


class EngineStatus(TypedDict):
    """One engine: its supervision, its market data, its position."""

    symbol: str
    status: StateWord
    wanted: WantedWord
    incarnation: Annotated[
        Count, _gauge("incarnation", "Number of the newest incarnation, from 1 in each run.")
    ]
    restarts: Annotated[
        Count, _gauge("restarts", "Automatic restarts within the window of the restart policy.")
    ]
    next_restart_in: Annotated[float | None, Meta(description="Seconds; null: none is planned.")]
    uptime_seconds: Annotated[
        float, _gauge("uptime_seconds", "Seconds this incarnation has been running.")
    ]
    last_heartbeat: Annotated[str | None, Meta(description="ISO 8601, UTC.")]
    heartbeat_age: Annotated[
        float | None, _gauge("heartbeat_age_seconds", "Seconds since the last heartbeat.")
    ]
    error_count: Annotated[
        Count, _gauge("absorbed_errors", "Consecutive errors the engine absorbed.")
    ]
    last_error: str | None
    failed: Annotated[str | None, Meta(description="Why it was given up; null: it was not.")]
    waiting_for: Annotated[list[str], Meta(description="Engines that start before this one.")]
    ticks: Annotated[Count, _counter("ticks", "Trades delivered to the strategy.")]
    ticks_dropped: Annotated[Count, Meta(description="Trades lost because the inbox was full.")]
    queued: Annotated[Count, Meta(description="Market events that wait in the inbox.")]
    data_age: Annotated[
        float | None, _gauge("data_age_seconds", "Seconds since the newest market data.")
    ]
    stale: Annotated[bool, Meta(description="The newest market data is too old to trade on.")]
    suspended: Annotated[bool, Meta(description="The venue's prices are not believed for now.")]
    dropped_input: Annotated[dict[str, int], Meta(description="Refused market data by reason.")]
    late_trades: Count
    price: Annotated[Amount | None, Meta(description="Of the last trade.")]
    position: Annotated[
        Amount, _gauge("position", "Position in the base asset; negative is short.")
    ]
    average_entry: Amount
    unrealized_pnl: Annotated[
        Amount, _gauge("unrealized_pnl", "Profit of the open position, in the quote asset.")
    ]
    realized_pnl: Amount
    daily_pnl: Annotated[Amount, _gauge("daily_pnl", "Profit since 00:00 UTC, in the quote asset.")]
    total_pnl: Annotated[
        Amount, _gauge("total_pnl", "Profit since the first fill, in the quote asset.")
    ]
    trade_count: Annotated[Count, _counter("trades", "Orders with at least one fill.")]
    open_order: OpenOrder | None
    denials: Annotated[dict[str, int], Meta(description="Orders our risk refused, by reason.")]
    blocks: Annotated[list[str], Meta(description="Why no order of this symbol leaves.")]
    strategy: str


class FleetSummary(TypedDict):
    """The fleet without its engines: process, money, and how many engines are in which state."""

    schema: Count
    fleet: str
    reachable: Always
    pid: Count
    mode: Annotated[str, _one_of(("paper", "simulator", "live"))]
    orders_to: Annotated[str, Meta(description="The receiver of orders: `Binance testnet`.")]
    data_dir: str
    trading_state: TradingStateWord
    trading_reason: str
    equity: Annotated[
        Amount, _gauge("equity", "Cash and every position's worth, in the quote asset.")
    ]
    daily_pnl: Annotated[
        Amount,
        _gauge("daily_pnl", "Profit since 00:00 UTC of the market clock, quote asset."),
    ]
    drawdown: Annotated[
        Amount, _gauge("drawdown_ratio", "How far equity is below its highest, as a fraction.")
    ]
    process: ProcessUsage
    models: ModelsStatus
    market_time: Annotated[str | None, Meta(description="ISO 8601; null before market data.")]
    total: Annotated[Count, Meta(description="Engines of the fleet.")]
    stopped: Count
    starting: Count
    running: Count
    paused: Count
    stopping: Count
    crashed: Count
    failed: Count
    stuck: Count


class FleetStatus(FleetSummary):
    """The whole status document."""

    engines: list[EngineStatus]
