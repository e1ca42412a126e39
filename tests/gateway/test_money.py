"""Money under a venue that loses, delays and doubles: the harness, and proof that it bites."""

from pathlib import Path

import pytest

from tests.gateway.money_model import run_seed


@pytest.mark.parametrize("seed", range(12))
def test_nothing_lost_nothing_twice(seed: int, tmp_path: Path) -> None:
    """Lost, late and unanswered requests and crashes at any moment: every order counts once."""
    verdict = run_seed(seed, tmp_path / "journal.db", orders=20)
    assert verdict.is_sound, verdict
    assert verdict.orders >= 20


def test_the_harness_bites(tmp_path: Path) -> None:
    """Without the question, resending an unknown order doubles fills in most seeds."""
    verdicts = [run_seed(seed, tmp_path / f"{seed}.db", orders=20, asks=False) for seed in range(6)]
    assert sum(verdict.doubled > 0 for verdict in verdicts) >= 4
