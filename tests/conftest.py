"""Fixtures that several rooms share."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("fast", max_examples=25, deadline=None)
settings.register_profile("thorough", max_examples=400, deadline=None)
settings.load_profile(os.environ.get("LEVI_EXAMPLES", "fast"))
"""LEVI_EXAMPLES=thorough looks at sixteen times as many examples; before a release."""


@pytest.fixture
def home() -> Iterator[Path]:
    """A HOME with a short path: a Unix socket's path has 100 bytes."""
    with tempfile.TemporaryDirectory(prefix="levi-", dir="/tmp") as folder:
        yield Path(folder)


LONG = frozenset(
    {
        "app/test_soak.py",
        "app/test_venue_orders.py",
        "replay/data/test_candle_tape.py",
        "supervision/test_schedules.py",
        "supervision/watchdog/test_alarm.py",
        "venues/test_cut_replay.py",
        "venues/test_venue_repair.py",
    }
)
"""Virtual hours, real blocked loops, whole recordings: `just judges` runs them, `just test` does
not, so that the fast suite stays one that is run before every commit."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of `LONG`."""
    root = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(root) and item.path.relative_to(root).as_posix() in LONG:
            item.add_marker(pytest.mark.long)
