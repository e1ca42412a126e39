"""Merges `[defaults]` and `[engines.X]` into one EngineConfig for each symbol, and checks it."""

import difflib
import graphlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from levitrio.config.diagnostics import KeyPath, Problem, line_of, printable, quoted
from levitrio.config.durations import format_duration
from levitrio.config.sections import MAX_ENGINES, EngineConfig, EngineSettings, FleetFile
from levitrio.trading.market import normalize_symbol

CheckStrategy = Callable[[str, Mapping[str, object]], str | None]
"""Takes a strategy's name and params; returns what is wrong with them, or None."""

CYCLES = 3
"""Cycles a heartbeat may take before it counts as lost: one slow cycle is no hang."""


@attrs.frozen
class NamedEngine:
    """An engine of the file: its key there, and its symbol."""

    key: str
    symbol: str

    @property
    def path(self) -> KeyPath:
        """Path of its table."""
        return ("engines", self.key)


def name_engines(
    file: FleetFile, written: Mapping[str, Any], lines: Callable[[], Mapping[KeyPath, int]]
) -> tuple[list[NamedEngine], list[Problem]]:
    """Find the engines by normalised symbol, each once, and the problems of their names.

    Args:
        file: The valid part of the file.
        written: The tables as written, with invalid parts.
        lines: Line of each key; called only for a symbol that is there twice, to name the first.
    """
    named: dict[str, NamedEngine] = {}
    problems = []
    for key in file.engines:
        path = ("engines", key)
        try:
            symbol = normalize_symbol(key)
        except ValueError:
            problems.append(
                Problem(path, f"expected a symbol such as BTCUSDT or BTC/USDT, came {quoted(key)}")
            )
            continue
        if symbol in named:
            first = named[symbol]
            problems.append(
                Problem(
                    path,
                    f"expected each symbol once, came {symbol} again: as {quoted(first.key)} on "
                    f"line {line_of(first.path, lines())}",
                )
            )
            continue
        named[symbol] = NamedEngine(key, symbol)
        quote = file.fleet.quote
        if not symbol.endswith(quote) or symbol == quote:
            problems.append(
                Problem(
                    path,
                    f"expected a symbol against {quote} ([fleet] quote), came {symbol}",
                    (("fleet", "quote"),),
                )
            )
    tables = written.get("engines", {})
    came = len(tables) if isinstance(tables, dict) else 1
    if not came:
        problems.append(
            Problem(
                ("engines",),
                "expected at least one [engines.SYMBOL], came none; add [engines.BTCUSDT]",
            )
        )
    if came > MAX_ENGINES:
        problems.append(Problem(("engines",), f"expected at most {MAX_ENGINES}, came {came}"))
    return list(named.values()), problems


def merge(file: FleetFile, tables: Mapping[str, Any], engine: NamedEngine) -> EngineConfig:
    """Merge the defaults with an engine's own keys; params are merged key by key.

    An engine with another strategy than `[defaults]` takes none of its params: they belong to
    the other strategy.
    """
    own, defaults = file.engines[engine.key], file.defaults
    written = tables["engines"][engine.key]
    merged = {
        name: getattr(own if name in written else defaults, name)
        for name in attrs.fields_dict(EngineSettings)
    }
    if _takes_default_params(file, tables, engine):
        merged["params"] = {**defaults.params, **own.params}
    else:
        merged["params"] = dict(own.params)
    if "after" not in written:
        # A default `after = ["BTCUSDT"]` must not make BTCUSDT wait for itself.
        merged["after"] = tuple(s for s in defaults.after if s != engine.symbol)
    return EngineConfig(symbol=engine.symbol, **merged)


def check_engines(
    file: FleetFile,
    tables: Mapping[str, Any],
    engines: Mapping[NamedEngine, EngineConfig],
    check_strategy: CheckStrategy | None,
) -> Iterator[Problem]:
    """Check the merged engines.

    Args:
        file: The valid part of the file.
        tables: The tables it was made from.
        engines: Each engine with its merged settings.
        check_strategy: Called once for each distinct strategy with params; None skips it.
    """
    yield from _cycles_and_heartbeat(file, tables, engines)
    yield from _after(tables, engines)
    if check_strategy is not None:
        yield from _strategies(tables, engines, check_strategy)


def _takes_default_params(file: FleetFile, tables: Mapping[str, Any], engine: NamedEngine) -> bool:
    return (
        "strategy" not in tables["engines"][engine.key]
        or "strategy" not in tables.get("defaults", {})
        or file.engines[engine.key].strategy == file.defaults.strategy
    )


def _origin(tables: Mapping[str, Any], engine: NamedEngine, name: str) -> KeyPath | None:
    """Path where an engine's key is written; None when the file does not have it."""
    if name in tables["engines"][engine.key]:
        return (*engine.path, name)
    return ("defaults", name) if name in tables.get("defaults", {}) else None


def _cycles_and_heartbeat(
    file: FleetFile, tables: Mapping[str, Any], engines: Mapping[NamedEngine, EngineConfig]
) -> Iterator[Problem]:
    timeout = file.health.heartbeat_timeout
    said: set[KeyPath] = set()
    for engine, config in engines.items():
        if config.cycle_interval * CYCLES <= timeout:
            continue
        path = _origin(tables, engine, "cycle_interval") or ("health", "heartbeat_timeout")
        if path in said:
            continue
        said.add(path)
        yield Problem(
            path,
            f"expected a heartbeat_timeout of at least {CYCLES} cycles "
            f"({format_duration(config.cycle_interval * CYCLES)}), came "
            f"{format_duration(timeout)} with a cycle_interval of "
            f"{format_duration(config.cycle_interval)}",
            (
                ("health", "heartbeat_timeout"),
                (*engine.path, "cycle_interval"),
                ("defaults", "cycle_interval"),
            ),
        )


def _after(
    tables: Mapping[str, Any], engines: Mapping[NamedEngine, EngineConfig]
) -> Iterator[Problem]:
    symbols = [config.symbol for config in engines.values()]
    known = set(symbols)
    said: set[tuple[KeyPath, str]] = set()
    waits: dict[str, list[str]] = {}
    paths: dict[str, KeyPath] = {}
    for engine, config in engines.items():
        path = _origin(tables, engine, "after") or engine.path
        paths[config.symbol] = path
        waits[config.symbol] = [symbol for symbol in config.after if symbol in known]
        for symbol in config.after:
            if symbol in known or (path, symbol) in said:
                continue
            said.add((path, symbol))
            close = difflib.get_close_matches(symbol, symbols, n=1)
            also = f" (did you mean {close[0]}?)" if close else ""
            yield Problem(
                path,
                f"expected engines of this fleet, came {quoted(symbol)}{also}",
                (("engines", symbol),),
            )
    try:
        graphlib.TopologicalSorter(waits).prepare()
    except graphlib.CycleError as error:
        circle = list(reversed(error.args[1]))
        yield Problem(
            paths[circle[0]],
            f"expected engines that can start one after another, came a circle: "
            f"{' after '.join(circle)}",
        )


def _strategies(
    tables: Mapping[str, Any],
    engines: Mapping[NamedEngine, EngineConfig],
    check_strategy: CheckStrategy,
) -> Iterator[Problem]:
    asked: set[tuple[str, str]] = set()
    for engine, config in engines.items():
        question = (config.strategy, repr(sorted(config.params.items())))
        if question in asked:
            continue
        asked.add(question)
        trouble = check_strategy(config.strategy, dict(config.params))
        if trouble is not None:
            yield Problem(
                _blamed(tables, engine, config, trouble),
                printable(trouble),
                (
                    (*engine.path, "strategy"),
                    ("defaults", "strategy"),
                    (*engine.path, "params"),
                    ("defaults", "params"),
                ),
            )


def _blamed(
    tables: Mapping[str, Any],
    engine: NamedEngine,
    config: EngineConfig,
    trouble: str,
) -> KeyPath:
    """Path of the key at fault: a param that the text quotes, else the strategy's name."""
    own: Mapping[str, Any] = tables["engines"][engine.key].get("params", {})
    quoted_names = [name for name in config.params if repr(name) in trouble]
    if quoted_names:
        # The first one is at fault; a later one may be the suggestion.
        name = min(quoted_names, key=lambda name: trouble.index(repr(name)))
        home = engine.path if name in own else ("defaults",)
        return (*home, "params", name)
    return _origin(tables, engine, "strategy") or engine.path
