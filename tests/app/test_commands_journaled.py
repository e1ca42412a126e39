"""Each method that changes something leaves its peer in the journal."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from levitrio.control.fleet_interface import Peer
from levitrio.control.method import Request
from levitrio.control.methods import METHODS, convert_params
from levitrio.control.params import Selection
from tests.app.virtual import running_fleet, write_fleet
from tests.control.fakes import FakeFleet

CHANGING = tuple(name for name, method in METHODS.items() if method.changes)


def request_for(name: str, fleet: Any, peer: Peer) -> Request:
    """With the least params the method takes."""
    kind = METHODS[name].params
    params = {"symbols": ["BTCUSDT"]} if issubclass(kind, Selection) else {}
    if name == "history":
        params = {"symbol": "BTCUSDT"}  # type: ignore[dict-item]
    return Request(fleet=fleet, peer=peer, params=convert_params(METHODS[name], params))


async def test_every_one_of_them(autojump_clock: MockClock, tmp_path: Path) -> None:
    """The journal has each changing method of the table, with the process that called it."""
    expected = {(name, 1000 + number, 7) for number, name in enumerate(CHANGING)}
    async with running_fleet(write_fleet(tmp_path)) as fleet:
        await trio.sleep(5)
        for name, pid, uid in sorted(expected, key=lambda call: call[1]):
            carry_out = METHODS[name].carry_out
            assert carry_out is not None
            await carry_out(request_for(name, fleet.operations, Peer(pid=pid, uid=uid)))
    journal = tmp_path / "data" / "journal.db"
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as reading:
        found = reading.execute("SELECT method, pid, uid FROM commands").fetchall()
    assert set(found) == expected


@pytest.mark.parametrize("name", METHODS)
async def test_methods_that_pass_the_peer_are_marked(name: str) -> None:
    """A method passes the peer to the fleet exactly when it is marked as changing."""

    @attrs.define(eq=False)
    class Spy(FakeFleet):
        peers: list[object] = attrs.field(factory=list)

        def __getattribute__(self, attribute: str) -> Any:
            found = super().__getattribute__(attribute)
            if attribute not in ("command", "reload", "halt", "unhalt", "flatten", "shutdown"):
                return found

            async def call(*args: Any, **kwargs: Any) -> Any:
                self.peers += [a for a in (*args, *kwargs.values()) if isinstance(a, Peer)]
                return {}

            return call

    spy, method = Spy({"BTCUSDT": "running"}), METHODS[name]
    request = request_for(name, spy, Peer(pid=1, uid=2))
    if method.carry_out is not None:
        await method.carry_out(request)
    elif method.answer is not None:
        method.answer(request)
    assert bool(spy.peers) is method.changes
