"""Renders figures of a fleet as Prometheus text, through its own registry.

Figures are read at each scrape. `render` may run in a thread, because it takes a third of a second
for a thousand engines. The types of the status document declare which of its members are metrics.
Needs the extra `http`; imported only for a scrape.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, get_type_hints

import attrs
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from levitrio.control.status_document import EngineStatus, FleetStatus, FleetSummary
from levitrio.supervision.lifecycle import UP, State
from levitrio.trading.risk import TradingState

Buckets = tuple[list[tuple[str, float]], float]
"""Cumulative counts by upper bound, and the sum of all values."""


@attrs.frozen(kw_only=True)
class Figures:
    """Figures of a fleet at one moment; plain values, so that a thread may read them."""

    status: FleetStatus
    incidents: Mapping[tuple[str, str], int]
    """Crashes by symbol and cause, since the fleet started."""
    events: Mapping[str, int]
    """Lines of the event log by kind."""
    inboxes: Mapping[str, Mapping[str, int]]
    """By symbol: the number of `queued` events, and of undelivered ones by reason."""
    feed: Mapping[str, int]
    """`connections`, `reconnects`, `messages`."""
    feed_dropped: Mapping[str, int]
    """Messages of the venue that were refused, by reason."""
    journal: Mapping[str, float]
    """`queued`, `commits`, `dropped`, `failed`, `last_commit_seconds`."""
    snapshots: Mapping[str, float]
    """`generation`, `failing`, `last_write_seconds`."""
    lateness: Buckets
    """Seconds by which the loop woke late."""
    order_latency: Buckets
    """Seconds from the decision to the fill applied to the position."""


@attrs.define(eq=False)
class _Collector:
    figures: Figures

    def collect(self) -> Iterator[Metric]:
        yield from _fleet(self.figures.status)
        yield from _engines(self.figures.status["engines"])
        yield from _counted(self.figures)
        yield from _machinery(self.figures)


def render(figures: Figures) -> bytes:
    """Render Prometheus text, version 0.0.4. Blocks; reads only its argument and /proc."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(_Collector(figures))
    return generate_latest(registry)


def _declared(document: type, mark: Literal["gauge", "counter"]) -> Iterator[tuple[str, str, str]]:
    """Name, help text and member of each metric that a document's type declares."""
    for member, kind in get_type_hints(document, include_extras=True).items():
        for meta in getattr(kind, "__metadata__", ()):
            if mark in (meta.extra or {}):
                yield meta.extra[mark], meta.description, member


_FLEET_GAUGES = tuple(_declared(FleetSummary, "gauge"))
_ENGINE_GAUGES = tuple(_declared(EngineStatus, "gauge"))
_ENGINE_COUNTERS = tuple(_declared(EngineStatus, "counter"))


def _fleet(status: FleetStatus) -> Iterator[Metric]:
    # TypedDict.get accepts a name known only at run time; every name here is a member.
    yield InfoMetricFamily(
        "levitrio_fleet", "Which fleet this is.", value={"fleet": status["fleet"]}
    )
    by_state = GaugeMetricFamily("levitrio_engines", "Engines by state.", labels=["state"])
    for state in State:
        by_state.add_metric([state.value], _number(status.get(state.value)))
    yield by_state
    trading = GaugeMetricFamily(
        "levitrio_trading_state", "1 for the trading state the fleet is in.", labels=["state"]
    )
    for trading_state in TradingState:
        trading.add_metric([trading_state.value], trading_state == status["trading_state"])
    yield trading
    for name, text, member in _FLEET_GAUGES:
        yield GaugeMetricFamily(f"levitrio_{name}", text, value=_number(status.get(member)))


def _engines(rows: Sequence[EngineStatus]) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        "levitrio_engine_up", "1 while the engine is running or paused.", labels=["symbol"]
    )
    as_wanted = GaugeMetricFamily(
        "levitrio_engine_as_wanted",
        "1 while the engine is in the state the operator wants.",
        labels=["symbol"],
    )
    for row in rows:
        up.add_metric([row["symbol"]], row["status"] in UP)
        as_wanted.add_metric([row["symbol"]], row["status"] == row["wanted"])
    yield up
    yield as_wanted
    for family, declared in (
        (GaugeMetricFamily, _ENGINE_GAUGES),
        (CounterMetricFamily, _ENGINE_COUNTERS),
    ):
        for name, text, member in declared:
            metric = family(f"levitrio_engine_{name}", text, labels=["symbol"])
            for row in rows:
                if (value := row.get(member)) is not None:
                    metric.add_metric([row["symbol"]], _number(value))
            yield metric
    denials = CounterMetricFamily(
        "levitrio_denials", "Orders refused by the risk rules.", labels=["symbol", "reason"]
    )
    for row in rows:
        for reason, count in row["denials"].items():
            denials.add_metric([row["symbol"], reason], count)
    yield denials


def _number(value: object) -> float:
    assert isinstance(value, str | int | float), value
    return float(value)


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
        "Market events not delivered to the engine: dropped (inbox full), conflated (replaced by "
        "a newer quote), discarded (engine stopped).",
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
        "levitrio_feed_dropped", "Messages of the venue that were refused.", labels=["reason"]
    )
    for reason, count in figures.feed_dropped.items():
        dropped.add_metric([reason], count)
    yield dropped
    for group, name, text, is_counter in (
        ("feed", "connections", "Open connections to the venue.", False),
        ("feed", "reconnects", "Reconnections to the venue.", True),
        ("feed", "messages", "Messages received.", True),
        ("journal", "queued", "Requests that are not durable yet.", False),
        ("journal", "commits", "Transactions made durable.", True),
        ("journal", "dropped", "Incidents lost because the queue was full.", True),
        ("journal", "failed", "1 while the journal cannot write: no order is sent.", False),
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
        ("order_latency", "Seconds from decision to applied fill.", figures.order_latency),
    ):
        yield HistogramMetricFamily(
            f"levitrio_{name}_seconds", text, buckets=buckets, sum_value=total
        )
