"""One fleet per account, however the other one ended."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from levitrio.errors import FleetLocked, UsageError
from levitrio.records.locks.account_lock import AccountLock

NAME = "0123456789abcdef0123456789abcdef"


def test_a_second_fleet_is_refused(tmp_path: Path) -> None:
    """The error names the fleet that has the account; another account is free."""
    folder = tmp_path / "accounts"
    with AccountLock(folder, NAME, "first"):
        with pytest.raises(FleetLocked, match=f"fleet first, process {os.getpid()}"):
            AccountLock(folder, NAME, "second").__enter__()
        with AccountLock(folder, NAME[::-1], "second"):
            pass
    with AccountLock(folder, NAME, "second"):
        pass


def test_a_fleet_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    """The kernel releases the lock, and the file that is left has no effect."""
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from levitrio.records.locks.account_lock import AccountLock\n"
        f"AccountLock(Path(sys.argv[1]), '{NAME}', 'dead').__enter__()\nos._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a"], check=False)
    assert done.returncode == 9
    assert (tmp_path / "a" / f"{NAME}.lock").exists()
    with AccountLock(tmp_path / "a", NAME, "next"):
        pass


def test_a_place_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    """A user who could create files there could stop our trading, or let two fleets trade."""
    folder = tmp_path / "accounts"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(UsageError, match="chmod"):
        AccountLock(folder, NAME, "fleet").__enter__()
    folder.chmod(0o700)
    (folder / f"{NAME}.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="lock file"):
        AccountLock(folder, NAME, "fleet").__enter__()
    assert not (tmp_path / "elsewhere").exists()
