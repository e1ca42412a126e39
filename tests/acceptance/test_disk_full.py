"""A full disk: no order leaves, engines live on, and trading goes on when there is room again."""

import time
from contextlib import suppress
from pathlib import Path

from tests.acceptance.disks import has_traded, make_fleet, mounted, trades_of
from tests.e2e.process import all_running


def keep_full(filler: Path, *, seconds: float) -> None:
    """Write until nothing more fits, again and again."""
    deadline = time.monotonic() + seconds
    with filler.open("ab", buffering=0) as rubbish:
        while time.monotonic() < deadline:
            with suppress(OSError):
                while True:
                    rubbish.write(b"x" * 512)
            time.sleep(0.02)


def test_no_order_leaves(tmp_path: Path, home: Path) -> None:
    """No trade while the disk is full, an alarm, both engines alive; then it goes on."""
    with mounted(tmp_path / "disk", "size=4m") as disk, make_fleet(tmp_path, home) as fleet:
        filler = disk / "filler"
        fleet.until(all_running)
        fleet.until(has_traded)
        # The journal gives room back when it reopens, so the disk is kept full for a while.
        keep_full(filler, seconds=6.0)
        assert "journal_trouble" in fleet.output
        before = trades_of(fleet.status())
        keep_full(filler, seconds=3.0)
        assert trades_of(fleet.status()) == before
        assert {row["status"] for row in fleet.rows().values()} == {"running"}
        refused = fleet.ctl("stop", "BTCUSDT")
        assert refused.returncode == 1, "what cannot be journaled is not acknowledged"
        filler.unlink()
        fleet.until(lambda status: trades_of(status) > before)
        assert "Traceback" not in fleet.output
