"""Tells from the paths of a stack's frames whose code runs."""

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest
import trio

from levitrio.supervision.crash import Frame
from levitrio.supervision.watchdog.code_ownership import CodeOwnership, frames_of

OWNERSHIP = CodeOwnership.around(Path("/fleet"), lent=("strategies/",), entry_points=("engine.py",))

ENGINE: Frame = ("/fleet/engine.py", 10, "Engine.run")
GATEWAY: Frame = ("/fleet/gateway/gateway.py", 20, "Gateway.submit")
LENT: Frame = ("/fleet/strategies/ema.py", 30, "Ema.on_trade")
CATALOG: Frame = ("/fleet/strategies/catalog.py", 40, "resolve")
MINE: Frame = ("/home/me/mine.py", 50, "Mine.on_trade")
HELPER: Frame = ("/home/me/mine.py", 60, "average")
LIBRARY: Frame = ("/home/me/.venv/lib/numbers.py", 70, "mean")
JSON: Frame = (json.__file__, 80, "dumps")
FROZEN: Frame = ("<frozen importlib._bootstrap>", 90, "_load")
TRIO: Frame = (str(Path(trio.__file__).parent / "_core" / "_run.py"), 95, "run")


@pytest.mark.parametrize(
    ("stack", "place"),
    [
        ([MINE, ENGINE], MINE),
        ([HELPER, MINE, ENGINE], HELPER),
        ([LIBRARY, HELPER, MINE, ENGINE, TRIO], HELPER),
        ([JSON, MINE, ENGINE], MINE),
        ([LENT, ENGINE], LENT),
        ([HELPER, MINE, FROZEN, JSON, CATALOG, ENGINE], HELPER),
        ([MINE, TRIO], MINE),
        ([MINE], MINE),
        ([ENGINE, TRIO], None),
        ([GATEWAY, ENGINE], None),
        ([JSON, GATEWAY, ENGINE], None),
        ([LIBRARY, GATEWAY, ENGINE], None),
        ([JSON, ENGINE], None),
        ([GATEWAY, MINE, ENGINE], None),
        ([TRIO, MINE, ENGINE], None),
        ([], None),
    ],
)
def test_place(stack: list[Frame], place: Frame | None) -> None:
    """The engine's own module is named; only code called from an entry point is the engine's."""
    assert OWNERSHIP.place(stack) == place


def test_installed_packages_are_no_standard_library() -> None:
    """A strategy may come from an installed package."""
    installed: Frame = (import_module("attr").__file__ or "", 1, "f")
    assert OWNERSHIP.place([JSON, installed, ENGINE]) == installed


def test_frames_of() -> None:
    """A running stack begins with the innermost frame."""
    file, line, function = next(frames_of(sys._getframe()))
    assert (file, function) == (__file__, "test_frames_of")
    assert line > 0
    assert list(frames_of(None)) == []
