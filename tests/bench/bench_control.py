"""What asking costs: the status over the socket, and the command line that cron runs."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import house
from tests.bench.measurement import Goal, Row, measures
from tests.bench.sampling import REPETITIONS, medians

_ROOT = Path(__file__).resolve().parents[2]
_REQUEST = b'{"jsonrpc":"2.0","id":1,"method":"status","params":{}}\n'
_PING = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}\n'
_STARTING = 30.0
"""Seconds a fleet has until it answers."""


@contextmanager
def _running_house(count: int) -> Iterator[Path]:
    """The folder of the sockets, while they are served."""
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", house.__name__, name, str(count)]
        with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == b"ready\n"
                yield Path(name)
            finally:
                process.kill()


def _rate(path: Path, request: bytes, requests: int) -> float:
    """Requests a second of one client that asks and waits, asks and waits."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(30)
        client.connect(str(path))
        begun = time.perf_counter()
        for _ in range(requests):
            client.sendall(request)
            while not client.recv(1 << 20).endswith(b"\n"):
                pass
        return requests / (time.perf_counter() - begun)


@measures
def status_requests() -> Iterable[Row]:
    """Status of the whole fleet, one client, one connection."""
    for count, requests in ((15, 500), (1_000, 20)):
        with _running_house(count) as folder:
            rates = medians(
                {
                    "bare": lambda: _rate(folder / "bare.sock", _REQUEST, requests),  # noqa: B023
                    "ping": lambda: _rate(folder / "fleet.sock", _PING, requests),  # noqa: B023
                    "status": lambda: _rate(folder / "fleet.sock", _REQUEST, requests),  # noqa: B023
                },
                REPETITIONS,
            )
        for method in ("ping", "status"):
            yield Row(
                name=f"{method}, {count:,} engines",
                value=rates[method],
                unit="1/s",
                floor_name="bare socket, status encoded once",
                floor=rates["bare"],
            )


@contextmanager
def _running_fleet() -> Iterator[dict[str, str]]:
    """The environment in which `levi ctl` finds the example fleet, which runs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config").mkdir()
        file = folder / "config" / "fleet.toml"
        file.write_bytes((_ROOT / "config" / "fleet.toml").read_bytes())
        # With bytecode, as installed, whatever this shell says about writing it.
        environment = {**os.environ, "HOME": name, "PYTHONPYCACHEPREFIX": f"{name}/cache"}
        for variable in ("LEVI_SOCKET", "PYTHONDONTWRITEBYTECODE"):
            environment.pop(variable, None)
        command = [*_levi(), "run", str(file)]
        with subprocess.Popen(
            command, env=environment, cwd=_ROOT, stdout=subprocess.DEVNULL
        ) as process:
            try:
                _wait_until_running(environment)
                yield environment
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=30)


def _levi() -> list[str]:
    script = Path(sys.executable).with_name("levi")
    return [str(script)] if script.exists() else [sys.executable, "-m", "levitrio.cli.main"]


def _status(environment: dict[str, str]) -> int:
    return subprocess.run(
        [*_levi(), "ctl", "status", "--json"],
        env=environment,
        cwd=_ROOT,
        stdout=subprocess.DEVNULL,
        check=False,
    ).returncode


def _wait_until_running(environment: dict[str, str]) -> None:
    deadline = time.monotonic() + _STARTING
    while (code := _status(environment)) != 0:
        if time.monotonic() > deadline:
            raise TimeoutError(f"expected a fleet with every engine running, got exit code {code}")
        time.sleep(0.2)


@measures
def status_command() -> Iterable[Row]:
    """The whole command of cron, from exec to exit, against a fleet that trades."""

    with _running_fleet() as environment:

        def python() -> float:
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", "pass"], cwd=_ROOT, env=environment, check=True)
            return time.perf_counter() - begun

        def status() -> float:
            begun = time.perf_counter()
            code = _status(environment)
            assert code == 0, f"expected every engine as wanted, got exit code {code}"
            return time.perf_counter() - begun

        found = medians({"python": python, "status": status}, 20)
    yield Row(
        name="levi ctl status --json",
        value=found["status"] * 1e3,
        unit="ms",
        floor_name="python -c pass",
        floor=found["python"] * 1e3,
        goal=Goal(limit=2.6, target=2.2),
    )
