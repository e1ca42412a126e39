"""`kill -9` at random moments of a real process: what was acknowledged is there afterwards."""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from levitrio.records.journal.journal import Journal
from levitrio.records.snapshots.filesystem import Directory
from levitrio.records.snapshots.store import SnapshotStore
from tests.paths import ROOT

CHILD = """
import sys, pathlib, trio
from levitrio.records.snapshots.filesystem import Directory
from levitrio.records.journal.journal import Journal
from levitrio.records.snapshots.store import SnapshotStore
from levitrio.trading.orders import OrderStatus
from tests.records.samples import fill, intent, outcome

directory = pathlib.Path(sys.argv[1])

async def trade(journal):
    while True:
        seq = journal.reserve()
        await journal.append(intent(seq))
        print("intent", seq, flush=True)
        await journal.append(outcome(seq, OrderStatus.FILLED, fill(seq, seq)))
        print("fill", seq, flush=True)

async def photograph():
    store = SnapshotStore(Directory(directory))
    while True:
        generation = await trio.to_thread.run_sync(store.save, {"n": 1})
        print("generation", generation, flush=True)

async def main():
    journal = Journal(directory / "journal.db")
    journal.open()
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        for _ in range(5):
            nursery.start_soon(trade, journal)
        nursery.start_soon(photograph)

trio.run(main)
"""


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_by_a_kill(tmp_path: Path) -> None:
    """Over several lives of one directory: no record lost, no fill twice, no way back."""
    chance = random.Random(7)
    acknowledged: dict[str, set[int]] = {"intent": set(), "fill": set(), "generation": set()}
    for _ in range(5):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert child.stdout is not None
        first = child.stdout.readline()
        timer = threading.Timer(chance.uniform(0, 0.15), os.kill, (child.pid, signal.SIGKILL))
        timer.start()
        for line in (first, *child.stdout):
            if line.endswith("\n"):
                kind, number = line.split()
                acknowledged[kind].add(int(number))
        child.stdout.close()
        assert child.wait() == -signal.SIGKILL
        timer.join()

        journal = Journal(tmp_path / "journal.db")
        history = journal.open()
        reserved = journal.reserve()
        journal.close()
        fills = [fill.trade_id for fill in history.fills]
        assert len(fills) == len(set(fills))
        assert acknowledged["fill"] <= set(fills)
        known = {order.seq for order in history.open_orders} | set(fills)
        assert acknowledged["intent"] <= known
        assert reserved > max(acknowledged["intent"], default=0)
        loaded = SnapshotStore(Directory(tmp_path)).load()
        newest = max(acknowledged["generation"], default=0)
        assert newest == 0 or (loaded is not None and loaded.generation >= newest)
    assert acknowledged["fill"]
