"""The application: which path leads where."""

import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from levitrio.errors import ControlError
from levitrio.http import static_files
from levitrio.http.auth import AccessPolicy
from levitrio.http.endpoints import VERBS, BadRequest, Endpoints, refuse_control, refuse_request
from levitrio.http.fleet_interface import WebFleetApi
from levitrio.http.live_updates import LiveUpdates
from levitrio.http.middleware import SecurityMiddleware, problem
from levitrio.http.sse import EventStream


def make_application(
    fleet: WebFleetApi, access: AccessPolicy, live: LiveUpdates, commands: trio.Nursery
) -> ASGIApp:
    """The ASGI application of one fleet; needs no lifespan.

    Args:
        live: somebody else runs it.
        commands: runs what was begun to its end, whatever becomes of the request.
    """
    calls = Endpoints(fleet=fleet, nursery=commands)
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
        Route("/charts/plotly.js", static_files.plotly),
        Route("/page/{name}", static_files.page),
        Route("/", static_files.page),
    ]
    application = Starlette(
        routes=routes,
        exception_handlers={
            ControlError: refuse_control,
            BadRequest: refuse_request,
            HTTPException: _refuse_route,
        },
    )
    guard = SecurityMiddleware(application=application, access=access, report=fleet.report)

    async def refuse_bug(request: Request, error: Exception) -> Response:
        # Told before the answer: whoever has that may leave, and its request ends with it.
        guard.tell_bug(request.scope, error)
        return problem(500, "a bug in the fleet; its log says more", "levi ctl events")

    application.add_exception_handler(Exception, refuse_bug)
    # What is nearly the right path is not the path: no redirect, which would drop a token.
    application.router.redirect_slashes = False
    return guard


def _command(calls: Endpoints, verb: str) -> Route:
    async def command(request: Request) -> Response:
        request.path_params["verb"] = verb
        return await calls.command(request)

    return Route(f"/engines/{verb}/{{symbol}}", command, methods=["POST"])


def _trading(calls: Endpoints, what: str) -> Route:
    async def trading(request: Request) -> Response:
        request.path_params["what"] = what
        return await calls.trading(request)

    return Route(f"/risk/{what}", trading, methods=["POST"])


async def _refuse_route(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, error.detail.lower(), headers=dict(error.headers or {}))
