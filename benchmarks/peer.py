"""`python -m benchmarks.peer SOCKET FILE`: the status in FILE served by FastAPI, to be compared.

uvicorn takes its fast parts, uvloop
and httptools, and the answer goes from orjson to the socket with no model in between: nobody
who serves a status with FastAPI does it in less. Prints a line when it can be asked.
"""

import socket
import sys
from pathlib import Path

import orjson
import uvicorn
from fastapi import FastAPI
from fastapi.responses import Response

application = FastAPI()
document = orjson.loads(Path(sys.argv[2]).read_bytes())


@application.get("/engines/status")
async def status() -> Response:
    """The document, encoded for each who asks."""
    return Response(orjson.dumps(document), media_type="application/json")


class Server(uvicorn.Server):
    """Says when it is ready."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets=sockets)
        print("ready", flush=True)


if __name__ == "__main__":
    Server(
        uvicorn.Config(
            application, uds=sys.argv[1], log_level="critical", loop="uvloop", http="httptools"
        )
    ).run()
