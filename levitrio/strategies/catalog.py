"""From the name in fleet.toml to a strategy class, and what it may be given.

A built-in goes by its short name, a strategy of one's own by `package.module:Class`. What is
named must be a Strategy: `os:system` is refused before anything of it is called.
"""

import difflib
import importlib
import inspect
from collections.abc import Mapping

from levitrio.errors import UsageError
from levitrio.strategies.base import Strategy

BUILT_IN: Mapping[str, str] = {
    "ema_cross": "levitrio.strategies.ema_cross:EmaCross",
    "breakout": "levitrio.strategies.breakout:Breakout",
    # Named, not imported: it stands above this room, and is only loaded when it is wanted.
    "ensemble": "levitrio.inference.ensemble.strategy:Ensemble",
}


def resolve(name: str) -> type[Strategy]:
    """The class behind a name; imports its module.

    Raises UsageError, in one line, whatever is wrong with the name or the module behind it.
    """
    target = BUILT_IN.get(name, name)
    module_name, separator, class_name = target.partition(":")
    if not separator or not all(part.isidentifier() for part in module_name.split(".")):
        close = difflib.get_close_matches(name, BUILT_IN, n=1)
        also = f" (did you mean {close[0]!r}?)" if close else ""
        raise UsageError(
            f"expected one of {', '.join(BUILT_IN)} or 'package.module:Class', got {name!r}{also}"
        )
    try:
        module = importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # importing runs somebody's code: it may even call sys.exit
        if isinstance(exc, ModuleNotFoundError) and exc.name and target.startswith(exc.name):
            raise UsageError(
                f"no module {exc.name!r}: expected a file beside fleet.toml or an installed package"
            ) from None
        raise UsageError(
            f"importing {module_name!r} failed with {type(exc).__name__}: {exc}"
        ) from exc
    found = getattr(module, class_name, None)
    if found is None:
        raise UsageError(f"module {module_name!r} has no {class_name!r}")
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise UsageError(
            f"{name!r}: expected a class derived from levitrio.strategies.Strategy, "
            f"got {type(found).__name__}"
        )
    return found


def parameters(strategy: type[Strategy]) -> dict[str, inspect.Parameter]:
    """The keyword parameters `[engines.X.params]` may set, in the order they are declared."""
    found = inspect.signature(strategy).parameters.values()
    return {
        p.name: p
        for p in found
        if p.name != "symbol" and p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)
    }


def check(name: str, params: Mapping[str, object]) -> str | None:
    """What is wrong with this strategy and its parameters, in words; None when nothing is.

    Builds one instance of a built-in, to let it check its own values; code of one's own is
    imported but not run before its engine starts.
    """
    try:
        strategy = resolve(name)
    except UsageError as exc:
        return str(exc)
    if strategy.__init__ is Strategy.__init__:
        known: dict[str, inspect.Parameter] = {}
    else:
        known = parameters(strategy)
        if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(strategy).parameters.values()):
            return None
    for key in params:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            also = f" (did you mean {close[0]!r}?)" if close else ""
            return f"{name} has no parameter {key!r}{also}; it takes {', '.join(known) or 'none'}"
    missing = [p.name for p in known.values() if p.default is p.empty and p.name not in params]
    if missing:
        return f"{name} needs the parameter {missing[0]!r}"
    if name in BUILT_IN:
        try:
            strategy("BTCUSDT", **params)
        except (TypeError, ValueError) as exc:
            return f"{name}: {exc}"
    return None
