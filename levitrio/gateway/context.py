"""What the gateway is given from outside: the journal, both clocks, data quality, the event log."""

from collections.abc import Callable, Sequence
from typing import Protocol

import attrs

from levitrio.records.journal.entries import Entry
from levitrio.trading.orders import Fill
from levitrio.trading.risk import DataState


class OrderJournal(Protocol):
    """Numbers orders and makes entries durable.

    Dispatch reserves a sequence and appends the intent before each send; execution appends each
    outcome; trading control appends halts, days and equity.
    """

    @property
    def token(self) -> int:
        """32 bits that tell this journal's orders from those of any other journal."""

    @property
    def last_seq(self) -> int:
        """The highest sequence number given out so far."""

    def reserve(self) -> int:
        """Give out the next sequence number, never given out before."""

    async def append(self, *entries: Entry) -> Sequence[Fill]:
        """Return once the entries are durable; the result holds the fills it had already.

        Raises:
            JournalUnavailable: They cannot be made durable now. Outcomes are kept in memory and
                written later, other entries are not.
        """


class Report(Protocol):
    """Writes one line of the fleet's event log; called by every part of the gateway."""

    def __call__(self, kind: str, text: str, *, engine: str | None = None, **data: object) -> None:
        """Must not block."""


@attrs.frozen(kw_only=True)
class GatewayContext:
    """The callbacks that every part of the gateway shares.

    All are synchronous and must neither block nor raise: they are called between a decision and
    the order that follows from it.
    """

    market_ms: Callable[[], int]
    """Market clock, ms since 1970, 0 before the first event; for intents and the day's roll."""
    wall_ms: Callable[[], int]
    """Wall clock, ms since 1970; stamped on each journal entry."""
    data_state: Callable[[str], DataState]
    """How far a symbol's data can be trusted now; read before each decision."""
    report: Report
    report_fills: bool = True
    """False where no reader follows the events: the text of a fill costs as much as the fill."""
