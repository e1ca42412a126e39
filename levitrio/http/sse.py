"""GET /events: server-sent events, at most two messages a second for each page."""

import attrs
import trio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from levitrio.http.live_updates import LiveUpdates, since_of
from levitrio.http.middleware import problem

MAX_READERS = 32
"""Streams at the same time; a browser has one for each tab."""

BACKLOG = 100
"""Events a new page starts with."""

RETRY_MS = 1000
"""Milliseconds a browser waits before it reconnects."""


@attrs.define(eq=False)
class EventStream:
    """The endpoint of `GET /events`."""

    live: LiveUpdates

    async def __call__(self, request: Request) -> Response:
        """An answer that never ends, or 503 when too many are open."""
        if self.live.readers >= MAX_READERS:
            return problem(503, f"expected at most {MAX_READERS} pages", "close one")
        since = since_of(request.headers.get("last-event-id", ""))
        return _Following(self.live, since)


class _Following(Response):
    """Streams until the browser disconnects or the server is cancelled."""

    def __init__(self, live: LiveUpdates, since: int | None) -> None:
        super().__init__(media_type="text/event-stream")
        self._live = live
        self._since = since

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                nursery.cancel_scope.cancel()

            await self._follow(send)

    async def _follow(self, send: Send) -> None:
        since = self._since
        if since is None:
            newest = self._live.fleet.events(None, 1).next_since
            since = max(0, newest - BACKLOG)
        cursor = self._live.open(since)
        try:
            await send(_part(b"retry: %d\n\n" % RETRY_MS))
            while True:
                # A slow reader delays only itself; its next message has the newest state.
                await send(_part(await self._live.wait_message(cursor)))
        finally:
            self._live.close()


def _part(body: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": True}
