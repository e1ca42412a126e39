"""A fleet for a browser, and a browser for a fleet: no socket, no clock."""

import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import attrs
import trio
from starlette.types import ASGIApp

from levitrio.control.answers import EquityCurve, LoopLateness, PriceCurve
from levitrio.control.responses import encode
from levitrio.control.status_document import EngineStatus, FleetSummary
from levitrio.http.application import make_application
from levitrio.http.auth import AccessPolicy
from levitrio.http.live_updates import LiveUpdates
from tests.control.fakes import FakeFleet

TOKEN = "a-token-of-sixteen-letters-and-more"
HOST = "127.0.0.1:8787"


@attrs.define(eq=False)
class FakeWebFleet(FakeFleet):
    """Implements the page's port; `rows` may be changed between two looks."""

    rows: dict[str, EngineStatus] = attrs.field(factory=dict)
    looked: int = 0
    waiting: str = ""
    reported: list[tuple[str, str]] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        for symbol in self.wanted:
            self.rows.setdefault(symbol, make_row(symbol))

    def symbols(self) -> Collection[str]:
        return self.rows.keys()

    async def status(self, symbols: Sequence[str] | None) -> bytes:
        await trio.lowlevel.checkpoint()
        return encode({**self.summary(), "engines": list(self.rows.values())})

    def summary(self) -> FleetSummary:
        self.looked += 1
        if self.bug is not None:
            raise self.bug
        summary = {"schema": 1, "fleet": self.name, "total": len(self.rows)}
        return cast(FleetSummary, summary)

    def row(self, symbol: str) -> EngineStatus:
        return self.rows[symbol]

    async def scrape(self) -> bytes:
        return (await self.metrics()).encode()

    def equity_curve(self) -> EquityCurve:
        return {"time": [1.0], "equity": [10_000.0], "drawdown": [0.0]}

    def price_curve(self, symbol: str) -> PriceCurve:
        return {"symbol": symbol, "time": [1.0], "price": [2.0], "fills": []}

    def lateness(self) -> LoopLateness:
        return {"looks": 1000, "over_10_ms": 1}

    def readiness(self) -> str:
        return self.waiting

    def report(self, kind: str, text: str) -> None:
        self.reported.append((kind, text))


def make_row(symbol: str, **changes: Any) -> EngineStatus:
    """A row of the status document with what the page shows."""
    row = {"symbol": symbol, "status": "running", "wanted": "running", "price": "100.0", "ticks": 1}
    return cast(EngineStatus, {**row, **changes})


def make_fleet(*symbols: str) -> FakeWebFleet:
    """Every engine running."""
    return FakeWebFleet(dict.fromkeys(symbols or ("BTCUSDT", "SOLUSDT"), "running"))


@attrs.frozen(kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@attrs.define(eq=False)
class Browser:
    """Asks an application as a server would."""

    application: ASGIApp

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        token: str | None = None,
        host: str | None = HOST,
        **headers: str,
    ) -> Answer:
        """One request and its whole answer. Header names with `_` for `-`."""
        sent = [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ]
        if host is not None:
            sent.append((b"host", host.encode()))
        if token is not None:
            sent.append((b"authorization", f"Bearer {token}".encode()))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": sent,
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8787),
        }
        messages: list[dict[str, Any]] = []
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if waiting:
                return waiting.pop()
            await trio.sleep_forever()
            raise AssertionError

        async def send(message: Any) -> None:
            messages.append(message)

        await self.application(scope, receive, send)
        return Answer(
            status=messages[0]["status"],
            headers={name.decode(): value.decode() for name, value in messages[0]["headers"]},
            body=b"".join(message.get("body", b"") for message in messages[1:]),
        )


@asynccontextmanager
async def browsing(fleet: FakeWebFleet, token: str | None = TOKEN) -> AsyncIterator[Browser]:
    """An application around a fleet, and a client of it."""
    access = AccessPolicy(hosts=frozenset({HOST.encode(), b"localhost:8787"}), token=token)
    async with trio.open_nursery() as nursery:
        live = LiveUpdates(fleet)
        nursery.start_soon(live.run)
        yield Browser(make_application(fleet, access, live, nursery))
        nursery.cancel_scope.cancel()
