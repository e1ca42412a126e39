"""Prometheus text of a running fleet: read on the loop in slices, rendered in a thread."""

from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec

import attrs
import msgspec
import trio

from levitrio.app.engine_slot import EngineSlot
from levitrio.app.status.cache import StatusCache
from levitrio.app.status.document import SLICE
from levitrio.app.status.telemetry import Telemetry
from levitrio.control import error_codes
from levitrio.control.status_document import FleetStatus
from levitrio.errors import ControlError
from levitrio.records.journal.journal import Journal
from levitrio.records.metrics.histogram import Histogram
from levitrio.records.snapshots.writer import SnapshotWriter
from levitrio.records.worker_threads import Offload
from levitrio.venues.base import FeedStatistics


@attrs.define(eq=False, kw_only=True)
class MetricsExporter:
    """Answers `levi ctl metrics` and GET /metrics."""

    status: StatusCache
    telemetry: Telemetry
    slots: Mapping[str, EngineSlot]
    journal: Journal
    snapshots: SnapshotWriter
    feed: Callable[[], FeedStatistics | None]
    offload: Offload
    """Runs the rendering, which takes a third of a second for a thousand engines."""

    async def scrape(self) -> bytes:
        """Prometheus text.

        Raises:
            ControlError: The extra `http` is not installed.
        """
        if find_spec("prometheus_client") is None:
            raise ControlError(
                error_codes.REFUSED,
                "metrics need prometheus-client",
                "pip install 'levitrio[http]'",
            )
        # Imported here: a fleet without scrapes does not need prometheus_client.
        from levitrio.app.status.prometheus import Figures, render

        status = await self.status.encoded()
        inboxes: dict[str, dict[str, int]] = {}
        for number, (symbol, slot) in enumerate(tuple(self.slots.items()), start=1):
            inbox = slot.inbox.statistics()
            inboxes[symbol] = {
                "queued": inbox.queued,
                "dropped": inbox.dropped,
                "conflated": inbox.conflated,
                "discarded": inbox.discarded,
            }
            if number % SLICE == 0:
                await trio.lowlevel.checkpoint()
        feed, journal = self.feed(), self.journal.statistics()
        figures = partial(
            Figures,
            incidents=dict(self.telemetry.incidents),
            events=dict(self.telemetry.kinds),
            inboxes=inboxes,
            feed={}
            if feed is None
            else {
                "connections": feed.connections,
                "reconnects": feed.reconnects,
                "messages": feed.messages,
            },
            feed_dropped={} if feed is None else dict(feed.dropped),
            journal={
                "queued": journal.queued,
                "commits": journal.commits,
                "dropped": journal.dropped,
                "failed": journal.failed is not None,
                "last_commit_seconds": journal.last_commit_seconds,
            },
            snapshots={
                "generation": self.snapshots.generation,
                "failing": self.snapshots.failing,
                "last_write_seconds": self.snapshots.last_write_seconds,
            },
            lateness=_buckets(self.telemetry.lateness),
            order_latency=_buckets(self.telemetry.order_latency),
        )

        def render_off_the_loop() -> bytes:
            document: FleetStatus = msgspec.json.decode(
                status
            )  # made by this process: not validated again
            return render(figures(status=document))

        return await self.offload(render_off_the_loop)


def _buckets(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    return list(histogram.cumulative()), histogram.total
