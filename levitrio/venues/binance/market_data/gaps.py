"""Events held back for a moment, until those that are missing before them have come. Pure.

A gap opens when a number was jumped over, and holds everything after it. It is whole again when
the missing ones came, over another connection or from the venue's history; then all of it goes
on, in order. Waiting has a bound: the subscription gives up in time and releases what is there.
"""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import attrs

from levitrio.trading.market import Bar, Trade

Event = TypeVar("Event", Trade, Bar)

MAX_MISSING = 5_000
"""Numbers. A longer gap is reported and not filled: waiting for it would take too long."""

MAX_HELD = 10_000
"""Events behind a gap: ten seconds of the busiest second on record."""


def trade_number(trade: Trade) -> int:
    """What a gap of trades counts in."""
    return trade.trade_id


def bar_number(bar: Bar) -> int:
    """What a gap of bars counts in: open times, ms since 1970."""
    return bar.open_time_ms


@attrs.define(eq=False, kw_only=True)
class Gap(Generic[Event]):
    """What is missing of one symbol, and what waits behind it."""

    number: Callable[[Event], int]
    since_ms: int
    """Market time of the last event before the gap."""
    until_ms: int = 0
    """Market time of the newest event behind it."""
    missing: set[int] = attrs.field(factory=set)
    found_in_time: int = 0
    """How many of the missing came from the venue's history, and went on in order."""
    found_too_late: int = 0
    """How many came when what waited had been let go."""
    is_open: bool = True
    """False once what it held was let go."""
    _held: dict[int, Event] = attrs.field(factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing any more."""
        return not self.missing

    @property
    def is_full(self) -> bool:
        """Whether too much is held, or missing, to wait any longer."""
        return len(self._held) > MAX_HELD or len(self.missing) > MAX_MISSING

    def miss(self, numbers: Iterable[int]) -> None:
        """These were jumped over."""
        self.missing.update(numbers)

    def hold(self, event: Event, time_ms: int) -> None:
        """It came after the gap."""
        self._held[self.number(event)] = event
        self.until_ms = max(self.until_ms, time_ms)

    def fill(self, event: Event) -> bool:
        """Take in one of the missing; False when it is none of them."""
        number = self.number(event)
        if number not in self.missing:
            return False
        self.missing.discard(number)
        self._held[number] = event
        return True

    def find(self, event: Event) -> None:
        """Take in what the venue's history says; what is not missing is ignored."""
        number = self.number(event)
        if not self.is_open:
            self.found_too_late += number in self.missing
            self.missing.discard(number)
        elif self.fill(event):
            self.found_in_time += 1

    def release(self) -> list[Event]:
        """Everything it holds, in order; it holds nothing more afterwards."""
        self.is_open = False
        held, self._held = self._held, {}
        return [held[number] for number in sorted(held)]


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each run of consecutive numbers, ascending."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
