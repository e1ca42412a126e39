"""The modelled venue at length: every order counts once, whatever the seed."""

import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.gateway.money_model import Verdict, run_seed

SEEDS = int(os.environ.get("LEVI_SEEDS", "1000"))
"""Of 50 orders each."""

STEPS = 6
"""Before and after an intent is durable, the send, the arrival, and an outcome is durable."""


def judge(seed: int) -> Verdict:
    """One seed with 50 orders."""
    return run_seed(seed)


def judge_without_asking(seed: int) -> Verdict:
    """The same fleet, but it sends an unknown order again."""
    return run_seed(seed, asks=False)


def test_many_seeds() -> None:
    """No duplicate fill, no lost intent, the venue's position, nothing unresolved."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        verdicts = dict(enumerate(pool.map(judge, range(SEEDS), chunksize=10)))
        blind = list(pool.map(judge_without_asking, range(20)))
    bad = {seed: verdict for seed, verdict in verdicts.items() if not verdict.is_sound}
    orders = sum(verdict.orders for verdict in verdicts.values())
    crashes = sum(verdict.crashes for verdict in verdicts.values())
    doubled = sum(verdict.doubled > 0 for verdict in blind)
    steps: Counter[str] = sum((Counter(each.steps) for each in verdicts.values()), Counter())
    print(f"crashes at {dict(steps)}")
    print(f"{SEEDS} seeds, {orders} orders, {crashes} crashes; blind resend doubles {doubled}/20")
    assert not bad, bad
    assert crashes > SEEDS
    assert len(steps) == STEPS
    assert min(steps.values()) >= SEEDS / 10
    assert doubled >= 15
