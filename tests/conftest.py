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
