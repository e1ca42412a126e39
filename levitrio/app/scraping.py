"""From a running fleet to Prometheus text: read on the loop in slices, rendered off it."""

from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec

import attrs
import msgspec
import trio

from levitrio.app.observing import Observer
from levitrio.app.seat import Seat
from levitrio.app.status import SLICE
from levitrio.app.status_cache import StatusCache
from levitrio.control import codes
from levitrio.errors import ControlError
from levitrio.records.histogram import Histogram
from levitrio.records.journal import Journal
from levitrio.records.offload import Offload
from levitrio.records.snapshot_writer import SnapshotWriter
from levitrio.venues.base import FeedStatistics


@attrs.define(eq=False, kw_only=True)
class Scraper:
    """Answers `levi ctl metrics` and GET /metrics."""

    status: StatusCache
    observer: Observer
    seats: Mapping[str, Seat]
    journal: Journal
    snapshots: SnapshotWriter
    feed: Callable[[], FeedStatistics | None]
    offload: Offload
    """Rendering a thousand engines takes a third of a second."""

    async def scrape(self) -> bytes:
        """Prometheus text. Raises ControlError without the extra `http`."""
        if find_spec("prometheus_client") is None:
            raise ControlError(
                codes.REFUSED, "metrics need prometheus-client", "pip install 'levitrio[http]'"
            )
        # Imported here: a fleet that nobody scrapes does without it.
        from levitrio.records.metrics import Figures, render

        status = await self.status.encoded()
        inboxes: dict[str, dict[str, int]] = {}
        for number, (symbol, seat) in enumerate(tuple(self.seats.items()), start=1):
            inbox = seat.inbox.statistics()
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
            incidents=dict(self.observer.incidents),
            events=dict(self.observer.kinds),
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
            lateness=_buckets(self.observer.lateness),
            order_latency=_buckets(self.observer.order_latency),
        )
        return await self.offload(lambda: render(figures(status=msgspec.json.decode(status))))


def _buckets(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    return list(histogram.cumulative()), histogram.total
