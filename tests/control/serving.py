"""A real control socket for tests, in a directory whose path is short enough for one."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import attrs
import trio

from levitrio.control.fleet_interface import FleetApi
from levitrio.control.server import ControlServer
from levitrio.control.socket_claim import claim_socket


@attrs.define(eq=False)
class Recorder:
    """A fake log that keeps its events."""

    logged: list[tuple[str, dict[str, object]]] = attrs.field(factory=list)

    def __call__(self, event: str, **details: object) -> None:
        self.logged.append((event, details))


@contextmanager
def private_directory() -> Iterator[Path]:
    """A 0700 directory with a short name, removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="levi"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@asynccontextmanager
async def serving(fleet: FleetApi, path: Path, log: Recorder) -> AsyncIterator[ControlServer]:
    """Serve `fleet` at `path` while the block runs."""
    server = ControlServer(fleet, log)
    with claim_socket(str(path), fleet=fleet.name) as listener:
        async with trio.open_nursery() as nursery:
            await nursery.start(server.run, listener)
            yield server
            nursery.cancel_scope.cancel()
