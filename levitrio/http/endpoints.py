"""The REST endpoints: they check the request, ask the fleet, and answer in HTTP."""

import os
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, Literal, cast

import attrs
import msgspec
import trio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from levitrio.control import error_codes
from levitrio.control.answers import METRICS_TYPE, Health, History
from levitrio.control.fleet_interface import CommandResult, Peer, Verb
from levitrio.control.params import HaltParams, Params
from levitrio.control.protocol import printable
from levitrio.control.responses import encode
from levitrio.control.selection import UnknownSymbol, select
from levitrio.control.server import carry_out
from levitrio.errors import ControlError
from levitrio.http import openapi
from levitrio.http.fleet_interface import WebFleetApi
from levitrio.http.middleware import problem

VERBS: tuple[Verb, ...] = ("start", "stop", "restart", "pause", "resume", "reset")

MAX_BODY = 4096
"""Bytes of a POST body; the longest reason fits."""

BODY_TIMEOUT = 5.0
"""Seconds a client has to send the body."""

HISTORY_LIMIT = 20

_STATUS_OF = {
    error_codes.UNKNOWN_SYMBOL: 404,
    error_codes.INVALID_PARAMS: 400,
    error_codes.REFUSED: 409,
    error_codes.BUSY: 503,
}


class BadRequest(Exception):
    """A request that is itself wrong; `status` is the HTTP status of the answer."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


@attrs.define(eq=False, kw_only=True)
class Endpoints:
    """The endpoints of one fleet; commands run in `nursery`, which outlives their requests."""

    fleet: WebFleetApi
    nursery: trio.Nursery

    # Reading

    async def status(self, _: Request) -> Response:
        """GET /engines/status."""
        return _json(await self.fleet.status(None))

    async def engine(self, request: Request) -> Response:
        """GET /engines/status/{symbol}."""
        return _json(self.fleet.row(self._symbol(request)))

    async def incidents(self, request: Request) -> Response:
        """GET /engines/incidents/{symbol}."""
        symbol = self._symbol(request)
        found = await self.fleet.history(symbol, HISTORY_LIMIT)
        history: History = {"symbol": symbol, "incidents": list(found)}
        return _json(history)

    async def prices(self, request: Request) -> Response:
        """GET /engines/prices/{symbol}."""
        return _json(self.fleet.price_curve(self._symbol(request)))

    async def equity(self, _: Request) -> Response:
        """GET /risk/equity."""
        return _json(self.fleet.equity_curve())

    async def risk(self, _: Request) -> Response:
        """GET /risk."""
        return _json(self.fleet.risk())

    async def metrics(self, _: Request) -> Response:
        """GET /metrics."""
        return Response(await self.fleet.scrape(), media_type=None, headers=_METRICS_HEADERS)

    async def health(self, _: Request) -> Response:
        """GET /healthz: answered at all only while the loop turns."""
        health: Health = {
            "ok": True,
            "fleet": self.fleet.name,
            "pid": os.getpid(),
            "loop": self.fleet.lateness(),
        }
        return _json(health)

    async def ready(self, _: Request) -> Response:
        """GET /readyz: 503 with what is missing until the fleet is up."""
        waiting = self.fleet.readiness()
        return problem(503, waiting) if waiting else JSONResponse({"ok": True})

    async def describe(self, _: Request) -> Response:
        """GET /openapi.json."""
        return _json(openapi.document())

    # Changing

    async def command(self, request: Request) -> Response:
        """POST /engines/{verb}/{symbol}."""
        verb: Verb = request.path_params["verb"]
        await _read_body(request, Params)
        symbol = self._symbol(request)
        results = await self._change(
            request,
            f"{verb} {symbol}",
            partial(self.fleet.command, verb, [symbol], _peer()),
        )
        return _answer(results[0])

    async def trading(self, request: Request) -> Response:
        """POST /risk/halt and /risk/unhalt."""
        what: Literal["halt", "unhalt"] = request.path_params["what"]
        if what == "halt":
            params = await _read_body(request, HaltParams)
            reason = printable(cast(HaltParams, params).reason or "by HTTP", 500)
            work = partial(self.fleet.halt, reason, _peer())
        else:
            await _read_body(request, Params)
            work = partial(self.fleet.unhalt, _peer())
        return _json(await self._change(request, what, work))

    async def _change(self, request: Request, what: str, work: Callable[[], Awaitable[Any]]) -> Any:
        client = request.client
        address = f"{client.host}:{client.port}" if client else "an unknown address"
        self.fleet.report("http_command", f"{what}, requested from {address}")
        return await carry_out(self.nursery, work)

    def _symbol(self, request: Request) -> str:
        """The engine of the path, in any spelling; raises ControlError for an unknown one."""
        text: str = request.path_params["symbol"]
        # `select` would take a glob; one call is for one engine.
        if any(sign in text for sign in "*?["):
            raise UnknownSymbol(text, ())
        try:
            return select([text], self.fleet.symbols(), all_of_them=False)[0]
        except ControlError as error:
            if error.code == error_codes.INVALID_PARAMS:
                raise UnknownSymbol(text, ()) from None  # an invalid symbol is unknown too
            raise


_METRICS_HEADERS = {"content-type": METRICS_TYPE}


def _peer() -> Peer:
    # TCP does not identify the process. The token allows acting as this user; pid 0 means HTTP.
    return Peer(pid=0, uid=os.geteuid())


async def _read_body(request: Request, kind: type[Params]) -> Params:
    """The body as typed params; an empty body means none. Raises BadRequest."""
    content_type = request.headers.get("content-type", "application/json")
    body = b""
    try:
        with trio.move_on_after(BODY_TIMEOUT) as scope:
            async with aclosing(request.stream()) as chunks:
                async for chunk in chunks:
                    body += chunk
                    if len(body) > MAX_BODY:
                        raise BadRequest(413, f"expected at most {MAX_BODY} bytes")
    except ClientDisconnect:
        raise BadRequest(400, "expected the whole body, got a part of it") from None
    if scope.cancelled_caught:
        raise BadRequest(408, f"expected the body within {BODY_TIMEOUT:g} s")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise BadRequest(415, "expected application/json, or no body")
    try:
        return msgspec.json.decode(body or b"{}", type=kind, strict=True)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadRequest(400, f"expected a JSON object: {printable(str(error))}") from None


def _json(body: object) -> Response:
    """`body` is a document, or bytes that are JSON already."""
    data = body if isinstance(body, bytes) else encode(body)
    return Response(data, media_type="application/json")


def _answer(result: CommandResult) -> Response:
    if result.ok:
        return JSONResponse({"ok": True, "symbol": result.symbol, "status": result.status})
    reason = result.reason or result.status
    return problem(
        409,
        f"{result.symbol} is refused: {reason}",
        result.hint,
        symbol=result.symbol,
        status=result.status,
    )


async def refuse_control(_: Request, error: Exception) -> Response:
    """The HTTP answer for a ControlError."""
    assert isinstance(error, ControlError)
    return problem(_STATUS_OF.get(error.code, 500), printable(error.message, 500), error.hint)


async def refuse_request(_: Request, error: Exception) -> Response:
    """The HTTP answer for a BadRequest."""
    assert isinstance(error, BadRequest)
    return problem(error.status, str(error))
