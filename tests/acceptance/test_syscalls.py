"""Killed at a given system call of journal or snapshot writing, one after the other."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.kill_loop import check
from tests.paths import ROOT

LIFE = """
import sys
from pathlib import Path
from tests.acceptance.kill_loop import live
live(Path(sys.argv[1]), 1)
"""

CALLS = ("openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "ftruncate")
EACH = int(os.environ.get("LEVI_CALLS", "4"))
"""The first so many of each kind; 12 by hand: creation, then a few rounds of both."""

FILES = (
    *("journal.db", "journal.db-wal", "journal.db-shm", "journal.db.new", "journal.db.new-journal"),
    *("registry.json", "registry.1.json", "registry.2.json"),
    *(f".registry.{number}.tmp" for number in range(1, 60)),
)


def killed_at(folder: Path, call: str, number: int) -> Iterator[str]:
    """What a life acknowledged that was killed at that call; it is killed there for certain."""
    watched = [word for name in FILES for word in ("-P", str(folder / name))]
    command = ["strace", "-f", "-qq", "-o", os.devnull, *watched, "-P", str(folder)]
    command += ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
    command += [sys.executable, "-c", LIFE, str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=10, check=False
    )
    assert done.returncode in (-9, 137), done.stderr[-1000:]
    yield from done.stdout.splitlines()


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_killed_at_each_call(tmp_path: Path) -> None:
    """Nothing acknowledged is lost, nothing is unreadable, nothing goes backwards."""
    kills = acknowledged = 0
    for call in CALLS:
        for number in range(1, EACH + 1):
            folder = tmp_path / f"{call}-{number}"
            folder.mkdir(mode=0o700)
            said: dict[str, set[int]] = {"intent": set(), "fill": set(), "generation": set()}
            try:
                for line in killed_at(folder, call, number):
                    kind, value = line.split()
                    said[kind].add(int(value))
            except subprocess.TimeoutExpired:
                break  # there is no such call any more
            check(folder, said)
            kills += 1
            acknowledged += sum(map(len, said.values()))
    print(f"{kills} kills, {acknowledged} acknowledged")
    assert acknowledged > kills, "killed before there was anything to lose"
    assert kills >= len(CALLS) * EACH // 2
