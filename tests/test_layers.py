"""Holds the layers of the package by reading its imports, not by running it."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import levitrio
from tests.paths import ROOT

PACKAGE = ROOT / "levitrio"

LAYERS = (
    {"cli"},
    {"training"},
    {"replay"},
    {"app"},
    {"http", "testing"},
    {"gateway", "engine", "inference", "control", "config"},
    {"venues", "records", "supervision", "strategies"},
    {"trading"},
    {"errors", "regular_file"},
)
"""From top to bottom. A module imports its own part of the package, or a lower layer."""

RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}

PURE = ("trading", "strategies", "errors", "regular_file")
"""Parts that decide and never wait."""

PURE_FILES = ("supervision/lifecycle.py", "supervision/restart.py", "control/protocol.py")

CRON_PATH = ("control/client.py", "control/paths.py", "cli/status.py", "cli/main.py", "errors.py")
"""What `levi ctl status --json` runs; each import is paid for at every minute of every cron."""

LIVE_VIEW = "cli/top/"
"""A client process of its own, on asyncio, which must not come into a fleet's process."""

MOST_FILES = 18
"""In one folder; `cli` apart, which has a file for each command."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def relative(path: Path) -> str:
    """Where a file stands in the package."""
    return path.relative_to(PACKAGE).as_posix()


def part_of(path: Path) -> str:
    """The top-level folder or module a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def dotted(path: Path) -> str:
    """The name a module is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


NAMES = {dotted(path): path for path in MODULES}


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Every module a file imports, wherever in the file, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            module = node.module or ""
            for alias in node.names:
                longer = f"{module}.{alias.name}"
                yield longer if longer in NAMES else module, node.lineno


def top_level_imports_of(path: Path) -> Iterator[str]:
    """The modules a file imports when it is imported itself."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def circle_in(graph: Mapping[str, set[str]]) -> list[str]:
    """One circle of a graph, its first node again at its end; empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_go_down_only(path: Path) -> None:
    """No module imports a layer above its own, or another part of its own layer."""
    part = part_of(path)
    if part == "__init__":
        assert list(imports_of(path)) == []
        return
    for module, line in imports_of(path):
        parts = module.split(".")
        if parts[0] != "levitrio" or len(parts) < 2 or parts[1] == part:
            continue
        assert RANK[part] < RANK[parts[1]], f"{path}:{line}: {part} may not import {module}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports inside functions and for type checking count as well."""
    graph = {
        name: {module for module, _ in imports_of(path) if module in NAMES and module != name}
        for name, path in NAMES.items()
    }
    assert circle_in(graph) == []


@pytest.mark.parametrize(
    "folder", [PACKAGE, *(p for p in PACKAGE.rglob("*") if p.is_dir())], ids=lambda p: p.name
)
def test_folders_beside_each_other_have_an_order(folder: Path) -> None:
    """Of two folders of one package at most one imports the other."""
    graph: dict[str, set[str]] = defaultdict(set)
    for path in folder.rglob("*.py"):
        inside = path.relative_to(folder).parts
        for module, _ in imports_of(path):
            target = NAMES.get(module)
            if target is None or not target.is_relative_to(folder) or len(inside) < 2:
                continue
            other = target.relative_to(folder).parts
            if len(other) > 1 and other[0] != inside[0]:
                graph[inside[0]].add(other[0])
    assert circle_in(graph) == []


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_pure_parts_do_not_know_trio(path: Path) -> None:
    """What decides neither waits nor does I/O."""
    if part_of(path) not in PURE and relative(path) not in PURE_FILES:
        return
    forbidden = {"trio", "trio_websocket", "socket", "sqlite3", "asyncio", "threading", "time"}
    for module, line in imports_of(path):
        assert module.split(".")[0] not in forbidden, f"{path}:{line} imports {module}"


def test_every_part_has_its_layer() -> None:
    """A new top-level folder or module is given a layer before it imports anything."""
    parts = {part_of(path) for path in MODULES} - {"__init__"}
    assert parts == RANK.keys()


def test_no_folder_is_crowded() -> None:
    """A stranger finds a file by its name; that ends where a folder is a long list."""
    counts = {
        relative(folder): sum(path.name != "__init__.py" for path in folder.glob("*.py"))
        for folder in {path.parent for path in MODULES}
    }
    assert {name for name, count in counts.items() if count > MOST_FILES} <= {"cli"}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_the_live_view_is_apart(path: Path) -> None:
    """Only cli/top imports Textual, Rich and asyncio; only its command imports cli/top."""
    if relative(path).startswith(LIVE_VIEW):
        return
    for module, line in imports_of(path):
        assert module.split(".")[0] not in {"textual", "rich", "asyncio"}, f"{path}:{line}"
        if module.startswith("levitrio.cli.top"):
            assert relative(path) == "cli/ctl.py", f"{path}:{line}"


@pytest.mark.parametrize("name", CRON_PATH)
def test_the_cron_path_imports_little(name: str) -> None:
    """`levi ctl status --json` is run every minute: it starts without any of these."""
    dear = {"trio", "typer", "attrs", "attr", "cattrs", "msgspec", "argparse"}
    for module in top_level_imports_of(PACKAGE / name):
        assert module.split(".")[0] not in dear


def test_the_map_of_the_package_is_complete_and_true() -> None:
    """The docstring of `levitrio` names every part once, with the number of its layer."""
    rows = re.findall(r"^    (\d)  (\w+) +\S", levitrio.__doc__ or "", re.MULTILINE)
    assert sorted(rows) == sorted((str(rank + 1), part) for part, rank in RANK.items())


QUESTIONS = re.findall(
    r"^\| (.+?\?) \| `(levitrio/[\w/]+\.py)` \|$",
    (ROOT / "docs" / "architecture.md").read_text(),
    re.MULTILINE,
)


def test_thirty_questions_of_a_newcomer() -> None:
    """docs/architecture.md answers them with one file each."""
    assert len(QUESTIONS) >= 30
    assert len({question for question, _ in QUESTIONS}) == len(QUESTIONS)


@pytest.mark.parametrize(("question", "path"), QUESTIONS)
def test_where_is(question: str, path: str) -> None:
    """The file that answers a question exists."""
    assert (ROOT / path).is_file(), question
