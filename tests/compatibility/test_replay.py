"""Replays of recorded markets give the orders, fills and reports of 8b022be, byte for byte."""

from pathlib import Path

import pytest

from tests.compatibility.replays import FLEETS, RECORDINGS, replayed
from tests.compatibility.surface import load

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not RECORDINGS.exists(), reason="no ../shared/data beside the checkout"),
]


@pytest.mark.parametrize(
    "name", [FLEETS[0], *(pytest.param(name, marks=pytest.mark.long) for name in FLEETS[1:])]
)
def test_a_replay_is_the_recorded_one(name: str, tmp_path: Path) -> None:
    """First the parts, which say where a difference is; then every byte of the report."""
    now, recorded = replayed(name, tmp_path), load(f"replay_{name}.json")
    assert now["parts"] == recorded["parts"]
    assert now == recorded
