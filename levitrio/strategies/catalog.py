"""Finds the strategy class that fleet.toml names, and checks its parameters.

A built-in strategy has a short name, a user's own is named `package.module:Class`. The name must
lead to a Strategy: `os:system` is refused before anything of it is called.
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
    # A name, not an import: inference is a layer above, and is loaded only when it is used.
    "ensemble": "levitrio.inference.ensemble.strategy:Ensemble",
}


def resolve(name: str) -> type[Strategy]:
    """Import a strategy's module and return its class.

    Raises:
        UsageError: The name or its module is wrong; one line, whatever the module does.
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
    except BaseException as exc:  # importing runs user code, which may even call sys.exit
        if isinstance(exc, ModuleNotFoundError) and exc.name and target.startswith(exc.name):
            raise UsageError(
                f"no module {exc.name!r}: expected a file beside fleet.toml or an installed package"
            ) from None
        raise UsageError(
            f"importing {module_name!r} failed with {type(exc).__name__}: {exc}"
        ) from exc
    found = getattr(module, class_name, None)
    if found is None:
        raise UsageError(f"expected a class {class_name!r} in module {module_name!r}, found none")
    if not (isinstance(found, type) and issubclass(found, Strategy)):
        raise UsageError(
            f"{name!r}: expected a class derived from levitrio.strategies.Strategy, "
            f"got {type(found).__name__}"
        )
    return found


def parameters(strategy: type[Strategy]) -> dict[str, inspect.Parameter]:
    """Keyword parameters that `[engines.X.params]` may set, in the order of their declaration."""
    found = inspect.signature(strategy).parameters.values()
    return {
        p.name: p
        for p in found
        if p.name != "symbol" and p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)
    }


def check(name: str, params: Mapping[str, object]) -> str | None:
    """Describe what is wrong with a strategy's name or parameters; None when nothing is.

    Makes one instance of a built-in strategy, so that it checks its own values. A user's own
    strategy is imported, but no instance is made before its engine starts.
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
