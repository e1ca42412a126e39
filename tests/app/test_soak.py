"""Two virtual hours under random faults."""

from pathlib import Path

import pytest

from tests.app.soak import run_soak

pytestmark = pytest.mark.long


def test_the_same_seed_gives_the_same_day(tmp_path: Path) -> None:
    """Every event at the same moment, in the same order, with the same words."""
    first, second = [run_soak(tmp_path, seconds=1_800.0, seed=3) for _ in range(2)]
    assert first.trace == second.trace
    assert run_soak(tmp_path, seconds=600.0, seed=4).trace != first.trace


def test_two_hours_of_faults(tmp_path: Path) -> None:
    """Engines crash, hang and exit; each is up at least 99 % of the time all the same."""
    report = run_soak(tmp_path, seconds=7_200.0, seed=11)
    assert report.crashes > 0
    assert report.fills > 0
    kept = {s: share for s, share in report.uptime.items() if s not in report.given_up}
    assert len(kept) >= 14
    assert min(kept.values()) >= 0.985, report
