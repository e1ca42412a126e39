"""Holds the layer rules of the package by reading its imports, not by running it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

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
"""From the street to the cellar. A module imports its own room, or a lower layer."""

RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}

PURE = ("trading", "strategies", "errors")
"""Rooms that decide and never wait."""

PURE_FILES = ("supervision/lifecycle.py", "supervision/restart.py", "control/protocol.py")

CRON_PATH = ("control/client.py", "control/paths.py", "cli/status.py", "cli/main.py", "errors.py")
"""What `levi ctl status --json` runs; each import is paid for every minute of every cron."""

LIVE_VIEW = "cli/top/"
"""A client process of its own, on asyncio: nothing of it may come into a fleet's process."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    """The room a file of the package is in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Every module a file imports, wherever in the file, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.module or "", node.lineno


def top_level_imports_of(path: Path) -> Iterator[str]:
    """The modules a file imports when it is imported itself."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    """No module knows a room above its own, or beside it."""
    room = room_of(path)
    if room == "__init__":
        assert list(imports_of(path)) == []
        return
    for module, line in imports_of(path):
        parts = module.split(".")
        if parts[0] != "levitrio" or len(parts) < 2 or parts[1] == room:
            continue
        assert RANK[room] < RANK[parts[1]], f"{path}:{line}: {room} may not import {module}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_pure_rooms_do_not_know_trio(path: Path) -> None:
    """What decides neither waits nor does I/O."""
    relative = path.relative_to(PACKAGE).as_posix()
    if room_of(path) not in PURE and relative not in PURE_FILES:
        return
    forbidden = {"trio", "trio_websocket", "socket", "sqlite3", "asyncio", "threading", "time"}
    for module, line in imports_of(path):
        assert module.split(".")[0] not in forbidden, f"{path}:{line} imports {module}"


def test_every_room_has_its_layer() -> None:
    """A new room must be given a place before it can be lived in."""
    rooms = {room_of(path) for path in MODULES} - {"__init__"}
    assert rooms <= RANK.keys()


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_live_view_is_apart(path: Path) -> None:
    """Textual, Rich and asyncio stay in its room; only the command that starts it enters."""
    relative = path.relative_to(PACKAGE).as_posix()
    if relative.startswith(LIVE_VIEW):
        return
    for module, line in imports_of(path):
        assert module.split(".")[0] not in {"textual", "rich", "asyncio"}, f"{path}:{line}"
        if module.startswith("levitrio.cli.top"):
            assert relative == "cli/ctl.py", f"{path}:{line}"


@pytest.mark.parametrize("name", CRON_PATH)
def test_the_cron_path_imports_little(name: str) -> None:
    """`levi ctl status --json` must stay as cheap as design.md section 8 wants it."""
    dear = {"trio", "typer", "attrs", "attr", "cattrs", "msgspec", "argparse", "structlog"}
    for module in top_level_imports_of(PACKAGE / name):
        assert module.split(".")[0] not in dear
