"""The Starlette application: routes, error handlers and the access check."""

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
        fleet: What the endpoints read and command.
        access: Allowed hosts, origins and the token.
        live: Feeds `GET /events`; the caller runs it.
        commands: Runs commands to their end, even if their request is cancelled.
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
        # Reported before the answer: a client that has it may close, which ends the request.
        guard.report_bug(request.scope, error)
        return problem(500, "a bug in the fleet; its log says more", "levi ctl events")

    application.add_exception_handler(Exception, refuse_bug)
    # No redirect for a missing or extra slash: clients drop the token when they follow it.
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
