"""Orders of the last run whose engines are not in the file any more."""

import sqlite3
from contextlib import closing
from pathlib import Path

import trio
from trio.testing import MockClock

from levitrio.gateway.order_ids import OrderIds
from levitrio.records.journal.entries import IntentEntry
from levitrio.records.journal.journal import Journal
from levitrio.records.worker_threads import inline
from tests.app.virtual import running_fleet, write_fleet
from tests.factories import make_order


async def test_a_leftover_of_an_engine_that_is_gone(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Killed with an order under way, then taken out of the file: its end is found as well."""
    config = write_fleet(tmp_path)
    config.fleet.data_dir.mkdir()
    journal = Journal(config.fleet.data_dir / "journal.db", offload=inline)
    journal.open()
    seq = journal.reserve()
    order = make_order(
        client_id=OrderIds(journal.token, lambda: seq).make(seq),
        symbol="BNBUSDT",
        price=500,
    )
    journal.append_nowait(
        IntentEntry(seq=seq, order=order, incarnation=1, reason="signal", wall_ms=1, market_ms=1)
    )
    journal.close()
    async with running_fleet(config) as fleet:
        await trio.sleep(5)
        assert fleet.kinds("BNBUSDT") == ["order_closed"]
        assert "BNBUSDT" not in fleet.assembly.slots
    with closing(sqlite3.connect(config.fleet.data_dir / "journal.db")) as database:
        (row,) = database.execute(
            "SELECT status FROM outcomes WHERE client_id = ?", (order.client_id,)
        ).fetchall()
    assert row == ("CANCELED",)
