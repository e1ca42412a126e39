"""Between the feed and one engine: bounded, and a slow engine harms nobody but itself.

Rules:
- trades and bars queue in arrival order; beyond `capacity` the oldest is dropped and counted;
- of quotes only the latest is kept: a newer one supersedes the one nobody has read yet and takes
  its own place at the tail, so what remains is always in arrival order;
- an event leaves the inbox when it is popped, one at a time: a consumer that dies in the middle
  of a batch loses the event that killed it and no other;
- nothing is lost uncounted: put = delivered + dropped + conflated + discarded + queued.
"""

from collections import deque
from collections.abc import Iterator

import attrs
import trio

from levitrio.trading.market import MarketEvent, Quote, Trade

CAPACITY = 65_536
"""Half a minute of the busiest second ever recorded for one symbol, about 10 MB."""

_NOWHERE = -1


@attrs.frozen(kw_only=True)
class InboxStatistics:
    """What went through an inbox since it was made."""

    delivered: int
    """Events popped."""
    delivered_trades: int
    """Trades among them: the `ticks` of the status."""
    dropped: int
    """Trades and bars that had to make room."""
    conflated: int
    """Quotes superseded before they were read."""
    discarded: int
    """Events put while closed, or queued when it was closed."""
    queued: int
    """Events waiting now."""


class Inbox:
    """A conflating queue with one consumer; `put` is called by the feed and never blocks.

    A new inbox is open. Memory is bounded by twice the capacity: a superseded quote keeps its
    slot until it comes to the head, and there is at least one trade or bar behind each of them.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        if capacity < 1:
            raise ValueError(f"capacity: expected at least 1, got {capacity}")
        self._capacity = capacity
        self._queue: deque[MarketEvent] = deque()
        self._removed = 0
        """Slots taken from the left so far: slot i of the queue has position `_removed` + i."""
        self._quote_position = _NOWHERE
        """Of the quote that counts; any other quote in the queue is superseded."""
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
        """How many events a consumer would get now."""
        return self._pending + (self._quote_position != _NOWHERE)

    def put(self, event: MarketEvent) -> None:
        """Take an event in; the oldest trade or bar makes room when the inbox is full."""
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
        if self._consumer is not None:  # mostly not: a batch is being worked on
            self.wake()

    def wake(self) -> None:
        """Let `wait` return although nothing was put: something else wants the consumer."""
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            trio.lowlevel.reschedule(consumer)

    def pop(self) -> MarketEvent:
        """The oldest event. Raises `trio.WouldBlock` when there is none."""
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
        """Pop, one by one, as many events as were waiting at the start: one batch.

        What was not yet reached stays in the inbox when the consumer stops in the middle. What
        arrives meanwhile belongs to the next batch, so a batch always ends.
        """
        for _ in range(len(self)):
            if not len(self):  # conflated or closed while the consumer awaited something
                return
            yield self.pop()

    async def wait(self) -> None:
        """Park until something is waiting or `wake`; a checkpoint always, so one for each batch.

        Cancelled, it leaves every event where it is. A second waiter at the same time is a bug:
        `trio.BusyResourceError`.
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
        """Take events in again; does nothing when it is open."""
        self._open = True

    def close(self) -> None:
        """Empty it and refuse what comes, silently but counted: its engine has stopped.

        A task in `wait` stays parked.
        """
        self._open = False
        self._discarded += len(self)
        self._removed += len(self._queue)
        self._queue.clear()
        self._pending = 0
        self._quote_position = _NOWHERE

    def resize(self, capacity: int) -> None:
        """Change the capacity; what is too much already goes when the next event comes."""
        if capacity < 1:
            raise ValueError(f"capacity: expected at least 1, got {capacity}")
        self._capacity = capacity

    def statistics(self) -> InboxStatistics:
        """A frozen view, cheap."""
        return InboxStatistics(
            delivered=self._delivered,
            delivered_trades=self._delivered_trades,
            dropped=self._dropped,
            conflated=self._conflated,
            discarded=self._discarded,
            queued=len(self),
        )

    def _drop_oldest(self) -> None:
        """Remove the oldest trade or bar; a quote that counts and stands before it stays first."""
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
