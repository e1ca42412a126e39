"""`python -m benchmarks.bare_server FOLDER ENGINES`: a control socket in a process of its own.

The fleet behind it is put together and not started, so that what is measured is the answer.
Beside it `bare.sock` answers each line with a status that was encoded once. Prints a line when
both can be asked.
"""

import socket
import sys
from pathlib import Path

import trio

from benchmarks.boards import assemble
from levitrio.app.operations import Operations
from levitrio.control.server import ControlServer


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    return listener


def _ignore(event: str, **_: object) -> None:
    """The log of a server that nobody reads."""


async def main(folder: Path, count: int) -> None:
    """Serve until the process is ended."""
    operations = Operations(assembly=assemble(folder, count), end=lambda _grace: None)
    answer = b'{"jsonrpc":"2.0","id":1,"result":' + await operations.status(None) + b"}\n"

    async def answer_lines(stream: trio.SocketStream) -> None:
        while await stream.receive_some():
            await stream.send_all(answer)

    server = ControlServer(operations, log=_ignore)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run, _listen(folder / "fleet.sock"))
        bare = trio.SocketListener(trio.socket.from_stdlib_socket(_listen(folder / "bare.sock")))
        print("ready", flush=True)
        await trio.serve_listeners(answer_lines, [bare])


if __name__ == "__main__":
    # As the server's clients ask of the folder of a socket.
    Path(sys.argv[1]).chmod(0o700)
    trio.run(main, Path(sys.argv[1]), int(sys.argv[2]))
