"""What it costs to remember: intents made durable, photographs of a large fleet."""

import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal
from pathlib import Path

import trio

from benchmarks.boards import assemble
from benchmarks.measurement import Goal, Row, measures
from benchmarks.sampling import interleaved, median_percentile
from levitrio.engine.inbox import Inbox
from levitrio.records.journal.entries import IntentEntry
from levitrio.records.journal.journal import Journal
from levitrio.records.snapshots.filesystem import Directory
from levitrio.records.snapshots.store import SnapshotStore
from levitrio.records.snapshots.writer import SnapshotWriter
from levitrio.records.worker_threads import in_threads
from levitrio.trading.market import Trade
from levitrio.trading.orders import Order, Side

_RATE = 200
"""Intents a second."""
_SECONDS = 2.0
_RECORD = b"x" * 4096
"""About what one commit of one intent adds to the journal: a page of its log."""

_Latencies = tuple[list[float], list[float]]
"""Seconds of each write, and how late a task was meanwhile that wakes every 5 ms."""


def _intent(seq: int) -> IntentEntry:
    order = Order(
        client_id=f"L-{seq}", symbol="SOLUSDT", side=Side.BUY, quantity=Decimal("0.50000000")
    )
    return IntentEntry(
        seq=seq, order=order, incarnation=1, reason="signal", wall_ms=seq, market_ms=seq
    )


async def _write_steadily(write: Callable[[], Awaitable[object]] | None) -> _Latencies:
    """Write 200 times a second for a while, each write in a task of its own."""
    latencies: list[float] = []
    late: list[float] = []

    async def once() -> None:
        begun = time.perf_counter()
        if write is not None:
            await write()
        latencies.append(time.perf_counter() - begun)

    async with trio.open_nursery() as nursery:
        due = trio.current_time()
        for _ in range(int(_RATE * _SECONDS)):
            due += 1 / _RATE
            await trio.sleep_until(due)
            late.append(trio.current_time() - due)
            nursery.start_soon(once)
    return latencies, late


async def _with_journal(folder: Path) -> _Latencies:
    journal = Journal(folder / f"journal-{time.monotonic_ns()}.db")
    journal.open()
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        found = await _write_steadily(lambda: journal.append(_intent(journal.reserve())))
        nursery.cancel_scope.cancel()
    journal.close()
    return found


async def _with_fdatasync(folder: Path) -> _Latencies:
    offload = in_threads(1)
    handle = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def append() -> None:
        os.write(handle, _RECORD)
        os.fdatasync(handle)

    found = await _write_steadily(lambda: offload(append))
    os.close(handle)
    return found


async def _with_nothing() -> _Latencies:
    return await _write_steadily(None)


@measures
def intent_to_durable() -> Iterable[Row]:
    """200 intents a second, each waited for, into a journal on this disk."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = interleaved(
            {
                "journal": lambda: trio.run(_with_journal, folder),
                "fdatasync": lambda: trio.run(_with_fdatasync, folder),
                "nothing": lambda: trio.run(_with_nothing),
            },
            5,
        )
    writes = {name: [block for block, _ in pairs] for name, pairs in found.items()}
    late = {name: [block for _, block in pairs] for name, pairs in found.items()}
    for percent, goal in ((50, Goal(limit=5, of="value")), (99, None)):
        yield Row(
            name=f"intent to durable at {_RATE}/s, p{percent}",
            value=median_percentile(writes["journal"], percent) * 1e3,
            unit="ms",
            floor_name="write and fdatasync in a thread",
            floor=median_percentile(writes["fdatasync"], percent) * 1e3,
            goal=goal,
        )
    yield Row(
        name="lateness of the loop meanwhile, p99",
        value=median_percentile(late["journal"], 99) * 1e3,
        unit="ms",
        floor_name="nothing is written",
        floor=median_percentile(late["nothing"], 99) * 1e3,
    )


async def _ticks(folder: Path, count: int, writes: bool) -> list[float]:
    """How old ticks are, in seconds, when an engine gets them; a tick is due every 2 ms."""
    ages: list[float] = []
    dues: list[float] = []
    inbox = Inbox()

    async def consume() -> None:
        while True:
            await inbox.wait()
            for _ in inbox.drain():
                ages.append(trio.current_time() - dues[len(ages)])

    async def snapshot(writer: SnapshotWriter) -> None:
        while True:
            writer.request()
            await trio.sleep(0.01)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(consume)
        if writes:
            status_document = assemble(folder, count).status_document
            writer = SnapshotWriter(
                SnapshotStore(Directory(folder)), status_document.snapshot, interval=1 / 20
            )
            await nursery.start(writer.run)
            nursery.start_soon(snapshot, writer)
            await trio.sleep(0.2)
        due = trio.current_time()
        for number in range(1_000):
            due += 0.002
            await trio.sleep_until(due)
            dues.append(due)
            inbox.put(Trade.of("BTCUSDT", "1.0", time=0, trade_id=number))
        await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    return ages


@measures
def ticks_beside_snapshots() -> Iterable[Row]:
    """What an engine notices of 20 photographs of 1,000 engines a second; one is usual."""
    count = 1_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = interleaved(
            {
                "none": lambda: trio.run(_ticks, folder, count, False),
                "20/s": lambda: trio.run(_ticks, folder, count, True),
            },
            5,
        )
    for percent, goal in ((50, None), (99, Goal(limit=2.5))):
        yield Row(
            name=f"age of a tick, 20 snapshots/s of {count:,}, p{percent}",
            value=median_percentile(found["20/s"], percent) * 1e3,
            unit="ms",
            floor_name="no snapshots",
            floor=median_percentile(found["none"], percent) * 1e3,
            goal=goal,
        )
