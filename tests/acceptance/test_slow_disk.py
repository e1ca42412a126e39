"""A disk whose every fsync takes two seconds holds up orders, and nothing else."""

import re
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import attrs
import pytest

from tests.acceptance.disks import make_fleet, trades_of
from tests.e2e.process import FleetProcess, all_running

FSYNC = 2.0
"""Seconds."""
SPARED = 60
"""Calls of each thread that are not slow: opening the records has some dozens."""
LATE = 0.025
"""Seconds; a bound of the histogram."""

SLOW = (
    *("strace", "-D", "-f", "--seccomp-bpf", "-o", "/dev/null"),
    *("-e", "trace=fsync,fdatasync"),
)
DELAY = ("-e", f"inject=fsync,fdatasync:delay_exit={int(FSYNC * 1e6)}:when={SPARED}+")


def traced() -> bool:
    """Whether one process may watch another here, and delay its calls."""
    if shutil.which("strace") is None:
        return False
    done = subprocess.run([*SLOW, *DELAY, "true"], capture_output=True, check=False)
    return done.returncode == 0


Histogram = Counter[float]

pytestmark = pytest.mark.skipif(not traced(), reason="needs strace, and the right to use it")


def histogram(fleet: FleetProcess, name: str) -> Histogram:
    """How many were observed in each bucket, by its upper bound in seconds; not summed up."""
    text = fleet.ctl("metrics").stdout
    bounds = re.findall(
        rf'^levitrio_{name}_seconds_bucket{{le="(.+?)"}} (\S+)$', text, re.MULTILINE
    )
    counts: Counter[float] = Counter()
    below = 0
    for bound, count in bounds:
        counts[float(bound)] = round(float(count)) - below
        below = round(float(count))
    assert counts, text
    return counts


def observe(folder: Path, home: Path, *delay: str) -> tuple[Histogram, Histogram, float]:
    """Lateness of the loop, latency of orders, and ticks a second, of ten of a busy fleet."""
    folder.mkdir()

    def look() -> tuple[Histogram, Histogram, float, int]:
        ticks = sum(row["ticks"] for row in fleet.rows().values())
        now = time.monotonic()
        return histogram(fleet, "loop_lateness"), histogram(fleet, "order_latency"), now, ticks

    with attrs.evolve(make_fleet(folder, home), under=(*SLOW, *delay)) as fleet:
        fleet.until(all_running)
        fleet.until(lambda status: trades_of(status) > 20)
        time.sleep(3.0)
        late, latency, began, ticks = look()
        time.sleep(10.0)
        later, latencies, ended, ticked = look()
        assert look()[2] - ended < 3.0, "three commands, each a process"
        assert fleet.ctl("shutdown").returncode == 0
        assert fleet.wait() == 0, fleet.output[-2000:]
    return later - late, latencies - latency, (ticked - ticks) / (ended - began)


def share_above(counts: Histogram, bound: float) -> float:
    """Of what was observed, the share in buckets above a bound."""
    above = sum(count for upper, count in counts.items() if upper > bound)
    return above / counts.total()


def test_a_slow_disk_holds_up_orders_alone(tmp_path: Path, home: Path) -> None:
    """Orders wait for the disk; ticks come as fast as ever, and control answers."""
    late, latency, rate = observe(tmp_path / "slow", home, *DELAY)
    quiet, usual, usual_rate = observe(tmp_path / "usual", home)
    print(f"late {dict(late)}, quiet {dict(quiet)}; latency {dict(latency)}, usual {dict(usual)}")
    print(f"ticks {rate:.0f} a second, usual {usual_rate:.0f}")
    assert share_above(latency, 1.0) == 1.0, "no order was faster than its fsync"
    assert share_above(usual, 1.0) == 0.0
    assert rate > 0.8 * usual_rate
    assert late.total() > 0.9 * quiet.total()


@pytest.mark.timing
def test_the_loop_is_not_late(tmp_path: Path, home: Path) -> None:
    """Lateness p99 is the same with a disk that takes two seconds as with one that does not."""
    late, _, _ = observe(tmp_path / "slow", home, *DELAY)
    quiet, _, _ = observe(tmp_path / "usual", home)
    print(f"late {dict(late)}, quiet {dict(quiet)}")
    assert share_above(late, LATE) <= max(0.01, share_above(quiet, LATE))
