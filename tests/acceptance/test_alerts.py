"""`[alerts]` of real fleets at a local webhook: every kind arrives, and each news of it once."""

import json
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import attrs
import pytest

from levitrio.config.sections import AlertKind
from levitrio.records.alerts.alerts import kind_of
from tests.acceptance.pages import free_port
from tests.e2e.process import LEVI, FleetProcess, all_running
from tests.e2e.venue import AccountClient
from tests.records.alerts.test_alerts import make_event
from tests.venues.simulator import recordings

pytestmark = pytest.mark.skipif(find_spec("apprise") is None, reason="needs the extra [alerts]")

PATIENCE = 30.0

KEY = "K7hQ2mZp9XcV4bNw8RtY1uJs6LfD3gAe"
SECRET = "S3xW8vBn5KqT2yHj7MdR9pGc4ZuF6aLe"

OWN = """
import time
import trio
from levitrio.strategies import Strategy

class Nth(Strategy):
    def __init__(self, symbol):
        self.left = 20
    def on_trade(self, trade):
        self.left -= 1
        if not self.left:
            self.act()

class Poison(Nth):
    def act(self):
        raise RuntimeError("poisoned")

class Sleeper(Nth):
    def act(self):
        time.sleep(60)

class Deaf(Nth):
    def act(self):
        sum(range(10**12))

class Stubborn(Strategy):
    def __init__(self, symbol):
        pass
    async def on_trade(self, trade):
        while True:
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                await trio.lowlevel.cancel_shielded_checkpoint()

class Idle(Strategy):
    def __init__(self, symbol):
        pass
"""

FLEET = """
[fleet]
name = "loud"
grace = 0.5
[simulator]
seed = 7
speed = 10.0
port = {port}
[feed]
streams = ["trade"]
stale_after = 2.0
[recovery]
max_restarts = 1
backoff_base = 0.1
backoff_max = 0.2
[health]
blocked_after = 0.3
[alerts]
urls = ["{url}"]
on = [{kinds}]
[defaults]
strategy = "own_alerts:Idle"
[engines.ADAUSDT]
[engines.BTCUSDT]
[engines.ETHUSDT]
[engines.LTCUSDT]
[engines.POISONUSDT]
strategy = "own_alerts:Poison"
[engines.QUIETUSDT]
[engines.SLEEPUSDT]
strategy = "own_alerts:Sleeper"
[engines.STUBBORNUSDT]
strategy = "own_alerts:Stubborn"
"""

ALL = ", ".join(f'"{kind}"' for kind in get_args(AlertKind))


@attrs.define(eq=False)
class Webhook:
    """What arrived, oldest first."""

    url: str
    got: list[tuple[str, str]]
    """Title without the name of the program, first line of the message."""

    def titles(self) -> "Counter[str]":
        return Counter(title for title, _ in self.got)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A local server that takes what apprise posts as JSON."""
    got: list[tuple[str, str]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append((told["title"].removeprefix("levitrio "), told["message"].splitlines()[0]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Webhook(f"json://127.0.0.1:{server.server_port}", got)
        server.shutdown()
        thread.join()


def write(folder: Path, text: str) -> Path:
    (folder / "own_alerts.py").write_text(OWN)
    file = folder / "fleet.toml"
    file.write_text(text)
    return file


def until(condition: Callable[[], object], fleet: FleetProcess) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, fleet.output[-3000:]
        time.sleep(0.05)


def count(fleet: FleetProcess, pattern: str) -> int:
    """How often the fleet's own log says so."""
    return len(re.findall(pattern, fleet.output, re.MULTILINE))


def wait_for(fleet: FleetProcess, pattern: str, times: int) -> None:
    """Until the fleet has said so that often."""
    until(lambda: count(fleet, pattern) >= times, fleet)


def test_every_kind_arrives_once_though_its_cause_repeats(
    tmp_path: Path, home: Path, webhook: Webhook
) -> None:
    """Given up, halted, stuck, stale, blocked, journal trouble: twice each, told once each."""
    port = free_port()
    file = write(tmp_path, FLEET.format(port=port, url=webhook.url, kinds=ALL))

    def stall(stream: str) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/sim/faults",
            data=json.dumps({"stall": stream}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            assert answer.status == 200

    with FleetProcess(home, file) as fleet:
        # Given up, after two crashes each; one of them for a loop that was blocked twice.
        for times in (1, 2):
            wait_for(fleet, r" POISONUSDT failed ", times)
            wait_for(fleet, r" SLEEPUSDT failed ", times)
            if times == 1:
                assert fleet.ctl("reset", "POISONUSDT", "SLEEPUSDT").returncode == 0
        assert count(fleet, r"^\S+ SLEEPUSDT blocked ") == 4
        for times in (1, 2):
            stall("quietusdt@trade")
            wait_for(fleet, r" QUIETUSDT stale ", times)
            stall("")
            wait_for(fleet, r" QUIETUSDT fresh ", times)
        for times in (1, 2):
            fleet.ctl("halt", "--reason", f"drill number {times}")
            wait_for(fleet, r"trading is halted: drill", times)
        for _ in (1, 2):
            fleet.ctl("stop", "STUBBORNUSDT")
        wait_for(fleet, r" STUBBORNUSDT stuck ", 1)
        assert fleet.process is not None
        for times in (1, 2):
            # No file may grow beyond what the journal has already.
            resource.prlimit(fleet.process.pid, resource.RLIMIT_FSIZE, (4096, -1))
            until(lambda: fleet.ctl("pause", "ADAUSDT").returncode == 1, fleet)
            wait_for(fleet, r" journal_trouble ", times)
            resource.prlimit(fleet.process.pid, resource.RLIMIT_FSIZE, (-1, -1))
            wait_for(fleet, r" journal_recovered ", times)
        until(lambda: webhook.titles()["loud: journal_trouble"], fleet)
        fleet.kill()
    once = {
        *("loud POISONUSDT: failed", "loud SLEEPUSDT: failed", "loud SLEEPUSDT: blocked"),
        *("loud QUIETUSDT: stale", "loud: trading_state", "loud STUBBORNUSDT: stuck"),
        "loud: journal_trouble",
    }
    titles = webhook.titles()
    assert once <= set(titles)
    assert set(titles.values()) == {1}, titles
    assert set(titles) - once <= {"loud: snapshot_trouble"}, "the same cause, another record"
    kinds = {
        kind_of(make_event(title.rpartition(" ")[2], None, text)) for title, text in webhook.got
    }
    assert kinds == set(get_args(AlertKind)) - {"account", "summary"}


def test_a_stranger_on_the_account(tmp_path: Path, home: Path, webhook: Webhook) -> None:
    """An operator buys by hand, twice, what an engine trades: one alert."""
    port, key_file = free_port(), home / "simulator.key"
    key_file.write_text(f"{KEY}\n{SECRET}\n")
    key_file.chmod(0o600)
    text = f"""
[fleet]
name = "loud"
[simulator]
port = {port}
[broker]
kind = "simulator"
key_file = "{key_file}"
[alerts]
urls = ["{webhook.url}"]
[defaults]
strategy = "own_alerts:Idle"
[engines.BTCUSDT]
"""
    stranger = AccountClient(port, KEY, SECRET)
    with FleetProcess(home, write(tmp_path, text)) as fleet:
        fleet.until(all_running)
        wait_for(fleet, r" broker_connected ", 1)
        for times in (1, 2):
            stranger.buy("BTCUSDT", "0.01")
            wait_for(fleet, r" BTCUSDT foreign_order ", times)
        until(lambda: webhook.got, fleet)
        time.sleep(2.0)
        fleet.kill()
    assert webhook.titles() == {"loud BTCUSDT: foreign_order": 1}


def test_one_summary_a_day(tmp_path: Path, home: Path, webhook: Webhook) -> None:
    """A tape from ten in the evening to two in the morning has one midnight in it."""
    minutes = range(4 * 60)
    recordings.write(
        tmp_path / "night.gz",
        *(
            recordings.trade_line(minute, symbol=symbol, after_ms=minute * 60_000)
            for minute in minutes
            for symbol in ("BTCUSDT", "ETHUSDT")
        ),
    )
    text = f"""
[fleet]
name = "night"
[simulator]
speed = 2000.0
recording = ["night.gz"]
[feed]
streams = ["trade"]
[alerts]
urls = ["{webhook.url}"]
on = ["summary"]
[engines.BTCUSDT]
[engines.ETHUSDT]
"""
    with FleetProcess(home, write(tmp_path, text)) as fleet:
        until(lambda: "tape_ended" in fleet.output or webhook.got, fleet)
        time.sleep(2.0)
        fleet.kill()
    assert [title for title, _ in webhook.got] == ["night: summary"], fleet.output[-2000:]
    assert webhook.got[0][1].startswith("until 2023-11-15: equity 10000.00, +0.00 in the day")


def test_what_was_found_at_the_start(tmp_path: Path, home: Path, webhook: Webhook) -> None:
    """The engine that ended the last process, and a snapshot that is damaged: both are told."""
    text = FLEET.format(port=0, url=webhook.url, kinds=ALL)
    text = text.replace("own_alerts:Sleeper", "own_alerts:Deaf").replace(":Poison", ":Idle")
    data = tmp_path / "data"
    with FleetProcess(home, write(tmp_path, text)) as fleet:
        assert fleet.wait() != 0
        shutil.copy(data / "registry.json", data / "registry.1.json")
        with (data / "registry.json").open("r+b") as snapshot:
            snapshot.seek(200)
            snapshot.write(b"#")
        fleet.start()
        until(lambda: len(webhook.got) == 2, fleet)
        fleet.until(lambda status: bool(status["running"] == 7))
        fleet.kill()
    assert webhook.titles() == {"loud SLEEPUSDT: convicted": 1, "loud: snapshot_damaged": 1}


def test_the_last_words_arrive(tmp_path: Path, home: Path, webhook: Webhook) -> None:
    """An engine that will not end is told of even though the process ends around it."""
    file = write(tmp_path, FLEET.format(port=0, url=webhook.url, kinds='"stuck"'))
    with FleetProcess(home, file) as fleet:
        fleet.until(lambda status: bool(status["running"] >= 6))
        time.sleep(1.0)  # the stubborn one has its first trade
        assert fleet.ctl("shutdown").returncode == 0
        assert fleet.wait() == 1
    assert webhook.titles() == {"loud STUBBORNUSDT: stuck": 1}


def test_a_service_that_never_answers_keeps_no_fleet(tmp_path: Path, home: Path) -> None:
    """Two addresses that drip for ever: a message is on its way, and SIGTERM ends the fleet."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"127.0.0.1:{server.getsockname()[1]}"

        def drip() -> None:
            connections = []
            while True:
                try:
                    connections.append(server.accept()[0])
                    threading.Thread(target=feed, args=connections[-1:], daemon=True).start()
                except OSError:
                    return

        def feed(connection: socket.socket) -> None:
            with connection:
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\n")
                    for _ in range(60):
                        time.sleep(1.0)
                        connection.sendall(b"X")
                except OSError:
                    return

        threading.Thread(target=drip, daemon=True).start()
        text = FLEET.format(port=0, url=f'json://{host}/a", "json://{host}/b', kinds='"halted"')
        text = text.replace("own_alerts:Stubborn", "own_alerts:Idle")
        text = text.replace("own_alerts:Sleeper", "own_alerts:Idle")
        with FleetProcess(home, write(tmp_path, text)) as fleet:
            fleet.until(all_running)
            assert fleet.ctl("halt").returncode == 0
            time.sleep(0.5)
            begun = time.monotonic()
            fleet.send(signal.SIGTERM)
            assert fleet.wait() == 0
            assert time.monotonic() - begun < 8.0


def test_the_test_command(tmp_path: Path, home: Path, webhook: Webhook) -> None:
    """`levi alerts test` sends one message to each address and says which one did not take it."""
    fleet = FleetProcess(home, write(tmp_path, ""))

    def test(urls: str) -> "subprocess.CompletedProcess[str]":
        fleet.file.write_text(
            f'[fleet]\nname = "loud"\n[simulator]\n[alerts]\nurls = [{urls}]\n[engines.BTCUSDT]\n'
        )
        return subprocess.run(
            [*LEVI, "alerts", "test", str(fleet.file)],
            env=fleet.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    fine = test(f'"{webhook.url}/a", "{webhook.url}/b"')
    assert (fine.returncode, fine.stderr) == (0, "")
    assert fine.stdout == "address number 1: sent\naddress number 2: sent\n"
    assert webhook.got == [("loud: test", "This is a test of the alerts of this fleet.")] * 2
    half = test(f'"json://127.0.0.1:{free_port()}/token-of-mine", "{webhook.url}"')
    assert half.returncode == 1
    assert half.stderr == "Error: address number 1: the service did not take it\n"
    assert half.stdout == "address number 2: sent\n"
    unknown = test('"nosuch://token-of-mine"')
    assert unknown.returncode == 2
    assert "apprise does not know address number 1" in unknown.stderr
    run = fleet.start()
    assert run.wait() == 2
    assert "apprise does not know address number 1" in run.output
    for said in (half.stderr, unknown.stderr, run.output):
        assert "token-of-mine" not in said
        assert "Traceback" not in said
