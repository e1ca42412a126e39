"""The application: which path leads where."""

import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from levitrio.errors import ControlError
from levitrio.http import assets
from levitrio.http.access import Access
from levitrio.http.calls import VERBS, BadRequest, Calls, refuse_control, refuse_request
from levitrio.http.guard import Guard, problem
from levitrio.http.live import LiveBoard
from levitrio.http.port import WebFleet
from levitrio.http.stream import EventStream


def make_application(
    fleet: WebFleet, access: Access, live: LiveBoard, commands: trio.Nursery
) -> ASGIApp:
    """The ASGI application of one fleet; needs no lifespan.

    Args:
        live: somebody else runs it.
        commands: runs what was begun to its end, whatever becomes of the request.
    """
    calls = Calls(fleet=fleet, nursery=commands)
    routes = [
        Route("/engines/status", calls.status),
        Route("/engines/status/{symbol}", calls.engine),
        Route("/engines/incidents/{symbol}", calls.incidents),
        Route("/engines/prices/{symbol}", calls.prices),
        *(_command(calls, verb) for verb in VERBS),
        Route("/risk", calls.risk),
        Route("/risk/equity", calls.equity),
        *(_trading(calls, what) for what in ("halt", "unhalt")),
        Route("/metrics", calls.metrics),
        Route("/healthz", calls.health),
        Route("/readyz", calls.ready),
        Route("/openapi.json", calls.describe),
        Route("/events", EventStream(live).__call__),
        Route("/charts/plotly.js", assets.plotly),
        Route("/page/{name}", assets.page),
        Route("/", assets.page),
    ]
    application = Starlette(
        routes=routes,
        exception_handlers={
            ControlError: refuse_control,
            BadRequest: refuse_request,
            HTTPException: _refuse_route,
        },
    )
    guard = Guard(application=application, access=access, report=fleet.report)

    async def refuse_bug(request: Request, error: Exception) -> Response:
        # Told before the answer: whoever has that may leave, and its request ends with it.
        guard.tell_bug(request.scope, error)
        return problem(500, "a bug in the fleet; its log says more", "levi ctl events")

    application.add_exception_handler(Exception, refuse_bug)
    # What is nearly the right path is not the path: no redirect, which would drop a token.
    application.router.redirect_slashes = False
    return guard


def _command(calls: Calls, verb: str) -> Route:
    async def command(request: Request) -> Response:
        request.path_params["verb"] = verb
        return await calls.command(request)

    return Route(f"/engines/{verb}/{{symbol}}", command, methods=["POST"])


def _trading(calls: Calls, what: str) -> Route:
    async def trading(request: Request) -> Response:
        request.path_params["what"] = what
        return await calls.trading(request)

    return Route(f"/risk/{what}", trading, methods=["POST"])


async def _refuse_route(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, error.detail.lower(), headers=dict(error.headers or {}))
