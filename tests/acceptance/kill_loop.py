"""`python -m tests.acceptance.kill_loop KILLS SEED FOLDER`: kill -9 at random points, many times.

Each life is a fork of this process, so that it begins in milliseconds; it journals orders and
writes snapshots as fast as it can, and says on a pipe what was acknowledged. After each kill the
folder is opened as a fleet would open it.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import trio

from levitrio.records.journal.journal import Journal
from levitrio.records.snapshots.filesystem import Directory
from levitrio.records.snapshots.store import SnapshotStore
from levitrio.records.worker_threads import inline
from levitrio.trading.orders import OrderStatus
from tests.records.samples import fill, intent, outcome

LIVES_PER_FOLDER = 200
"""Opening folds the whole journal, so a folder is given up when it has grown."""


def live(folder: Path, pipe: int) -> None:
    """What a life does until it is killed."""

    def say(kind: str, number: int) -> None:
        os.write(pipe, f"{kind} {number}\n".encode())

    async def trade(journal: Journal) -> None:
        while True:
            seq = journal.reserve()
            await journal.append(intent(seq))
            say("intent", seq)
            await journal.append(outcome(seq, OrderStatus.FILLED, fill(seq, seq)))
            say("fill", seq)

    async def snapshot() -> None:
        store = SnapshotStore(Directory(folder))
        while True:
            say("generation", store.save({"n": 1}))
            await trio.sleep(0.001)

    async def main() -> None:
        journal = Journal(folder / "journal.db", offload=inline)
        journal.open()
        async with trio.open_nursery() as nursery:
            await nursery.start(journal.run)
            nursery.start_soon(trade, journal)
            nursery.start_soon(snapshot)

    trio.run(main)


def one_kill(folder: Path, after: float) -> dict[str, set[int]]:
    """Fork a life, kill it `after` seconds, and return what it acknowledged."""
    said: dict[str, set[int]] = {"intent": set(), "fill": set(), "generation": set()}
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            live(folder, writing)
        finally:
            os._exit(1)
    os.close(writing)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    with os.fdopen(reading, "rb") as pipe:
        lines = pipe.read().split(b"\n")[:-1]
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the life ended by itself: {status}"
    for line in lines:
        kind, number = line.decode().split()
        said[kind].add(int(number))
    return said


def check(folder: Path, said: dict[str, set[int]]) -> None:
    """Everything acknowledged is there, once; nothing is unreadable, nothing goes backwards."""
    journal = Journal(folder / "journal.db", offload=inline)
    history = journal.open()
    reserved = journal.reserve()
    journal.close()
    fills = [found.trade_id for found in history.fills]
    assert len(fills) == len(set(fills)), "a fill twice"
    assert said["fill"] <= set(fills), "an acknowledged fill is lost"
    known = {order.seq for order in history.open_orders} | set(fills)
    assert said["intent"] <= known, "an acknowledged intent is lost"
    assert reserved > max(said["intent"], default=0), "a sequence would be used twice"
    loaded = SnapshotStore(Directory(folder)).load()
    newest = max(said["generation"], default=0)
    assert newest == 0 or (loaded is not None and loaded.generation >= newest), "went backwards"


def main(kills: int, seed: int, root: Path) -> None:
    """Kill and check; prints one line, raises at the first harm."""
    chance = random.Random(seed)
    fills = 0
    said: dict[str, set[int]] = {}
    for number in range(kills):
        folder = root / str(number // LIVES_PER_FOLDER)
        if number % LIVES_PER_FOLDER == 0:
            folder.mkdir(mode=0o700)
            said = {"intent": set(), "fill": set(), "generation": set()}
        for kind, found in one_kill(folder, chance.uniform(0.005, 0.06)).items():
            said[kind] |= found
            fills += len(found) if kind == "fill" else 0
        check(folder, said)
    print(f"{kills} kills, {fills} acknowledged fills, none lost, none twice")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
