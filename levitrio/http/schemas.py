"""The values of the REST calls as JSON Schema, made from the types the fleet answers with.

Members may be added to an answer; no schema is closed.
"""

from typing import Annotated, Any, NotRequired, TypedDict, get_type_hints

import msgspec
from msgspec import Meta, inspect

from levitrio.control.answers import (
    EquityCurve,
    Health,
    History,
    PriceCurve,
    RiskStatus,
    TradingAnswer,
)
from levitrio.control.params import HaltParams, Params
from levitrio.control.status_document import Always, EngineStatus, FleetStatus

JsonSchema = dict[str, Any]


class Ready(TypedDict):
    """Every part of the fleet is up."""

    ok: Always


class Problem(TypedDict):
    """Why a request is refused, and what may help."""

    ok: Annotated[bool, Meta(extra_json_schema={"const": False})]
    error: str
    hint: NotRequired[str]


_NAMED = {"Engine": EngineStatus}
"""Types that other schemas refer to by name; all others are written out in place."""


def schema_of(kind: inspect.Type, *, by_name: bool = True) -> JsonSchema:
    """The JSON Schema of a type; raises TypeError for a type no answer has had so far."""
    match kind:
        case inspect.Metadata(type=inner, extra_json_schema=extra):
            schema = schema_of(inner) | (extra or {})
            return _without_type(schema) if {"const", "enum"} & schema.keys() else schema
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.IntType(ge=least):
            return {"type": "integer"} | ({} if least is None else {"minimum": least})
        case inspect.FloatType():
            return {"type": "number"}
        case inspect.StrType(pattern=pattern):
            return {"type": "string"} | ({} if pattern is None else {"pattern": pattern})
        case inspect.LiteralType(values=values):
            return {"enum": list(values)}
        case inspect.ListType(item_type=item):
            return {"type": "array", "items": schema_of(item)}
        case inspect.DictType():
            return {"type": "object"}
        case inspect.UnionType(types=(inner, inspect.NoneType())):
            schema = schema_of(inner)
            if schema.keys() == {"type"}:
                return {"type": [schema["type"], "null"]}
            return {"anyOf": [schema, {"type": "null"}]}
        case inspect.TypedDictType(cls=cls, fields=fields):
            for name, named in _NAMED.items():
                if by_name and cls is named:
                    return {"$ref": f"#/components/schemas/{name}"}
            by_field = {field.name: field for field in fields}
            ordered = [by_field[name] for name in get_type_hints(cls)]  # msgspec sorts them
            return {
                "type": "object",
                "required": [field.name for field in ordered if field.required],
                "properties": {field.name: schema_of(field.type) for field in ordered},
            }
    raise TypeError(f"expected a type of the answers, got {kind!r}")


def _without_type(schema: JsonSchema) -> JsonSchema:
    return {key: value for key, value in schema.items() if key != "type"}


def _document(cls: type) -> JsonSchema:
    return schema_of(inspect.type_info(cls), by_name=False)


def _params(cls: type[Params]) -> JsonSchema:
    _, components = msgspec.json.schema_components([cls])
    schema: JsonSchema = components[cls.__name__]
    return schema


COMPONENTS: JsonSchema = {
    **{name: _document(cls) for name, cls in _NAMED.items()},
    "Status": _document(FleetStatus),
    "Incidents": _document(History),
    "PriceCurve": _document(PriceCurve),
    "EquityCurve": _document(EquityCurve),
    "Risk": _document(RiskStatus),
    "Trading": _document(TradingAnswer),
    "Health": _document(Health),
    "Ready": _document(Ready),
    "Problem": _document(Problem),
    "NoParams": _params(Params),
    "HaltParams": _params(HaltParams),
}
