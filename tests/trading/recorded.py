"""Real market data beside the checkout, for the tests that can be settled by it."""

import gzip
from collections.abc import Iterator

import pytest

from tests.paths import SHARED

DATA = SHARED


def lines_of(name: str) -> Iterator[str]:
    """The lines of a gzip file of the shared data; skips the test where there is none."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"needs {name} of the shared data, which is not beside this checkout")
    with gzip.open(path, "rt") as file:
        for line in file:
            yield line.rstrip("\n")
