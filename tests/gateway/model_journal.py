"""A journal in memory that outlives its process, for the modelled venue: many lives, no disk.

The real one's durability is judged elsewhere (tests/records, tests/acceptance/test_kills.py).
"""

import attrs
import trio

from levitrio.records.journal.entries import Entry, IntentEntry, OutcomeEntry
from levitrio.trading.orders import Fill
from tests.gateway.venue_model import ModelVenue


@attrs.define(eq=False)
class ModelDisk:
    """What is durable."""

    entries: list[Entry] = attrs.field(factory=list)
    trades: set[tuple[str, str, int | None]] = attrs.field(factory=set)
    last_seq: int = 0


@attrs.define(eq=False)
class ModelJournal:
    """One process's access to the disk; a crash comes before or after an entry is durable."""

    disk: ModelDisk
    world: ModelVenue
    token: int = 0
    _seq: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._seq = self.disk.last_seq

    @property
    def last_seq(self) -> int:
        return self._seq

    def reserve(self) -> int:
        self._seq += 1
        return self._seq

    async def append(self, *entries: Entry) -> tuple[Fill, ...]:
        kind = "intent" if isinstance(entries[0], IntentEntry) else "outcome"
        await self.world.step(f"{kind} not durable")
        await trio.sleep(self.world.dice.uniform(0.001, 0.005))
        duplicates = tuple(fill for entry in entries for fill in self._keep(entry))
        await self.world.step(f"{kind} durable")
        return duplicates

    def _keep(self, entry: Entry) -> list[Fill]:
        known: list[Fill] = []
        if isinstance(entry, IntentEntry):
            self.disk.last_seq = max(self.disk.last_seq, entry.seq)
        elif isinstance(entry, OutcomeEntry):
            known = [fill for fill in entry.fills if _key(fill) in self.disk.trades]
            new = tuple(fill for fill in entry.fills if fill not in known)
            self.disk.trades.update(map(_key, new))
            entry = attrs.evolve(entry, fills=new)
        self.disk.entries.append(entry)
        return known


def _key(fill: Fill) -> tuple[str, str, int | None]:
    return fill.venue, fill.symbol, fill.trade_id
