"""Figures of a fleet as Prometheus text, through a registry of our own.

Nothing is kept up to date for a scrape that may never come: `render` is given what was read
off the fleet and may run in a thread, because a thousand engines take it a third of a second.
Needs the extra `http`; nothing else of the package imports this when the module is.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

STATES = ("stopped", "starting", "running", "paused", "stopping", "crashed", "failed", "stuck")
TRADING_STATES = ("active", "reducing", "halted")

Buckets = tuple[list[tuple[str, float]], float]
"""Cumulative counts by upper bound, and the sum."""


@attrs.frozen(kw_only=True)
class Figures:
    """What was read off a fleet at one moment. Plain values: a thread may look at them."""

    status: Mapping[str, Any]
    """The status document."""
    incidents: Mapping[tuple[str, str], int]
    """Crashes by symbol and cause, since the fleet started."""
    events: Mapping[str, int]
    """Lines of the event log by kind."""
    inboxes: Mapping[str, Mapping[str, int]]
    """By symbol: `queued` events, and those that were not delivered by reason."""
    feed: Mapping[str, int]
    """`connections`, `reconnects`, `messages`."""
    feed_dropped: Mapping[str, int]
    """Refused input by reason."""
    journal: Mapping[str, float]
    """`queued`, `commits`, `dropped`, `failed`, `last_commit_seconds`."""
    snapshots: Mapping[str, float]
    """`generation`, `failing`, `last_write_seconds`."""
    lateness: Buckets
    """Seconds by which the loop woke late."""
    order_latency: Buckets
    """Seconds from the decision to the booked fill."""


@attrs.define(eq=False)
class _Collector:
    figures: Figures

    def collect(self) -> Iterator[Metric]:
        yield from _fleet(self.figures.status)
        yield from _engines(self.figures.status["engines"])
        yield from _counted(self.figures)
        yield from _machinery(self.figures)


def render(figures: Figures) -> bytes:
    """Prometheus text, version 0.0.4. Blocks; reads nothing but its argument and /proc."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(_Collector(figures))
    return generate_latest(registry)


def _fleet(status: Mapping[str, Any]) -> Iterator[Metric]:
    yield InfoMetricFamily(
        "levitrio_fleet", "Which fleet this is.", value={"fleet": str(status["fleet"])}
    )
    by_state = GaugeMetricFamily("levitrio_engines", "Engines by state.", labels=["state"])
    for state in STATES:
        by_state.add_metric([state], status[state])
    yield by_state
    trading = GaugeMetricFamily(
        "levitrio_trading_state", "1 for the trading state the fleet is in.", labels=["state"]
    )
    for state in TRADING_STATES:
        trading.add_metric([state], state == status["trading_state"])
    yield trading
    for name, key, text in (
        ("equity", "equity", "Cash and every position's worth, in the quote asset."),
        ("daily_pnl", "daily_pnl", "Profit since 00:00 UTC of the market clock, quote asset."),
    ):
        yield GaugeMetricFamily(f"levitrio_{name}", text, value=float(status[key]))
    if "drawdown" in status:
        yield GaugeMetricFamily(
            "levitrio_drawdown_ratio",
            "How far equity is below its highest, as a fraction.",
            value=float(status["drawdown"]),
        )


_ENGINE_GAUGES = (
    ("up", "1 while the engine is running or paused.", None),
    ("as_wanted", "1 while the engine is in the state the operator wants.", None),
    ("incarnation", "Number of the newest incarnation, from 1 in each run.", "incarnation"),
    ("restarts", "Automatic restarts within the window of the restart policy.", "restarts"),
    ("uptime_seconds", "Seconds this incarnation has been running.", "uptime_seconds"),
    ("heartbeat_age_seconds", "Seconds since the last sign of life.", "heartbeat_age"),
    ("data_age_seconds", "Seconds since the newest market data.", "data_age"),
    ("absorbed_errors", "Consecutive errors the engine absorbed.", "error_count"),
    ("position", "Position in the base asset; negative is short.", "position"),
    ("unrealized_pnl", "Profit of the open position, in the quote asset.", "unrealized_pnl"),
    ("daily_pnl", "Profit since 00:00 UTC, in the quote asset.", "daily_pnl"),
    ("total_pnl", "Profit since the first fill, in the quote asset.", "total_pnl"),
)
_ENGINE_COUNTERS = (
    ("ticks", "Trades delivered to the strategy.", "ticks"),
    ("trades", "Orders with at least one fill.", "trade_count"),
)
_WANTED = {"running": ("running",), "paused": ("paused",), "stopped": ("stopped",)}


def _engines(rows: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    rows = list(rows)
    for name, text, key in _ENGINE_GAUGES:
        gauge = GaugeMetricFamily(f"levitrio_engine_{name}", text, labels=["symbol"])
        for row in rows:
            value = _derived(name, row) if key is None else row[key]
            if value is not None:
                gauge.add_metric([row["symbol"]], float(value))
        yield gauge
    for name, text, key in _ENGINE_COUNTERS:
        counter = CounterMetricFamily(f"levitrio_engine_{name}", text, labels=["symbol"])
        for row in rows:
            counter.add_metric([row["symbol"]], float(row[key]))
        yield counter
    denials = CounterMetricFamily(
        "levitrio_denials", "Orders our own risk refused.", labels=["symbol", "reason"]
    )
    for row in rows:
        for reason, count in row["denials"].items():
            denials.add_metric([row["symbol"], reason], count)
    yield denials


def _derived(name: str, row: Mapping[str, Any]) -> bool:
    if name == "up":
        return row["status"] in ("running", "paused")
    return row["status"] in _WANTED.get(row["wanted"], ())


def _counted(figures: Figures) -> Iterator[Metric]:
    incidents = CounterMetricFamily(
        "levitrio_incidents", "Crashes since the fleet started.", labels=["symbol", "cause"]
    )
    for (symbol, cause), count in figures.incidents.items():
        incidents.add_metric([symbol, cause], count)
    yield incidents
    events = CounterMetricFamily("levitrio_events", "Lines of the event log.", labels=["kind"])
    for kind, count in figures.events.items():
        events.add_metric([kind], count)
    yield events
    depth = GaugeMetricFamily(
        "levitrio_inbox_depth", "Market events that wait for the engine.", labels=["symbol"]
    )
    undelivered = CounterMetricFamily(
        "levitrio_inbox_undelivered",
        "Market events the engine never got: dropped (inbox full), conflated (a newer quote "
        "replaced it), discarded (engine stopped).",
        labels=["symbol", "reason"],
    )
    for symbol, inbox in figures.inboxes.items():
        for reason, count in inbox.items():
            if reason == "queued":
                depth.add_metric([symbol], count)
            else:
                undelivered.add_metric([symbol, reason], count)
    yield depth
    yield undelivered


def _machinery(figures: Figures) -> Iterator[Metric]:
    dropped = CounterMetricFamily(
        "levitrio_feed_dropped", "Input of the venue that was refused.", labels=["reason"]
    )
    for reason, count in figures.feed_dropped.items():
        dropped.add_metric([reason], count)
    yield dropped
    for group, name, text, is_counter in (
        ("feed", "connections", "Open connections to the venue.", False),
        ("feed", "reconnects", "Connections made anew.", True),
        ("feed", "messages", "Messages received.", True),
        ("journal", "queued", "Requests that are not durable yet.", False),
        ("journal", "commits", "Transactions made durable.", True),
        ("journal", "dropped", "Incidents lost because the queue was full.", True),
        ("journal", "failed", "1 while nothing can be made durable: no order leaves.", False),
        ("journal", "last_commit_seconds", "Seconds the last commit took.", False),
        ("snapshots", "generation", "Newest durable snapshot of this run.", False),
        ("snapshots", "failing", "1 while snapshots cannot be written.", False),
        ("snapshots", "last_write_seconds", "Seconds the last snapshot took.", False),
    ):
        value = getattr(figures, group).get(name)
        if value is not None:
            family = CounterMetricFamily if is_counter else GaugeMetricFamily
            yield family(f"levitrio_{group}_{name}", text, value=float(value))
    for name, text, (buckets, total) in (
        ("loop_lateness", "Seconds by which the loop woke late.", figures.lateness),
        ("order_latency", "Seconds from decision to booked fill.", figures.order_latency),
    ):
        yield HistogramMetricFamily(
            f"levitrio_{name}_seconds", text, buckets=buckets, sum_value=total
        )
