"""Disks that go away, refuse, or run out of something other than room, under a real fleet.

Every time: an alarm, both engines alive, `levi ctl` answers, nothing is traded that could not be
written, and no crash; and it goes on once the trouble is over.
"""

import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.acceptance.disks import has_traded, make_fleet, mounted, trades_of
from tests.e2e.process import FleetProcess, all_running

TROUBLED = 5.0
"""Seconds of trouble: some commits, snapshots and lines each."""


def pid_of(fleet: FleetProcess) -> int:
    assert fleet.process is not None
    return fleet.process.pid


def tells(fleet: FleetProcess, word: str) -> None:
    """Wait until the fleet says so over its socket: its terminal may be a file."""
    deadline = time.monotonic() + 20
    while word not in fleet.ctl("events", "--json", "--since", "0").stdout:
        assert time.monotonic() < deadline, fleet.output[-2000:]
        time.sleep(0.2)


def descriptors_of(fleet: FleetProcess) -> set[int]:
    return {int(each.name) for each in Path(f"/proc/{pid_of(fleet)}/fd").iterdir()}


def is_alive(fleet: FleetProcess) -> None:
    """Both engines run, operators are heard at once, nothing was thrown."""
    begun = time.monotonic()
    assert {row["status"] for row in fleet.rows().values()} == {"running"}
    assert fleet.ctl("risk", "--json").returncode == 0
    assert time.monotonic() - begun < 5.0
    assert "Traceback" not in fleet.output


def logged(logs: Path) -> str:
    return "".join(file.read_text() for file in logs.glob("orchestrator-*.jsonl"))


def trades_nothing(fleet: FleetProcess) -> int:
    """Not one trade for a while; how many there are."""
    before = trades_of(fleet.status())
    time.sleep(2.0)
    assert trades_of(fleet.status()) == before
    return before


def goes_on(fleet: FleetProcess, before: int) -> None:
    """More trades than before, and a start that finds everything."""
    fleet.until(lambda status: trades_of(status) > before)
    fleet.send(signal.SIGKILL)
    fleet.wait()
    fleet.start()
    after = fleet.until(all_running)
    assert trades_of(after) > before


@pytest.mark.parametrize("returns", [True, False])
def test_the_directory_is_gone(tmp_path: Path, home: Path, returns: bool) -> None:
    """Moved away while it trades; whether it comes back or not, and where nothing does, it
    ends in order."""
    with make_fleet(tmp_path, home) as fleet:
        data = tmp_path / "disk" / "data"
        fleet.until(has_traded)
        data.rename(data.with_name("away"))
        tells(fleet, "journal_trouble")
        is_alive(fleet)
        before = trades_nothing(fleet)
        if returns:
            shutil.rmtree(data, ignore_errors=True)  # a log file that was opened meanwhile
            data.with_name("away").rename(data)
            goes_on(fleet, before)
        fleet.send(signal.SIGTERM)
        assert fleet.wait() == 0, fleet.output[-2000:]
        assert "Traceback" not in fleet.output


def test_files_may_not_grow(tmp_path: Path, home: Path) -> None:
    """RLIMIT_FSIZE makes writes short, then refused; nothing torn is taken for whole."""
    with make_fleet(tmp_path, home) as fleet:
        fleet.until(has_traded)
        _, hard = resource.prlimit(pid_of(fleet), resource.RLIMIT_FSIZE)
        resource.prlimit(pid_of(fleet), resource.RLIMIT_FSIZE, (1_000, hard))
        tells(fleet, "journal_trouble")
        is_alive(fleet)
        before = trades_nothing(fleet)
        resource.prlimit(pid_of(fleet), resource.RLIMIT_FSIZE, (hard, hard))
        goes_on(fleet, before)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_fsync_fails(tmp_path: Path, home: Path) -> None:
    """EIO at every fsync: nothing is sent, and afterwards the journal is another file, because
    what the kernel believes to be written of the old one is not known."""
    with make_fleet(tmp_path, home) as fleet:
        fleet.until(has_traded)
        journal = tmp_path / "disk" / "data" / "journal.db"
        inode = journal.stat().st_ino
        calls = "fsync,fdatasync"
        command = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(pid_of(fleet))]
        command += ["-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO"]
        with subprocess.Popen(command) as injecting:
            tells(fleet, "journal_trouble")
            is_alive(fleet)
            before = trades_nothing(fleet)
            injecting.terminate()
        goes_on(fleet, before)
        assert journal.stat().st_ino != inode


def test_no_descriptor_is_left(tmp_path: Path, home: Path) -> None:
    """EMFILE at every open: operators are heard, journal and snapshots go on."""
    with make_fleet(tmp_path, home) as fleet:
        fleet.until(has_traded)
        time.sleep(1.0)
        _, hard = resource.prlimit(pid_of(fleet), resource.RLIMIT_NOFILE)
        used = max(descriptors_of(fleet)) + 1
        resource.prlimit(pid_of(fleet), resource.RLIMIT_NOFILE, (used, hard))
        print(f"limit {used}, open {len(descriptors_of(fleet))}")
        before = trades_of(fleet.status())
        registry = tmp_path / "disk" / "data" / "registry.json"
        changed = registry.stat().st_mtime_ns
        time.sleep(TROUBLED)
        is_alive(fleet)
        assert trades_of(fleet.status()) > before, "the journal went on"
        assert fleet.ctl("stop", "BTCUSDT").returncode == 0
        fleet.until(lambda _: registry.stat().st_mtime_ns > changed)
        assert fleet.ctl("halt").returncode == 0
        fleet.send(signal.SIGTERM)
        assert fleet.wait() == 0, fleet.output[-2000:]


def test_no_inode_is_left(tmp_path: Path, home: Path) -> None:
    """No file can be made: snapshots fail and say so, the older ones stay; orders go on,
    because the journal's file is there already."""
    with mounted(tmp_path / "disk", "size=40m,nr_inodes=64") as disk:
        fleet = make_fleet(tmp_path, home)
        with fleet:
            fleet.until(has_traded)
            number = 0
            for number in range(100):
                try:
                    (disk / f"filler-{number}").touch()
                except OSError:
                    break
            assert number < 99
            tells(fleet, "snapshot_trouble")
            is_alive(fleet)
            before = trades_of(fleet.status())
            assert (disk / "data" / "registry.json").exists() or (
                disk / "data" / "registry.1.json"
            ).exists()
            for filler in disk.glob("filler-*"):
                filler.unlink()
            goes_on(fleet, before)


def test_the_disk_of_the_logs_is_full(tmp_path: Path, home: Path) -> None:
    """Lines are lost and counted; trading does not notice."""
    with mounted(tmp_path / "disk" / "data" / "logs", "size=64k") as logs:
        (tmp_path / "disk" / "data").chmod(0o700)
        with make_fleet(tmp_path, home) as fleet:
            fleet.until(has_traded)
            filler = logs / "filler"
            with filler.open("ab", buffering=0) as rubbish:
                for size in (4096, 1):
                    try:
                        while True:
                            rubbish.write(b"x" * size)
                    except OSError:
                        continue
            before = trades_of(fleet.status())
            time.sleep(TROUBLED)
            is_alive(fleet)
            assert trades_of(fleet.status()) > before
            assert "journal_trouble" not in fleet.output
            filler.unlink()
            fleet.until(lambda _: "log_records_dropped" in logged(logs))
            assert fleet.output.count("log_records_dropped") == 1, "told once, not for each line"
