"""Loads fleet.toml into a FleetConfig, and reports every problem of the file at once."""

import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from levitrio.config.diagnostics import KeyPath, Problem, dotted, render
from levitrio.config.engine_sections import CheckStrategy, check_engines, merge, name_engines
from levitrio.config.line_numbers import locate
from levitrio.config.overrides import Override, override
from levitrio.config.sections import FleetConfig, FleetFile, Sections
from levitrio.config.source_file import parse, read_text
from levitrio.config.structuring import cut, structure
from levitrio.config.validation import RULES, secrets
from levitrio.errors import ConfigError


def load(
    path: Path,
    *,
    check_strategy: CheckStrategy | None = None,
    overrides: Sequence[Override] = (),
) -> FleetConfig:
    """Read and check a fleet.toml. Nothing is started, nothing is written.

    Args:
        path: The file; relative paths in it start at its folder.
        check_strategy: Called once for each distinct pair of strategy and params; what it
            returns is reported with the rest, on its line. It may import user code.
        overrides: Keys that replace those of the file; their problems begin with `--set`
            instead of file and line.

    Raises:
        ConfigError: The file has problems, each as `file:line: key: expected ..., came ...`, in
            the order of the file. A file that is no TOML has one problem, the first.
        UsageError: An override names an engine that the file does not have.
    """
    text = read_text(path)
    tables, placed = override(parse(path, text), overrides)
    # Not `resolve`: a link to the file stays a link, and its folder the base of relative paths.
    folder = Path(os.path.abspath(path)).parent  # noqa: PTH100

    @functools.cache
    def lines() -> Mapping[KeyPath, int]:
        return locate(text)

    written = tables
    problems = list(secrets(tables))
    if problems:
        tables = cut(tables, problems)
    file, tables, refused = structure(tables)
    problems += refused
    file = _rooted(file, folder)
    named, found = name_engines(file, written, lines)
    engines = {engine: merge(file, tables, engine) for engine in named}
    found += check_engines(file, tables, engines, check_strategy)
    for rule in RULES:
        found += rule(file)
    broken = [problem.path for problem in problems]
    problems += [problem for problem in found if not _rests_on(problem, broken)]
    if problems:
        overridden = [p for p in problems if any(each.blames(p) for each in placed)]
        of_the_file = render(str(path), [p for p in problems if p not in overridden], lines())
        raise ConfigError(
            (*dict.fromkeys(f"--set {dotted(p.path)}: {p.text}" for p in overridden), *of_the_file)
        )
    return FleetConfig(
        **_sections(file),
        file=folder / path.name,
        engines={config.symbol: config for config in engines.values()},
    )


def _rooted(file: FleetFile, folder: Path) -> FleetFile:
    """Make every path of the file's sections absolute."""
    sections = {}
    for name, section in _sections(file).items():
        paths: dict[str, Any] = {}
        for field in attrs.fields(type(section)) if attrs.has(type(section)) else ():
            match getattr(section, field.name):
                case Path() as path:
                    paths[field.name] = folder / path
                case (Path(), *_) as several:
                    paths[field.name] = tuple(folder / path for path in several)
        if paths:
            sections[name] = attrs.evolve(section, **paths)
    return attrs.evolve(file, **sections)


def _sections(file: FleetFile) -> dict[str, Any]:
    return {field.name: getattr(file, field.name) for field in attrs.fields(Sections)}


def _rests_on(problem: Problem, broken: list[KeyPath]) -> bool:
    """Whether a key the problem depends on, or a table around it, was refused itself."""
    return any(
        path[: len(other)] == other for path in (problem.path, *problem.about) for other in broken
    )
