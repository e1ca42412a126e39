"""The promised soak: a virtual day of fifteen engines under random faults."""

import time
from pathlib import Path

from tests.app.soak import DAY, run_soak


def test_a_day_of_faults(tmp_path: Path) -> None:
    """Each engine is up at least 99 % of the day outside give-up; under a minute of ours."""
    began = time.monotonic()
    report = run_soak(tmp_path, seconds=DAY, seed=5)
    took = time.monotonic() - began
    print(f"a day in {took:.0f} s, {report.crashes} crashes, {report.fills} fills")  # for the log
    assert report.crashes > 20
    kept = {s: share for s, share in report.uptime.items() if s not in report.given_up}
    assert min(kept.values()) >= 0.99, report
    assert len(kept) >= 13
