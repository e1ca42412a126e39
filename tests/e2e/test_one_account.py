"""One account, one fleet: with real processes, and whatever became of the first."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.process import LEVI, PATIENCE, FleetProcess, all_running

pytestmark = [pytest.mark.slow, pytest.mark.long]

FLEET = """
[fleet]
name = "{name}"
[simulator]
seed = 7
[broker]
kind = "simulator"
key_file = "{key_file}"
[engines.BTCUSDT]
"""


def write(folder: Path, name: str, key_file: Path) -> Path:
    """A fleet of its own name, folder and data, on the account of the key."""
    (folder / name).mkdir()
    file = folder / name / "fleet.toml"
    file.write_text(FLEET.format(name=name, key_file=key_file))
    return file


def test_a_second_fleet_with_the_same_key_is_refused(tmp_path: Path, home: Path) -> None:
    """It ends with 1 and names the first, touching nothing; a kill of the first frees the key."""
    key_file = home / "account.key"
    key_file.write_text("K7hQ2mZp9XcV4bNw8RtY1uJs6LfD3gAe\nS3xW8vBn5KqT2yHj7MdR9pGc4ZuF6aLe\n")
    key_file.chmod(0o600)
    second = write(tmp_path, "second", key_file)
    with FleetProcess(home, write(tmp_path, "first", key_file)) as first:
        first.until(all_running)
        assert first.process is not None
        began = time.monotonic()
        refused = subprocess.run(
            [*LEVI, "run", str(second)],
            env=first.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        took = time.monotonic() - began
        assert refused.returncode == 1
        assert f"in use by fleet first, process {first.process.pid}" in refused.stderr
        assert "K7hQ2mZp9XcV4bNw8RtY1uJs6LfD3gAe" not in refused.stdout + refused.stderr
        assert not (second.parent / "data" / "journal.db").exists()
        assert took < PATIENCE / 2
        first.until(all_running)
        first.kill()
    with FleetProcess(home, second) as fleet:
        fleet.until(all_running)
