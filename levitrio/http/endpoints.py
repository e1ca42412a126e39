"""The REST calls of contracts.md. Thin: the fleet decides, this says it in HTTP."""

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
"""Bytes of a POST: a reason fits, a mistake does not."""

BODY_TIMEOUT = 5.0
"""Seconds a client has to send it."""

HISTORY_LIMIT = 20

_STATUS_OF = {
    error_codes.UNKNOWN_SYMBOL: 404,
    error_codes.INVALID_PARAMS: 400,
    error_codes.REFUSED: 409,
    error_codes.BUSY: 503,
}


class BadRequest(Exception):
    """The request itself is wrong; `status` says how."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


@attrs.define(eq=False, kw_only=True)
class Endpoints:
    """The endpoints. `nursery` outlives every request: what was begun is not cut short."""

    fleet: WebFleetApi
    nursery: trio.Nursery

    # Looking

    async def status(self, _: Request) -> Response:
        return _json(await self.fleet.status(None))

    async def engine(self, request: Request) -> Response:
        return _json(self.fleet.row(self._symbol(request)))

    async def incidents(self, request: Request) -> Response:
        symbol = self._symbol(request)
        found = await self.fleet.history(symbol, HISTORY_LIMIT)
        history: History = {"symbol": symbol, "incidents": list(found)}
        return _json(history)

    async def prices(self, request: Request) -> Response:
        return _json(self.fleet.price_curve(self._symbol(request)))

    async def equity(self, _: Request) -> Response:
        return _json(self.fleet.equity_curve())

    async def risk(self, _: Request) -> Response:
        return _json(self.fleet.risk())

    async def metrics(self, _: Request) -> Response:
        return Response(await self.fleet.scrape(), media_type=None, headers=_METRICS_HEADERS)

    async def health(self, _: Request) -> Response:
        """The loop turns, or this would not be answered."""
        health: Health = {
            "ok": True,
            "fleet": self.fleet.name,
            "pid": os.getpid(),
            "loop": self.fleet.lateness(),
        }
        return _json(health)

    async def ready(self, _: Request) -> Response:
        waiting = self.fleet.readiness()
        return problem(503, waiting) if waiting else JSONResponse({"ok": True})

    async def describe(self, _: Request) -> Response:
        return _json(openapi.document())

    # Changing

    async def command(self, request: Request) -> Response:
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
        came_from = f"{client.host}:{client.port}" if client else "somewhere"
        self.fleet.report("http_command", f"{what}, asked from {came_from}")
        return await carry_out(self.nursery, work)

    def _symbol(self, request: Request) -> str:
        """The one engine that is meant, in any spelling; raises ControlError."""
        text: str = request.path_params["symbol"]
        if any(sign in text for sign in "*?["):
            raise UnknownSymbol(text, ())
        try:
            return select([text], self.fleet.symbols(), all_of_them=False)[0]
        except ControlError as error:
            if error.code == error_codes.INVALID_PARAMS:
                raise UnknownSymbol(text, ()) from None  # what can be no symbol is unknown too
            raise


_METRICS_HEADERS = {"content-type": METRICS_TYPE}


def _peer() -> Peer:
    # TCP does not say who; whoever has the token may act as this user. Process 0 is nobody's.
    return Peer(pid=0, uid=os.geteuid())


async def _read_body(request: Request, kind: type[Params]) -> Params:
    """The body as typed params; nothing at all is fine."""
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
        raise BadRequest(400, "expected the whole body, came a part of it") from None
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
    """A ControlError as HTTP."""
    assert isinstance(error, ControlError)
    return problem(_STATUS_OF.get(error.code, 500), printable(error.message, 500), error.hint)


async def refuse_request(_: Request, error: Exception) -> Response:
    """A BadRequest as HTTP."""
    assert isinstance(error, BadRequest)
    return problem(error.status, str(error))
