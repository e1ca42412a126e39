"""Makes the JSON Schema of fleet.toml from the classes that read it.

An editor with the schema completes keys and shows their meaning while the file is edited.
`python -m levitrio.config.json_schema` prints it; config/fleet.schema.json holds it.
"""

import ast
import inspect
import json
import sys
import textwrap
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import attrs

from levitrio.config.sections import MAX_ENGINES, FleetFile
from levitrio.config.structuring import kind_of, without_none
from levitrio.config.value_types import Schema


def json_schema() -> Schema:
    """The whole schema as plain data."""
    schema = _object(FleetFile)
    engines = schema["properties"]["engines"]
    engines |= {"minProperties": 1, "maxProperties": MAX_ENGINES}
    for setting in engines["additionalProperties"]["properties"].values():
        setting.pop("default", None)  # an engine's default is what [defaults] says
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "fleet.toml of levitrio",
        **schema,
        "required": ["engines"],
    }


def descriptions(cls: type[Any]) -> dict[str, str]:
    """Read the docstring under each field of a class, inherited fields included."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not attrs.has(base):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, after in zip(body.body, body.body[1:], strict=False):
            match field, after:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str() as text)),
                ):
                    found[name] = " ".join(text.split())
    return found


def _object(cls: type[Any]) -> Schema:
    says = descriptions(cls)
    properties: Schema = {}
    for field in attrs.fields(cls):
        schema = _of(field.type)
        if field.name in says:
            schema["description"] = says[field.name]
        if field.default is not attrs.NOTHING and not attrs.has(type(field.default)):
            default = _plain(field.default)
            if default is not None:
                schema["default"] = default
        properties[field.name] = schema
    about = " ".join((cls.__doc__ or "").split())
    return {
        "type": "object",
        "description": about,
        "properties": properties,
        "additionalProperties": False,
    }


def _of(annotation: Any) -> Schema:
    inner = without_none(annotation)
    kind = kind_of(inner)
    if kind is not None:
        return kind.schema()
    if attrs.has(inner):
        return _object(inner)
    origin = get_origin(inner)
    if origin is Literal:
        return {"enum": list(get_args(inner))}
    if origin is tuple:
        return {"type": "array", "items": _of(get_args(inner)[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of(get_args(inner)[1])}
    assert inner is bool, f"no schema for {inner}"
    return {"type": "boolean"}


def _plain(value: Any) -> Any:
    """Convert a default to JSON data; None when there is nothing to show."""
    match value:
        case Decimal():
            return int(value) if value == int(value) else float(value)
        case Path():
            return str(value)
        case tuple():
            return list(value)
        case bool() | int() | float() | str():
            return value
    return None


if __name__ == "__main__":
    json.dump(json_schema(), sys.stdout, indent=2)
    sys.stdout.write("\n")
