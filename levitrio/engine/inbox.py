"""The bounded, conflating queue between the feed and one engine: a slow engine harms no other.

Rules:
- trades and bars queue in arrival order; beyond `capacity` the oldest is dropped and counted;
- of quotes only the latest is kept: a newer one supersedes the unread one and goes to the tail,
  so the queue is always in arrival order;
- an event leaves the inbox when it is popped, one at a time: a consumer that crashes in the middle
  of a batch loses the event that crashed it and no other;
- every event is counted: put = delivered + dropped + conflated + discarded + queued.
"""

from collections import deque
from collections.abc import Iterator

import attrs
import trio

from levitrio.trading.market import MarketEvent, Quote, Trade

CAPACITY = 65_536
"""Half a minute at the rate of the busiest second recorded for one symbol; about 10 MB."""

_NOWHERE = -1


@attrs.frozen(kw_only=True)
class InboxStatistics:
    """Counts of events since the inbox was made."""

    delivered: int
    """Events popped."""
    delivered_trades: int
    """Trades among them: the `ticks` of the status."""
    dropped: int
    """Trades and bars dropped because the inbox was full."""
    conflated: int
    """Quotes superseded before they were read."""
    discarded: int
    """Events put while closed, or queued when it was closed."""
    queued: int
    """Events waiting now."""


class Inbox:
    """A conflating queue with one consumer; the feed calls `put`, which never blocks.

    A new inbox is open. Memory is bounded by twice the capacity: a superseded quote keeps its
    slot until it reaches the head, and at least one trade or bar is queued behind each of them.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        if capacity < 1:
            raise ValueError(f"capacity: expected at least 1, got {capacity}")
        self._capacity = capacity
        self._queue: deque[MarketEvent] = deque()
        self._removed = 0
        """Slots removed at the head so far: slot i of the queue has position `_removed` + i."""
        self._quote_position = _NOWHERE
        """Position of the latest quote; any other quote in the queue is superseded."""
        self._pending = 0
        """Trades and bars in the queue."""
        self._open = True
        self._consumer: trio.lowlevel.Task | None = None
        self._delivered = 0
        self._delivered_trades = 0
        self._dropped = 0
        self._conflated = 0
        self._discarded = 0

    def __len__(self) -> int:
        """Number of events a consumer would get now."""
        return self._pending + (self._quote_position != _NOWHERE)

    def put(self, event: MarketEvent) -> None:
        """Queue an event; when the inbox is full, the oldest trade or bar is dropped."""
        if not self._open:
            self._discarded += 1
            return
        queue = self._queue
        if type(event) is Quote:
            position = self._removed + len(queue)
            if self._quote_position != _NOWHERE:
                self._conflated += 1
                if self._quote_position == position - 1:
                    # A run of quotes, the usual case: the tail is replaced and nothing grows.
                    queue[-1] = event
                    return
            self._quote_position = position
        else:
            while self._pending >= self._capacity:
                self._drop_oldest()
            self._pending += 1
        queue.append(event)
        if self._consumer is not None:  # mostly None: the consumer works on a batch
            self.wake()

    def wake(self) -> None:
        """Let `wait` return without an event, because the consumer has a fill to handle."""
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            trio.lowlevel.reschedule(consumer)

    def pop(self) -> MarketEvent:
        """Remove and return the oldest event.

        Raises:
            trio.WouldBlock: The inbox is empty.
        """
        queue = self._queue
        while queue:
            event = queue.popleft()
            position = self._removed
            self._removed = position + 1
            if type(event) is Quote:
                if position != self._quote_position:
                    continue
                self._quote_position = _NOWHERE
            else:
                self._pending -= 1
                if type(event) is Trade:
                    self._delivered_trades += 1
            self._delivered += 1
            return event
        raise trio.WouldBlock

    def drain(self) -> Iterator[MarketEvent]:
        """Pop one batch: as many events as were queued at the start, one by one.

        Events not reached stay in the inbox when the consumer stops in the middle. Events that
        arrive meanwhile belong to the next batch, so a batch always ends.
        """
        for _ in range(len(self)):
            if not len(self):  # conflated or closed while the consumer awaited a reply
                return
            yield self.pop()

    async def wait(self) -> None:
        """Wait for an event or `wake`; always a checkpoint, so one for each batch.

        Cancelled, it leaves every event in the inbox.

        Raises:
            trio.BusyResourceError: Another task waits already, which is a bug.
        """
        if len(self):
            await trio.lowlevel.checkpoint()
            return
        if self._consumer is not None:
            raise trio.BusyResourceError("expected one consumer, another task waits already")
        self._consumer = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            self._consumer = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def open(self) -> None:
        """Accept events again; does nothing when the inbox is open."""
        self._open = True

    def close(self) -> None:
        """Discard and count what is queued and what comes, because the engine has stopped.

        A task in `wait` keeps waiting.
        """
        self._open = False
        self._discarded += len(self)
        self._removed += len(self._queue)
        self._queue.clear()
        self._pending = 0
        self._quote_position = _NOWHERE

    def resize(self, capacity: int) -> None:
        """Change the capacity; surplus events are dropped when the next event comes.

        Raises:
            ValueError: The capacity is less than 1.
        """
        if capacity < 1:
            raise ValueError(f"capacity: expected at least 1, got {capacity}")
        self._capacity = capacity

    def statistics(self) -> InboxStatistics:
        """Counts since the inbox was made; cheap."""
        return InboxStatistics(
            delivered=self._delivered,
            delivered_trades=self._delivered_trades,
            dropped=self._dropped,
            conflated=self._conflated,
            discarded=self._discarded,
            queued=len(self),
        )

    def _drop_oldest(self) -> None:
        """Remove the oldest trade or bar; the latest quote, if queued before it, stays first."""
        queue = self._queue
        quote: MarketEvent | None = None
        while True:
            event = queue.popleft()
            position = self._removed
            self._removed = position + 1
            if type(event) is not Quote:
                break
            if position == self._quote_position:
                quote = event
        self._pending -= 1
        self._dropped += 1
        if quote is not None:
            queue.appendleft(quote)
            self._removed -= 1
            self._quote_position = self._removed
