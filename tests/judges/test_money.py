"""The modelled venue at length: every order counts once, whatever the seed."""

import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.gateway.money_model import Verdict, run_seed

SEEDS = int(os.environ.get("LEVI_SEEDS", "100"))
"""1,000 by hand before a release: LEVI_SEEDS=1000 just judges -k money."""

MEMORY = Path("/dev/shm")
"""A journal there costs no disk time; what survives a power cut is judged elsewhere."""


def judge(seed: int, *, asks: bool = True) -> Verdict:
    """One seed with 50 orders."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.exists() else None) as folder:
        return run_seed(seed, Path(folder) / "journal.db", asks=asks)


def judge_without_asking(seed: int) -> Verdict:
    """The same fleet, but it sends an unknown order again."""
    return judge(seed, asks=False)


def test_many_seeds() -> None:
    """No duplicate fill, no lost intent, the venue's position, nothing unresolved."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        verdicts = dict(enumerate(pool.map(judge, range(SEEDS), chunksize=10)))
        blind = list(pool.map(judge_without_asking, range(20)))
    bad = {seed: verdict for seed, verdict in verdicts.items() if not verdict.is_sound}
    orders = sum(verdict.orders for verdict in verdicts.values())
    crashes = sum(verdict.crashes for verdict in verdicts.values())
    doubled = sum(verdict.doubled > 0 for verdict in blind)
    print(f"{SEEDS} seeds, {orders} orders, {crashes} crashes; blind resend doubles {doubled}/20")
    assert not bad, bad
    assert crashes > SEEDS
    assert doubled >= 15
