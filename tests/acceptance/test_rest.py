"""The REST calls as foreign programs see them: curl's matrix, schemathesis, and a stop watch."""

import http.client
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.acceptance.pages import EXAMPLE, PageFleet, thousand

RATE = 100
"""Requests a second."""

P99 = 0.020
"""Seconds the slowest of a hundred may take, at 15 engines."""

ROUNDS = 3

LATE = 0.01
"""Share of looks that may find the loop over 10 ms late."""

CPU_OF_PAGES = 0.3
"""Of a core, for three pages of a thousand engines."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageFleet]:
    """The fifteen engines of the example."""
    folder = tmp_path_factory.mktemp("rest")
    with PageFleet(folder, folder, EXAMPLE + '[control]\nsocket = "ctl/s"\n') as running:
        yield running


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_matrix(fleet: PageFleet) -> None:
    """Host x Origin x token x method: without the token, or from elsewhere, nothing changes."""
    hosts = {f"127.0.0.1:{fleet.port}": True, "evil.example": False, "127.0.0.1": False}
    origins = {"": True, fleet.url: True, "http://evil.example": False, "null": False}
    tokens = {fleet.token: True, "": False, "wrong": False}
    methods = ("GET", "POST", "PUT", "DELETE")
    before = fleet.json("/engines/status/SOLUSDT")["incarnation"]
    expected = before
    path = f"{fleet.url}/engines/restart/SOLUSDT"
    for host, origin, token, method in itertools.product(hosts, origins, tokens, methods):
        words = ["-H", f"Host: {host}"]
        words += ["-H", f"Origin: {origin}"] if origin else []
        words += ["-H", f"Authorization: Bearer {token}"] if token else []
        status = curl("-X", method, *words, path)
        if not hosts[host] or not origins[origin]:
            assert status == 403
        elif method != "GET" and not tokens[token]:
            assert status == 401
        else:
            assert status == (200 if method == "POST" else 405)
            expected += method == "POST"
        fleet.until(lambda: fleet.json("/engines/status/SOLUSDT")["status"] == "running")
    assert fleet.json("/engines/status/SOLUSDT")["incarnation"] == expected
    assert expected == before + 2


def curl(*words: str) -> int:
    command = ["curl", "-sS", "-o", os.devnull, "-w", "%{http_code}", *words]
    return int(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)


def test_documented_answers(fleet: PageFleet) -> None:
    """The calls of the contract, with their answers."""
    assert fleet.json("/engines/status")["total"] == 15
    assert fleet.json("/engines/status/sol-usdt")["symbol"] == "SOLUSDT"
    assert fleet.get("/engines/status/NOSUCH")[0] == 404
    right = {"Authorization": f"Bearer {fleet.token}"}
    for verb, done in (("stop", "stopped"), ("start", "started"), ("restart", "restarted")):
        status, body = fleet.ask("POST", f"/engines/{verb}/ETHUSDT", **right)
        expected = f'{{"ok":true,"symbol":"ETHUSDT","status":"{done}"}}'
        assert (status, body.decode()) == (200, expected)
    assert fleet.ask("POST", "/engines/stop/NOSUCH", **right)[0] == 404


@pytest.mark.skipif(find_spec("schemathesis") is None, reason="needs schemathesis")
def test_schemathesis(fleet: PageFleet, tmp_path: Path) -> None:
    """Generated requests find no answer that the OpenAPI document does not describe."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{fleet.url}/openapi.json"),
        *("--header", f"Authorization: Bearer {fleet.token}"),
        # An endless answer is no answer to it; the page's own tests read the stream.
        *("--exclude-path", "/events"),
        *(
            "--max-examples",
            "25",
            "--seed",
            "7",
            "--no-color",
            "--phases",
            "examples,coverage,fuzzing",
        ),
    ]
    environ = {**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path)}
    verdict = subprocess.run(
        command, capture_output=True, text=True, timeout=400, cwd=tmp_path, env=environ, check=False
    )
    assert verdict.returncode == 0, verdict.stdout[-6000:] + verdict.stderr[-2000:]


@pytest.mark.timing
def test_status_at_a_hundred_requests_a_second(fleet: PageFleet) -> None:
    """p99 under 20 ms, while the fifteen engines trade."""
    p99s = []
    for _ in range(ROUNDS):
        took = sorted(ask_steadily(fleet, 500))
        p99s.append(took[len(took) * 99 // 100])
        print(f"p50 {took[len(took) // 2] * 1e3:.1f} ms, p99 {p99s[-1] * 1e3:.1f} ms")
    # What else runs on the machine can only make it slower: the best round is ours.
    assert min(p99s) < P99 * slowness()


def ask_steadily(fleet: PageFleet, requests: int) -> list[float]:
    """Seconds of each of these requests, a hundred a second on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", fleet.port, timeout=30)
    took = []
    due = time.perf_counter()
    for _ in range(requests):
        due += 1 / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        begun = time.perf_counter()
        connection.request("GET", "/engines/status")
        connection.getresponse().read()
        took.append(time.perf_counter() - begun)
    connection.close()
    return took


def slowness() -> float:
    """How much later than asked this very machine wakes anybody; 1 on one that is not crowded."""
    late = []
    for _ in range(300):
        begun = time.perf_counter()
        time.sleep(0.01)
        late.append(time.perf_counter() - begun - 0.01)
    late.sort()
    return max(1.0, late[296] / 0.005)


@pytest.mark.timing
def test_three_pages_at_a_thousand_engines(tmp_path: Path, home: Path) -> None:
    """Three pages cost a third of a core at most, and make the loop late on no quiet machine.

    The market is slow, because a simulator of a thousand busy symbols in the same process would
    be what is measured.
    """
    with PageFleet(home, tmp_path, thousand(speed=0.02)) as fleet:
        time.sleep(10)  # a thousand starts are over
        alone, cpu_alone = late_share(fleet, 15)
        stop = threading.Event()
        pages = [threading.Thread(target=follow, args=(fleet, stop)) for _ in range(3)]
        for page in pages:
            page.start()
        time.sleep(2)
        watched, cpu_watched = late_share(fleet, 15)
        stop.set()
        for page in pages:
            page.join()
    print(
        f"late by over 10 ms: {alone:.1%} alone, {watched:.1%} with three pages; "
        f"cores: {cpu_alone:.2f} alone, {cpu_watched:.2f} with three pages"
    )
    assert cpu_watched - cpu_alone < CPU_OF_PAGES
    if alone >= LATE:
        pytest.skip(f"this machine is late without any page: {alone:.1%} of looks over 10 ms")
    assert watched < LATE


def late_share(fleet: PageFleet, seconds: float) -> tuple[float, float]:
    """The share of looks that found the loop over 10 ms late, and the cores it took."""
    cpu = fleet.json("/engines/status")["process"]["cpu_seconds"]
    before = fleet.json("/healthz")["loop"]
    time.sleep(seconds)
    after = fleet.json("/healthz")["loop"]
    cpu = fleet.json("/engines/status")["process"]["cpu_seconds"] - cpu
    looks = after["looks"] - before["looks"]
    return (after["over_10_ms"] - before["over_10_ms"]) / looks, cpu / seconds


def follow(fleet: PageFleet, stop: threading.Event) -> None:
    """Read the stream of one page."""
    connection = http.client.HTTPConnection("127.0.0.1", fleet.port, timeout=30)
    connection.request("GET", "/events")
    answer = connection.getresponse()
    while not stop.is_set():
        assert answer.read1(1 << 20)
    connection.close()
