"""`kill -9` at random points of journal and snapshot writing."""

import os
import subprocess
import sys
from pathlib import Path

from tests.paths import ROOT

KILLS = int(os.environ.get("LEVI_KILLS", "300"))
"""`just acceptance-full` kills 10,000 times, before a release."""


def test_kills(tmp_path: Path) -> None:
    """No unreadable registry, no acknowledged record lost, no generation going backwards."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.acceptance.kill_loop", str(KILLS), "11", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-2000:]
