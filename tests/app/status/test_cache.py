"""One document for many readers, and never one from before a change."""

import json
from pathlib import Path
from typing import cast

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from levitrio.app.status.cache import MAX_AGE, StatusCache
from levitrio.app.status.document import StatusDocument
from tests.app.conftest import POISON
from tests.app.virtual import PEER, VirtualFleet, running_fleet, write_fleet

pytestmark = pytest.mark.usefixtures("own_strategies")


async def read(fleet: VirtualFleet) -> bytes:
    return await fleet.operations.status(None)


async def test_many_readers_one_document(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Within a quarter of a second the very same bytes, then new ones."""
    async with running_fleet(write_fleet(tmp_path)) as fleet:
        await trio.sleep(10)
        first = await read(fleet)
        assert await read(fleet) is first
        await trio.sleep(MAX_AGE + 0.01)
        assert await read(fleet) is not first


async def test_a_command_shows_at_once(autojump_clock: MockClock, tmp_path: Path) -> None:
    """No time passes between a stop, a halt, and the document that shows them."""
    async with running_fleet(write_fleet(tmp_path)) as fleet:
        await trio.sleep(10)
        assert (await fleet.document())["stopped"] == 0
        await fleet.operations.command("stop", ["SOLUSDT"], PEER)
        await fleet.operations.wait_as_wanted(["SOLUSDT"], 5)
        document = await fleet.document()
        states = {row["symbol"]: row["status"] for row in document["engines"]}
        assert (states["SOLUSDT"], document["stopped"]) == ("stopped", 1)
        await fleet.operations.halt("enough", PEER)
        assert (await fleet.document())["trading_state"] == "halted"


async def test_a_crash_shows_at_once(autojump_clock: MockClock, tmp_path: Path) -> None:
    """The document asked for at the moment of the event has it."""
    config = write_fleet(tmp_path, engines={"SOLUSDT": POISON})
    async with running_fleet(config) as fleet:
        seen = []
        while "failed" not in fleet.kinds("SOLUSDT"):
            await read(fleet)
            seq = fleet.assembly.events.last_seq
            await fleet.assembly.events.wait_newer(seq)
            news = fleet.assembly.events.since(seq).events
            if any(event.kind == "crashed" for event in news):
                rows = json.loads(await read(fleet))["engines"]
                seen += [row["last_error"] for row in rows if row["symbol"] == "SOLUSDT"]
        assert seen
        assert all(seen)


@attrs.define(eq=False)
class SlowStatus:
    """Makes numbered documents, each when the test releases it."""

    made: int = 0
    continue_exit: trio.Event = attrs.field(factory=trio.Event)

    async def encode(self) -> bytes:
        self.made += 1
        number = self.made
        await self.continue_exit.wait()
        return b"%d" % number


async def test_a_change_while_it_is_made(nursery: trio.Nursery) -> None:
    """A reader from before the change may get the old document, a later one never does."""
    status_document = SlowStatus()
    cache, found = StatusCache(cast(StatusDocument, status_document)), []

    async def ask() -> None:
        found.append(await cache.encoded())

    nursery.start_soon(ask)
    await wait_all_tasks_blocked()
    cache.forget()
    nursery.start_soon(ask)
    status_document.continue_exit.set()
    await wait_all_tasks_blocked()
    assert found == [b"1", b"2"]
    assert await cache.encoded() == b"2"


async def test_a_reader_that_leaves_costs_the_others_nothing(nursery: trio.Nursery) -> None:
    """Cancelled in the middle, the next one begins anew."""
    status_document = SlowStatus()
    cache = StatusCache(cast(StatusDocument, status_document))
    with trio.move_on_after(0) as scope:
        await cache.encoded()
    assert scope.cancelled_caught
    status_document.continue_exit.set()
    assert await cache.encoded() == b"1"
