"""Generates the OpenAPI document of the REST calls."""

from functools import cache

from levitrio.http.schemas import COMPONENTS, JsonSchema

VERSION = "1"
"""Version of the interface, not of the package."""

_VERBS = {
    "start": ("started", "Start an engine; refused when failed."),
    "stop": ("stopped", "Stop an engine: its orders are cancelled, its position stays."),
    "restart": ("restarted", "Start a new incarnation; refused when failed."),
    "pause": ("paused", "The engine keeps reading data and opens nothing new."),
    "resume": ("resumed", "Undo a pause."),
    "reset": ("reset", "Forget an engine's crashes and start it."),
}
_TRADING = {
    "halt": ("HaltParams", "No new order leaves until `unhalt`, also after a restart."),
    "unhalt": ("NoParams", "Trade again."),
}
_READING = {
    "/engines/status": ("Status", "The whole fleet."),
    "/risk": ("Risk", "Trading state, limits and their use."),
    "/risk/equity": ("EquityCurve", "Equity and drawdown since the fleet started."),
    "/healthz": ("Health", "The process lives and its loop turns."),
    "/readyz": ("Ready", "Every part of the fleet is up."),
}
_READING_ONE = {
    "/engines/status/{symbol}": ("Engine", "One engine."),
    "/engines/incidents/{symbol}": ("Incidents", "Its incidents, newest first."),
    "/engines/prices/{symbol}": ("PriceCurve", "Its recent price, and the fills of this run."),
}
_OTHER = {
    "/metrics": ("text/plain", "Prometheus text."),
    "/events": (
        "text/event-stream",
        "Status and events as they change, at most twice a second; never ends.",
    ),
    "/charts/plotly.js": (
        "text/javascript",
        "The script of the installed plotly, or an empty one.",
    ),
    "/": ("text/html", "The page."),
}


@cache
def document() -> JsonSchema:
    """The OpenAPI 3.1 document, as plain data."""
    paths: JsonSchema = {}
    for path, (schema, summary) in _READING.items():
        paths[path] = {"get": _get(summary, schema, *(("503",) if path == "/readyz" else ()))}
    for path, (schema, summary) in _READING_ONE.items():
        more = ("404", "409") if path.startswith("/engines/incidents") else ("404",)
        paths[path] = {"parameters": [_SYMBOL], "get": _get(summary, schema, *more)}
    for verb, (done, summary) in _VERBS.items():
        post = _post(summary, "NoParams", _done(done), "404", "409")
        paths[f"/engines/{verb}/{{symbol}}"] = {"parameters": [_SYMBOL], "post": post}
    for what, (params, summary) in _TRADING.items():
        paths[f"/risk/{what}"] = {"post": _post(summary, params, _ref("Trading"), "409")}
    for path, (media, summary) in _OTHER.items():
        refused = {"/metrics": ("409",), "/events": ("503",)}
        paths[path] = {
            "get": {
                "summary": summary,
                "responses": {
                    "200": {
                        "description": summary,
                        "content": {media: {"schema": {"type": "string"}}},
                    },
                    **_refusals("403", *refused.get(path, ())),
                },
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "levitrio",
            "version": VERSION,
            "description": "A fleet of trading engines. Money and quantities are decimal strings.",
        },
        "paths": paths,
        "components": {
            "schemas": COMPONENTS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


_SYMBOL = {
    "name": "symbol",
    "in": "path",
    "required": True,
    "description": "In any spelling: SOLUSDT, sol-usdt.",
    "schema": {"type": "string"},
}

_MEANING = {
    "400": "The body is invalid.",
    "401": "The token is missing or wrong.",
    "403": "A foreign Host or Origin, or a fleet without a token.",
    "404": "No such engine.",
    "408": "The body did not arrive in time.",
    "409": "Refused in this state.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "503": "Not available now.",
}


def _ref(name: str) -> JsonSchema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: JsonSchema) -> JsonSchema:
    return {"application/json": {"schema": schema}}


def _refusals(*statuses: str) -> JsonSchema:
    return {
        status: {"description": _MEANING[status], "content": _json(_ref("Problem"))}
        for status in statuses
    }


def _get(summary: str, schema: str, *refusals: str) -> JsonSchema:
    return {
        "summary": summary,
        "responses": {
            "200": {"description": summary, "content": _json(_ref(schema))},
            **_refusals("403", *refusals),
        },
    }


def _done(status: str) -> JsonSchema:
    return {
        "type": "object",
        "required": ["ok", "symbol", "status"],
        "properties": {
            "ok": {"const": True},
            "symbol": {"type": "string"},
            "status": {"const": status},
        },
    }


def _post(summary: str, params: str, done: JsonSchema, *refusals: str) -> JsonSchema:
    return {
        "summary": summary,
        "security": [{"token": []}],
        "requestBody": {"required": False, "content": _json(_ref(params))},
        "responses": {
            "200": {"description": "Done, and durable.", "content": _json(done)},
            **_refusals("400", "401", "403", "408", "413", "415", *refusals),
        },
    }
