"""Tapes: sequences of market events, paced and sent by the player. Pure.

The player steps a tape; each event has its time (`time_ns`), its stream and the payload as the
venue would send it. Two kinds: `GeneratedTape` has no end and runs at the time the player gives
it; `RecordedTape` ends, and waits while no client listens.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from levitrio.venues.recordings.frames import TapeEvent


class SimulatorTape(Protocol):
    """What the player calls on a tape."""

    def start(self, time_ms: int) -> None:
        """Go on from market time `time_ms`; nothing before it is played.

        Called before the first step and after a time without listeners. A recording ignores it:
        it has waited.
        """

    def step(self) -> Iterable[TapeEvent] | None:
        """The next events, in order; may be empty, and may be made only when they are reached.

        None: the tape has ended.
        """

    def subscribe(self, stream: str) -> None:
        """Make the stream's events from the next step on; unknown streams are ignored."""

    def unsubscribe(self, stream: str) -> None:
        """Stop making the stream's events."""

    @property
    def market_ms(self) -> int:
        """The market's time at the last step, ms since 1970; 0 before the first."""

    @property
    def horizon_ms(self) -> int | None:
        """How far the next step may take the market's time, ms since 1970.

        None: a recording, which reserves no market time.
        """


def forward_only(events: Iterable[TapeEvent]) -> Iterator[TapeEvent]:
    """The same events in the same order, with times that never run backwards."""
    latest = 0
    for event in events:
        if event.time_ns < latest:
            yield TapeEvent(latest, event.stream, event.data)
        else:
            latest = event.time_ns
            yield event


def merge(sources: Sequence[Iterable[TapeEvent]]) -> Iterator[TapeEvent]:
    """Merge sources by time. Each keeps its own order; equal times keep the order of sources.

    Lazy: one event of each source is held.
    """
    if len(sources) == 1:
        yield from forward_only(sources[0])
        return
    # A clock that stepped back inside one file would break the merge, so each is clamped first.
    yield from heapq.merge(*map(forward_only, sources), key=_time_ns)


def _time_ns(event: TapeEvent) -> int:
    return event.time_ns
