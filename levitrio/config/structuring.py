"""Turns TOML tables into section values with cattrs, and collects every problem.

The converter is our own and strict: unknown keys are refused and no value is coerced. Refused
keys are cut out and the rest is structured again, so that rules about several keys still see
every valid one.
"""

import copy
import difflib
import functools
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs
from cattrs import (
    ClassValidationError,
    Converter,
    ForbiddenExtraKeysError,
    IterableValidationError,
)
from cattrs.errors import AttributeValidationNote, IterableValidationNote
from cattrs.gen import make_dict_structure_fn

from levitrio.config.diagnostics import InvalidValue, KeyPath, Problem, came, dotted, quoted
from levitrio.config.sections import FleetFile
from levitrio.config.value_types import ValueType

Hook = Callable[[Any, Any], Any]
Tables = dict[str, Any]


def structure(tables: Tables) -> tuple[FleetFile, Tables, list[Problem]]:
    """Structure a file's tables.

    Args:
        tables: As tomllib gives them, floats as Decimal; not changed.

    Returns:
        The values, the tables they came from, and the problems. A refused key is missing from
        the returned tables, and its field has the default.
    """
    problems: list[Problem] = []
    while True:
        try:
            return converter().structure(tables, FleetFile), tables, problems
        except ClassValidationError as error:
            found = list(_problems(error, ()))
        # Again without them: a table of params reports one problem at a time. Each round cuts
        # at least one key, so this ends.
        tables = cut(tables, found)
        problems += found


def cut(tables: Tables, problems: Iterable[Problem]) -> Tables:
    """Copy the tables without the keys that the problems are about."""
    rest = copy.deepcopy(tables)
    for problem in problems:
        _cut(rest, problem.path)
    return rest


@functools.cache
def converter() -> Converter:
    """The converter for the sections; cached, because making its hooks takes longer than a file."""
    converter = Converter(detailed_validation=True, forbid_extra_keys=True)
    converter.register_structure_hook_factory(attrs.has, _class_hook)
    converter.register_structure_hook_factory(_is(tuple), _tuple_hook)
    converter.register_structure_hook_factory(_is(dict), _dict_hook)
    converter.register_structure_hook_factory(_is(Literal), _literal_hook)
    converter.register_structure_hook(bool, _strict_bool)
    # cattrs asks the last one registered first: a value type goes before the annotated type.
    converter.register_structure_hook_factory(lambda cls: kind_of(cls) is not None, _kind_hook)
    return converter


def kind_of(annotation: object) -> ValueType | None:
    """The value type in an Annotated type; None when there is none."""
    if get_origin(annotation) is not Annotated:
        return None
    kind: ValueType = get_args(annotation)[1]
    return kind


def without_none(annotation: Any) -> Any:
    """Return `X` for `X | None`, and anything else unchanged."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(part for part in get_args(annotation) if part is not type(None))
    return annotation


def _is(wanted: object) -> Callable[[Any], bool]:
    return lambda annotation: get_origin(annotation) is wanted


def _class_hook(cls: type[Any], converter: Converter) -> Hook:
    build = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=True)

    def hook(value: Any, as_type: Any) -> Any:
        if not isinstance(value, dict):
            raise InvalidValue("a table", came(value))
        return build(value, as_type)

    return hook


def _kind_hook(cls: Any) -> Hook:
    kind = kind_of(cls)
    assert kind is not None
    parse = kind.parse
    return lambda value, _: parse(value)


def _literal_hook(cls: Any) -> Hook:
    words = get_args(cls)

    def hook(value: Any, _: Any) -> Any:
        if isinstance(value, str) and value in words:
            return value
        close = difflib.get_close_matches(value, words, n=1) if isinstance(value, str) else []
        also = f" (did you mean {quoted(close[0])}?)" if close else ""
        one_of = "one of " if len(words) > 1 else ""
        raise InvalidValue(one_of + ", ".join(quoted(word) for word in words), came(value) + also)

    return hook


def _tuple_hook(cls: Any, converter: Converter) -> Hook:
    item_type = get_args(cls)[0]
    item_hook = converter.get_structure_hook(item_type)

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, list):
            raise InvalidValue("an array", came(value))
        return tuple(_each(enumerate(value), item_hook, item_type, cls).values())

    return hook


def _dict_hook(cls: Any, converter: Converter) -> Hook:
    item_type = get_args(cls)[1]
    item_hook = converter.get_structure_hook(item_type)

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, dict):
            raise InvalidValue("a table of tables", came(value))
        return _each(value.items(), item_hook, item_type, cls)

    return hook


def _each(items: Iterable[tuple[Any, Any]], hook: Hook, item_type: Any, whole: Any) -> Any:
    """Structure items one by one, so that a refused one does not hide the next."""
    done, errors = {}, []
    for name, item in items:
        try:
            done[name] = hook(item, item_type)
        except (InvalidValue, ClassValidationError) as error:
            error.add_note(IterableValidationNote(f"at {name}", name, item_type))
            errors.append(error)
    if errors:
        raise IterableValidationError(f"in {whole}", errors, whole)
    return done


def _strict_bool(value: Any, _: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue("true or false", came(value))
    return value


def _problems(error: BaseException, path: KeyPath) -> Iterator[Problem]:
    """Flatten the errors that cattrs collected."""
    match error:
        case ClassValidationError() | IterableValidationError():
            for inner in error.exceptions:
                yield from _problems(inner, path + _step(inner))
        case ForbiddenExtraKeysError():
            for key in sorted(error.extra_fields):
                yield Problem((*path, key), _unknown(key, error.cl))
        case InvalidValue():
            yield Problem(path + error.inside, str(error))
        case _:
            raise error  # no problem of the file: a bug in one of the hooks


def _step(error: BaseException) -> KeyPath:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return (note.name,)
        if isinstance(note, IterableValidationNote):
            return (note.index,)
    return ()


def _unknown(key: str, cls: type[Any]) -> str:
    known = [field.name for field in attrs.fields(cls)]
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"expected a known key, came {quoted(key)} (did you mean {close[0]}?)"
    homes = ", ".join(_homes(key))
    hint = f" ({key} belongs to {homes})" if homes else f" (known: {', '.join(known)})"
    return f"expected a known key, came {quoted(key)}{hint}"


def _homes(key: str) -> Iterator[str]:
    """Names of the sections that have such a key."""
    for section in attrs.fields(FleetFile):
        cls = without_none(section.type)
        path: KeyPath = (section.name,)
        if get_origin(cls) is dict:
            cls, path = get_args(cls)[1], (section.name, "X")
        if key in attrs.fields_dict(cls):
            yield f"[{dotted(path)}]"


def _cut(tables: Tables, path: KeyPath) -> None:
    """Remove a key; for an item of an array, the key of the array."""
    inner: Any = tables
    parents: list[tuple[Tables, str]] = []
    for part in path:
        if not isinstance(inner, dict) or not isinstance(part, str) or part not in inner:
            break
        parents.append((inner, part))
        inner = inner[part]
    if parents:
        holder, key = parents[-1]
        del holder[key]
