"""Parses an ensemble's members from fleet.toml, and asks rules and hooks for their votes."""

import importlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from levitrio.errors import UsageError
from levitrio.inference.interface import Missing
from levitrio.inference.models.model_file import ModelReference, check_name
from levitrio.strategies import catalog
from levitrio.strategies.base import Signal, Strategy

KINDS = {
    "model": {"sha256"},
    "rule": {"params", "vote"},
    "score": {"max_age"},
    "hook": set[str](),
}
"""Kind of member -> its own keys; each may have a `weight`."""

SILENT = Missing(code="silent", reason="it has not said anything yet")

Hook = Callable[[str], float | None]


@attrs.frozen(kw_only=True)
class Member:
    """One member as fleet.toml describes it."""

    kind: str
    what: str
    """Model, rule, file or hook, as fleet.toml names it."""
    weight: float
    settings: Mapping[str, Any]
    """The keys of its kind."""

    @property
    def label(self) -> str:
        """Kind and name, for texts."""
        return f"{self.kind} {self.what}"

    @property
    def reference(self) -> ModelReference:
        """The model of a `model` member."""
        return ModelReference(model=self.what, sha256=self.settings.get("sha256", ""))


def parse_members(tables: object) -> tuple[Member, ...]:
    """The members of a `members` array. Raises ValueError with the first that is wrong."""
    if not isinstance(tables, Sequence) or isinstance(tables, str) or not tables:
        raise ValueError("'members': expected a list of tables, such as { rule = \"ema_cross\" }")
    return tuple(_parse(number, table) for number, table in enumerate(tables, 1))


def _parse(number: int, table: object) -> Member:
    where = f"'members', number {number}"
    if not isinstance(table, Mapping):
        raise ValueError(f"{where}: expected a table, got {table!r:.60}")
    kinds = [kind for kind in KINDS if kind in table]
    if len(kinds) != 1:
        raise ValueError(f"{where}: expected exactly one of {', '.join(KINDS)}, got {len(kinds)}")
    kind = kinds[0]
    for key in table:
        if key not in {kind, "weight"} | KINDS[kind]:
            known = ", ".join(["weight", *sorted(KINDS[kind])])
            raise ValueError(f"{where}: a {kind} has no key {key!r}; it takes {known}")
    if not isinstance(table[kind], str) or not table[kind]:
        raise ValueError(f"{where}: {kind}: expected text, got {table[kind]!r:.60}")
    member = Member(
        kind=kind,
        what=table[kind],
        weight=_number(where, table, "weight", 1.0, above=0.0),
        settings={key: table[key] for key in KINDS[kind] if key in table},
    )
    try:
        _check(where, member)
    except UsageError as exc:
        raise ValueError(f"{where}: {exc}") from None
    return member


def _check(where: str, member: Member) -> None:
    settings = member.settings
    match member.kind:
        case "model":
            if not isinstance(settings.get("sha256", ""), str):
                raise ValueError(f"{where}: sha256: expected text, got {settings['sha256']!r:.60}")
            check_name(member.reference)
        case "rule":
            _number(where, settings, "vote", 0.6, above=0.5, at_most=1.0)
            trouble = catalog.check(member.what, settings.get("params", {}))
            if trouble:
                raise ValueError(f"{where}: {trouble}")
        case "score":
            _number(where, settings, "max_age", 300.0, above=0.0)
        case "hook":
            load_hook(member.what)


def _number(
    where: str,
    table: Mapping[str, Any],
    key: str,
    default: float,
    *,
    above: float,
    at_most: float = math.inf,
) -> float:
    value: Any = table.get(key, default)
    if not _is_number(value) or not above < value <= at_most:
        most = "" if at_most == math.inf else f" and at most {at_most:g}"
        raise ValueError(f"{where}: {key}: expected a number above {above:g}{most}, got {value!r}")
    return float(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def load_hook(name: str) -> Hook:
    """The function behind `package.module:function`: symbol in, probability or None out.

    Raises:
        ValueError: there is no such function.
    """
    module_name, separator, function_name = name.partition(":")
    if not separator or not all(part.isidentifier() for part in module_name.split(".")):
        raise ValueError(f"hook: expected 'package.module:function', got {name!r}")
    try:
        function = getattr(importlib.import_module(module_name), function_name, None)
    except ImportError as exc:
        raise ValueError(f"hook: importing {module_name!r} failed: {exc}") from exc
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise ValueError(f"hook: expected a plain function {function_name!r} in {module_name}")
    found: Hook = function
    return found


def ask_hook(hook: Hook, symbol: str) -> float | Missing:
    """Call a hook. None means no vote; an exception crashes the engine."""
    value: Any = hook(symbol)
    if value is None:
        return SILENT
    if not _is_number(value) or not 0.0 <= value <= 1.0:
        reason = f"expected a probability from 0 to 1 or None, got {value!r:.60}"
        return Missing(code="wrong_answer", reason=reason)
    return float(value)


@attrs.define(eq=False)
class Rule:
    """A strategy as a member: its last signal counts until the next."""

    strategy: Strategy
    vote: float
    """The probability that its `long` stands for; anything else stands for 1 - vote."""
    stance: float | Missing = SILENT

    @classmethod
    def of(cls, member: Member, symbol: str) -> "Rule":
        """A rule with a new strategy."""
        params = member.settings.get("params", {})
        return cls(catalog.resolve(member.what)(symbol, **params), member.settings.get("vote", 0.6))

    def handles(self, method: str) -> bool:
        """Whether the strategy has this method of its own."""
        return getattr(type(self.strategy), method) is not getattr(Strategy, method)

    def handle(self, method: str, event: Any) -> None:
        """Pass an event on and keep the signal's vote. An exception crashes the engine."""
        reply = getattr(self.strategy, method)(event)
        if isinstance(reply, Signal):
            if reply.prob_up is not None:
                self.stance = reply.prob_up
            else:
                self.stance = self.vote if reply.side == "long" else 1.0 - self.vote
        elif reply is not None:
            if inspect.iscoroutine(reply):
                reply.close()
            name = f"{type(self.strategy).__name__}.{method}"
            raise TypeError(f"{name}: expected a Signal or None from a member, got {reply!r:.60}")
