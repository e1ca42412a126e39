"""What asking costs: the status over the socket, and the command line that cron runs."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

import msgspec

from benchmarks import bare_server
from benchmarks.measurement import Goal, Row, measures
from benchmarks.sampling import REPETITIONS, median_percentile, medians

_ROOT = Path(__file__).resolve().parents[1]
_REQUEST = b'{"jsonrpc":"2.0","id":1,"method":"status","params":{}}\n'
_PING = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}\n'
_GET = b"GET /engines/status HTTP/1.1\r\nHost: peer\r\n\r\n"
_CLIENTS = 16
_STEADY = 100
"""Requests a second of a client that measures how long each takes."""
_STARTING = 30.0
"""Seconds a fleet has until it answers."""


@contextmanager
def _running_servers(count: int) -> Iterator[Path]:
    """The folder of the sockets, while they are served; `peer.sock` serves the same by HTTP."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        running.enter_context(_serving(bare_server.__name__, name, str(count)))
        with _connected(folder / "bare.sock") as client:
            document = msgspec.json.decode(_ask(client, _REQUEST))["result"]
        (folder / "status.json").write_bytes(msgspec.json.encode(document))
        peer = ("benchmarks.peer", str(folder / "peer.sock"), str(folder / "status.json"))
        running.enter_context(_serving(*peer))
        yield folder


@contextmanager
def _serving(module: str, *words: str) -> Iterator[None]:
    command = [sys.executable, "-m", module, *words]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n", f"expected {module} to serve"
            yield
        finally:
            process.kill()


@contextmanager
def _connected(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(30)
        client.connect(str(path))
        yield client


def _ask(client: socket.socket, request: bytes) -> bytes:
    """One answer, whole; one by HTTP is whole when it is a JSON object's end."""
    client.sendall(request)
    pieces = [client.recv(1 << 20)]
    while not _is_over(pieces[-1]):
        pieces.append(client.recv(1 << 20))
    return b"".join(pieces)


def _is_over(piece: bytes) -> bool:
    """Whether an answer ends here: a line does, and a document, whose engines are its last."""
    return piece.endswith((b"}\n", b"}]}"))


def _rate(path: Path, request: bytes, requests: int, clients: int = 1) -> float:
    """Requests a second of clients in one thread that each ask and wait, ask and wait."""
    with ExitStack() as stack:
        selector = stack.enter_context(DefaultSelector())
        for _ in range(clients):
            client = stack.enter_context(_connected(path))
            _ask(client, request)
            selector.register(client, EVENT_READ, client)
        begun = time.perf_counter()
        if clients == 1:
            for _ in range(requests):
                _ask(client, request)
            return requests / (time.perf_counter() - begun)
        for key in selector.get_map().values():
            key.data.sendall(request)
        answered = 0
        while answered < requests:
            for key, _ in selector.select(30):
                if _is_over(key.data.recv(1 << 20)):
                    answered += 1
                    key.data.sendall(request)
        return answered / (time.perf_counter() - begun)


@measures
def status_requests() -> Iterable[Row]:
    """Status of the whole fleet: one client that asks and waits, and sixteen."""
    for count, requests, limit in ((15, 1_000, 1.3), (1_000, 100, 0.9)):
        with _running_servers(count) as folder:
            ours, peer = folder / "fleet.sock", folder / "peer.sock"
            rates = medians(
                {
                    "bare": partial(_rate, folder / "bare.sock", _REQUEST, requests),
                    "ping": partial(_rate, ours, _PING, requests),
                    "status": partial(_rate, ours, _REQUEST, requests),
                    "peer": partial(_rate, peer, _GET, requests),
                    "status of many": partial(_rate, ours, _REQUEST, requests, _CLIENTS),
                    "peer of many": partial(_rate, peer, _GET, requests, _CLIENTS),
                },
                REPETITIONS,
            )
            slow = [_latencies(ours, _REQUEST, 300) for _ in range(3)]
        yield Row(
            name=f"ping, {count:,} engines",
            value=rates["ping"],
            unit="1/s",
            floor_name="bare socket, status encoded once",
            floor=rates["bare"],
        )
        goal = Goal(limit=limit, at_least=True)
        for clients, many in (("one client", ""), (f"{_CLIENTS} clients", " of many")):
            yield Row(
                name=f"status, {count:,} engines, {clients}",
                value=rates[f"status{many}"],
                unit="1/s",
                floor_name="FastAPI, uvicorn, orjson",
                floor=rates[f"peer{many}"],
                goal=goal,
            )
        yield Row(
            name=f"status, {count:,} engines, at {_STEADY}/s, p99",
            value=median_percentile(slow, 99) * 1e3,
            unit="ms",
            goal=Goal(limit=5, of="value") if count == 15 else None,
        )


def _latencies(path: Path, request: bytes, requests: int) -> list[float]:
    """Seconds of each of these requests, which one client sends at a steady rate."""
    found = []
    with _connected(path) as client:
        due = time.perf_counter()
        for _ in range(requests):
            due += 1 / _STEADY
            time.sleep(max(0.0, due - time.perf_counter()))
            begun = time.perf_counter()
            _ask(client, request)
            found.append(time.perf_counter() - begun)
    return found


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
