"""Generates the OpenRPC document from the method table."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from levitrio.control import error_codes
from levitrio.control.answers import Incident, RiskStatus, TradingAnswer
from levitrio.control.status_document import FleetStatus

if TYPE_CHECKING:
    from levitrio.control.method import Method

VERSION = "1"
"""Version of the interface, not of the package; raised by any change a client can see."""


def _members(document: type) -> str:
    return ", ".join(get_type_hints(document))


_RESULTS = {
    "status": _members(FleetStatus),
    "risk": _members(RiskStatus),
    "halt": _members(TradingAnswer),
    "unhalt": _members(TradingAnswer),
    "history": f"symbol, incidents ({_members(Incident)})",
    "events.subscribe": "events, next_since, missed",
    "metrics": "content_type, text",
    "ping": "fleet, pid",
}
_COMMAND_RESULT = "ok, results (symbol, ok, status, reason, hint), not_as_wanted"


def describe(methods: "Mapping[str, Method]") -> dict[str, Any]:
    """The OpenRPC document of a method table, as plain data.

    The schemas of params come from the types that the server validates with.
    """
    classes = sorted({row.params for row in methods.values()}, key=lambda cls: cls.__name__)
    _, components = msgspec.json.schema_components(
        classes, ref_template="#/components/schemas/{name}"
    )
    return {
        "openrpc": "1.3.2",
        "info": {
            "title": "levitrio control socket",
            "description": "Newline-delimited JSON-RPC 2.0 on a Unix socket.",
            "version": VERSION,
        },
        "methods": [_describe_method(name, row, components) for name, row in methods.items()],
        "components": {
            "schemas": components,
            "errors": {
                str(code): {"code": code, "message": meaning}
                for code, meaning in error_codes.MEANING.items()
            },
        },
    }


def _describe_method(name: str, row: "Method", components: Mapping[str, Any]) -> dict[str, Any]:
    schema = components[row.params.__name__]
    required = schema.get("required", [])
    described = _RESULTS.get(name, _COMMAND_RESULT if row.finish else "")
    return {
        "name": name,
        "summary": row.summary,
        "paramStructure": "by-name",
        "params": [
            {"name": field, "required": field in required, "schema": field_schema}
            for field, field_schema in schema.get("properties", {}).items()
        ],
        "result": {
            "name": "result",
            "schema": {"type": "object", "description": described}
            if described
            else {"type": "object"},
        },
        "errors": [{"$ref": f"#/components/errors/{code}"} for code in error_codes.MEANING],
        "x-changes-state": row.changes,
    }
