"""The journal of a replay, which also keeps the orders and fills for the report."""

import sqlite3
from collections import Counter
from collections.abc import Sequence

import attrs

from levitrio.records.journal.entries import Entry, IntentEntry, OutcomeEntry
from levitrio.records.journal.journal import Journal
from levitrio.records.logs.event_log import Event
from levitrio.records.worker_threads import inline
from levitrio.trading.orders import Fill, OrderStatus


def in_passing(_uri: str) -> sqlite3.Connection:
    """Open a private database that ends with its connection.

    SQLite keeps it in memory as far as its cache goes and in an unnamed file beyond that, so a
    year of orders does not fill the memory.
    """
    return sqlite3.connect("", isolation_level=None, check_same_thread=False)


@attrs.define(kw_only=True)
class OrderLine:
    """One order and what became of it."""

    client_id: str
    symbol: str
    side: str
    quantity: str
    is_exit: bool
    reason: str
    time_ms: int
    """Market time of the decision, ms since 1970."""
    status: str = OrderStatus.INTENDED.value


@attrs.define(eq=False)
class ReplayJournal:
    """Stands before the journal: the gateway's appends go through to it.

    Nothing waits for the disk here, because there is none: entries are collected and written
    together, in order, with `flush`.
    """

    journal: Journal = attrs.field(
        factory=lambda: Journal(None, offload=inline, connect=in_passing)
    )
    orders: dict[str, OrderLine] = attrs.field(factory=dict)
    """By client id, in the order of the decisions."""
    fills: list[Fill] = attrs.field(factory=list)
    """In the order in which they were applied."""
    left_out: Counter[str] = attrs.field(factory=Counter)
    """Members of ensembles that gave no answer, as text: how often they stopped answering."""
    _unwritten: list[Entry] = attrs.field(factory=list)

    @property
    def token(self) -> int:
        """The journal's token: 0, so that a replay gives the same ids each time."""
        return self.journal.token

    @property
    def last_seq(self) -> int:
        """The highest sequence number given out so far."""
        return self.journal.last_seq

    def see_event(self, event: Event) -> None:
        """Count the members of ensembles that gave no answer, for the report."""
        if event.kind == "member_missing":
            self.left_out[f"{event.engine}: {event.text}"] += 1

    def reserve(self) -> int:
        """Give out the journal's next sequence number."""
        return self.journal.reserve()

    async def append(self, *entries: Entry) -> Sequence[Fill]:
        """Collect the entries; return no fills, because none comes twice in a replay."""
        self._unwritten += entries
        for entry in entries:
            if type(entry) is IntentEntry:
                order = entry.order
                self.orders[order.client_id] = OrderLine(
                    client_id=order.client_id,
                    symbol=order.symbol,
                    side=order.side.value,
                    quantity=format(order.quantity, "f"),
                    is_exit=order.is_exit,
                    reason=entry.reason,
                    time_ms=entry.market_ms,
                )
            elif type(entry) is OutcomeEntry:
                self.orders[entry.client_id].status = entry.status.value
                self.fills += entry.fills
        return ()

    def flush(self) -> None:
        """Pass the collected entries to the journal, as one transaction."""
        if self._unwritten:
            self.journal.append_nowait(*self._unwritten)
            self._unwritten.clear()
