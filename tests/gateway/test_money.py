"""Money at a venue that loses, delays and doubles; and proof that the model detects errors."""

import pytest

from tests.gateway.money_model import run_seed


@pytest.mark.parametrize("seed", range(4))
def test_nothing_lost_nothing_twice(seed: int) -> None:
    """Lost, late and unanswered requests and crashes at any moment: every order counts once."""
    verdict = run_seed(seed, orders=20)
    assert verdict.is_sound, verdict
    assert verdict.orders >= 20


def test_the_model_detects_resent_orders() -> None:
    """Resending an unknown order instead of querying it doubles fills in most seeds."""
    verdicts = [run_seed(seed, orders=20, asks=False) for seed in range(2)]
    assert sum(verdict.doubled > 0 for verdict in verdicts) == 2
