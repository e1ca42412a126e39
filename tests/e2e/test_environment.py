"""Odd environments and impatient operators, section F of the catalogue of bad input, for real."""

import os
import resource
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.process import LEVI, PATIENCE, FleetProcess, all_running

pytestmark = [pytest.mark.slow, pytest.mark.long]

FLEET = """
[fleet]
name = "odd"
grace = 2.0
[simulator]
speed = 5.0
[engines.BTCUSDT]
[engines.ETHUSDT]
"""


@pytest.fixture
def fleet(tmp_path: Path, home: Path) -> FleetProcess:
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET)
    return FleetProcess(home, file)


@contextmanager
def start(
    fleet: FleetProcess,
    *,
    before: Callable[[], None] | None = None,
    environ: Mapping[str, str] | None = None,
    closed: tuple[int, ...] = (),
) -> Iterator[FleetProcess]:
    """Start it after `before` ran in its process, with these standard streams closed."""
    closing = " ".join(f"{number}>&-" for number in closed)
    words = ["/bin/sh", "-c", f'exec "$@" {closing}', "sh", *LEVI, "run", str(fleet.file)]
    with (fleet.home / "out.txt").open("ab") as out:
        fleet.process = subprocess.Popen(
            words,
            cwd=fleet.file.parent,
            env=fleet.environ if environ is None else dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            preexec_fn=before,
        )
    try:
        yield fleet
    finally:
        fleet.kill()


def ends_well(fleet: FleetProcess) -> None:
    fleet.until(all_running)
    fleet.send(signal.SIGTERM)
    assert fleet.wait() == 0
    assert "Traceback" not in fleet.output


@pytest.mark.parametrize(
    "odd",
    [
        {"XDG_RUNTIME_DIR": "relative", "XDG_STATE_HOME": "/nonexistent"},
        {"TMPDIR": "/nonexistent/evil"},
        {"PYTHONPATH": "/nonexistent:."},
        {"HOME": "/tmp/../{home}/"},
    ],
    ids=["xdg", "tmpdir", "pythonpath", "home"],
)
def test_b131_variables_change_nothing(fleet: FleetProcess, odd: dict[str, str]) -> None:
    """The fleet runs, and `levi ctl` of an ordinary shell finds it."""
    said = {name: value.format(home=fleet.home) for name, value in odd.items()}
    with start(fleet, environ={**fleet.environ, **said}):
        ends_well(fleet)


def no_umask() -> None:
    os.umask(0)


def test_b131_an_open_umask_opens_nothing(fleet: FleetProcess) -> None:
    """umask 000: the socket is 0600, its folder and the data 0700, and every file ours alone."""
    with start(fleet, before=no_umask):
        fleet.until(all_running)
        run = fleet.home / ".local/state/levitrio/run"
        data = fleet.file.parent / "data"
        for folder in (run, data, data / "logs"):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
            for path in folder.iterdir():
                assert path.stat().st_mode & 0o077 == 0 or path.is_dir(), path
        ends_well(fleet)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_b133_closed_standard_streams_are_not_taken(
    fleet: FleetProcess, closed: tuple[int, ...]
) -> None:
    """Their numbers go to /dev/null, never to a journal or a lock."""
    with start(fleet, closed=closed):
        fleet.until(all_running)
        assert fleet.process is not None
        for number in closed:
            assert Path(f"/proc/{fleet.process.pid}/fd/{number}").readlink() == Path(os.devnull)
        ends_well(fleet)


@pytest.mark.parametrize(
    ("kind", "limit"), [(resource.RLIMIT_NOFILE, 64), (resource.RLIMIT_AS, 300 * 2**20)]
)
def test_b134_little_is_enough(fleet: FleetProcess, kind: int, limit: int) -> None:
    """64 descriptors, 300 MB of addresses: two engines run and answer."""
    with start(fleet, before=lambda: resource.setrlimit(kind, (limit, limit))):
        ends_well(fleet)


@pytest.mark.parametrize("limit", [1_000, 4_096, 20_000, 100_000, 1_000_000])
def test_b134_a_file_size_limit_is_reported(fleet: FleetProcess, limit: int) -> None:
    """RLIMIT_FSIZE: what cannot be made is named, with exit 1."""
    with start(fleet, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))):
        assert fleet.wait() == 1
    assert fleet.output.startswith("Error: ")
    assert fleet.output.count("\n") == 1
    assert str(fleet.file.parent / "data") in fleet.output


def test_b135_a_read_only_folder(fleet: FleetProcess, tmp_path: Path) -> None:
    """A read-only disk: one line that names the folder, exit 2, nothing started."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small disk here")
    try:
        fleet.file = folder / "fleet.toml"
        fleet.file.write_text(FLEET)
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        with start(fleet):
            assert fleet.wait() == 2
        assert fleet.output.startswith("Error: fleet.toml:") or str(folder) in fleet.output
        assert fleet.output.count("\n") == 1
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize(
    "sign", ["data/lock", "data/journal.db", "data/blackbox", "data/logs", "output"]
)
def test_b136_ctrl_c_while_it_starts(fleet: FleetProcess, sign: str) -> None:
    """At any moment: the end comes soon and quietly, and the next start works."""
    with fleet:
        deadline = time.monotonic() + PATIENCE
        while not (fleet.output if sign == "output" else (fleet.file.parent / sign).exists()):
            assert time.monotonic() < deadline
        fleet.send(signal.SIGINT)
        assert fleet.wait() in (0, 130)
        assert "Traceback" not in fleet.output
        fleet.start()
        ends_well(fleet)


@pytest.mark.parametrize("pauses", [(0.0,), (0.02,), (0.05,), (0.0, 0.0), (0.03, 0.03)])
def test_b136_ctrl_c_twice_and_thrice(fleet: FleetProcess, pauses: tuple[float, ...]) -> None:
    """Twice is a hurry, with the last snapshot; the third may end at once: 130."""
    with fleet:
        fleet.until(all_running)
        fleet.send(signal.SIGINT)
        for pause in pauses:
            time.sleep(pause)
            fleet.send(signal.SIGINT)
        assert fleet.wait() in ((0,) if len(pauses) == 1 else (0, 130))
        assert "Traceback" not in fleet.output
        fleet.start()
        ends_well(fleet)


def test_b129_a_closed_terminal_ends_no_fleet(fleet: FleetProcess) -> None:
    """`levi run | head -1`: a terminal that goes away is no reason to stop trading."""
    assert fleet.process is None
    process = subprocess.Popen(
        [*LEVI, "run", str(fleet.file)],
        cwd=fleet.file.parent,
        env=fleet.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    fleet.process = process
    (fleet.home / "out.txt").touch()
    try:
        assert process.stdout is not None
        assert b"fleet_started" in process.stdout.readline()
        process.stdout.close()
        fleet.until(all_running)
        assert fleet.ctl("restart", "BTCUSDT", "--wait").returncode == 0
        ends_well(fleet)
    finally:
        fleet.kill()
