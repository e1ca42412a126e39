"""Fixtures that several rooms share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def home() -> Iterator[Path]:
    """A HOME with a short path: a Unix socket's path has 100 bytes."""
    with tempfile.TemporaryDirectory(prefix="levi-", dir="/tmp") as folder:
        yield Path(folder)
