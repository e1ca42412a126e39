"""Every fault that there is, with a key in use: no byte of what it leaves behind shows the key.

The venue misbehaves in every way it knows, quotes our key back at us, and is asked with a wrong
one; engines crash with the key in their hands; the disk goes away; the process is killed. Then
everything is searched: files, the terminal, every answer, messages, what `ps` and /proc show.
"""

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs
import pytest

from levitrio.venues.simulator.exchange.faults import Faults
from tests.acceptance.pages import free_port
from tests.e2e.leaks import Canary, family_of, text_of_process
from tests.e2e.process import LEVI, FleetProcess
from tests.paths import ROOT

KEY = "CanaryK7hQ2mZp9XcV4bNw8RtY1uJs6LfD3gAe"
SECRET = "CanaryS3xW8vBn5KqT2yHj7MdR9pGc4ZuF6aLe"
WRONG = ("CanaryW5tGn2VxK8qLc4RmZ7yPd9HbJ3sFa", "CanaryN6vKe8TzB3wQx5MjU2rYh4CgL7pDs")
TOKEN = "CanaryT9mXq4WdV7zKr2HnB8sJg5LyC3fPe"

FAULTS: tuple[dict[str, Any], ...] = (
    {"disconnect_every": 0.4},
    {"cut_after": 1.0, "shutdown_notice": 0.5},
    {"stall": "btcusdt@trade"},
    {"gap_every": 5},
    {"duplicate_every": 3},
    {"garbage_every": 4},
    {"timeout_every": 2},
    {"late_every": 2, "late_by": 0.3},
    {"lost_reply_every": 2},
    {"events_first": True},
    {"coarser": 10},
    {"market_status": "HALT"},
    {"clock_skew_ms": 8_000},
    {"refuse": 500, "refuse_for": 1.0},
    {"refuse": 503, "refuse_for": 1.0},
    {"refuse": 504, "refuse_for": 1.0},
    {"refuse": 429, "refuse_for": 1.0},
    {"refuse": 418, "refuse_for": 1.0},
)

FAULT_SECONDS = 1.2

READING = (
    ("status",),
    ("status", "--json"),
    ("history", "ETHUSDT"),
    ("history", "ETHUSDT", "--json"),
    ("history", "BTCUSDT", "--json"),
    ("events", "--json", "--since", "0"),
    ("events", "--since", "0"),
    ("logs", "-n", "500"),
    ("logs", "BTCUSDT", "ETHUSDT", "-n", "500"),
    ("risk",),
    ("risk", "--json"),
    ("metrics",),
    ("reload", "--dry-run", "--json"),
    ("status", "NOSUCH"),
)

PAGES = ("/engines/status", "/risk", "/metrics", "/healthz", "/readyz", "/openapi.json", "/", "/no")

OWN = """
import json
from pathlib import Path
from levitrio.strategies import Signal, Strategy

SECRETS = json.loads(Path({secrets!r}).read_text())

class Flip(Strategy):
    def __init__(self, symbol):
        self.count = 0
    def on_trade(self, trade):
        self.count += 1
        return Signal(side="long" if self.count % 4 < 2 else "flat")

class Odd(Exception):
    def __repr__(self):
        return " ".join(SECRETS)
    __str__ = __repr__

class Thief(Strategy):
    born = 0
    def __init__(self, symbol):
        Thief.born += 1
    def on_trade(self, trade):
        # Behind ever more characters: cutting a text must not leave a half of it.
        text = "x" * (Thief.born * 97 % 2100) + " ".join(SECRETS)
        match Thief.born % 8:
            case 0:
                raise RuntimeError(text)
            case 1:
                raise KeyError(text)
            case 2:
                raise BaseExceptionGroup(text, [ValueError(text), Odd()])
            case 3:
                raise SystemExit(text)
            case 4:
                try:
                    raise ValueError(text)
                except ValueError as error:
                    error.add_note(text)
                    raise Odd() from error
            case 5:
                return Signal(side=text)
            case 6:
                return {{text: SECRETS}}
            case 7:
                exec(compile("raise RuntimeError", text, "exec"))
"""

FLEET = """
[fleet]
name = "canary"
grace = 2.0
[feed]
kind = "{kind}"
{feed_url}
stale_after = 1.0
[broker]
kind = "{kind}"
key_file = "{key_file}"
{broker_url}
[risk]
max_daily_loss = 1.0
max_drawdown = 1.0
max_orders_per_minute = 100000
[recovery]
max_restarts = 60
backoff_base = 0.2
backoff_factor = 1.0
jitter = 0.0
[http]
bind = "127.0.0.1:{http}"
token_file = "{token_file}"
[engines.BTCUSDT]
strategy = "own_canary:Flip"
[engines.SOLUSDT]
strategy = "own_canary:Flip"
[engines.ETHUSDT]
strategy = "own_canary:Thief"
"""

INSIDE = """
[simulator]
seed = 7
speed = 20.0
port = {port}
"""

ALERTS = """
[alerts]
urls = ["json://127.0.0.1:{port}"]
on = ["failed", "halted", "stuck", "stale", "blocked", "journal", "summary"]
"""


@attrs.define(eq=False, kw_only=True)
class Scene:
    """A fleet, its venue, and everything that was seen of them."""

    fleet: FleetProcess
    venue: str
    """HTTP address."""
    http: int
    seen: dict[str, bytes] = attrs.field(factory=dict)

    def look(self) -> None:
        """Ask everything that can be asked, and read what everybody may read."""
        for words in READING:
            answer = self.fleet.ctl(*words)
            self._see(" ".join(words), (answer.stdout + answer.stderr).encode())
        for page in PAGES:
            for token in ("", TOKEN, WRONG[0]):
                self._see(f"GET {page}", ask(self.http, "GET", page, token))
        for token in ("", TOKEN, WRONG[0]):
            self._see("POST", ask(self.http, "POST", "/engines/restart/SOLUSDT", token))
        assert self.fleet.process is not None
        for pid in family_of(self.fleet.process.pid):
            for name, content in text_of_process(pid).items():
                self._see(name, content)
        shown = subprocess.run(["ps", "axeww"], capture_output=True, check=False)
        self._see("ps", shown.stdout)

    def suffer(self, fault: dict[str, Any]) -> None:
        """One fault of the venue for a while."""
        change(self.venue, "POST", json.dumps(fault))
        time.sleep(FAULT_SECONDS)
        change(self.venue, "DELETE", "")

    def _see(self, what: str, content: bytes) -> None:
        self.seen[f"{len(self.seen)}: {what}"] = content


def ask(port: int, verb: str, path: str, token: str) -> bytes:
    """The answer of the page, heads included; empty when it cannot be had."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(verb, path, body="{}" if verb == "POST" else None, headers=headers)
        answer = connection.getresponse()
        return str(answer.headers).encode() + answer.read()
    except OSError:
        return b""
    finally:
        connection.close()


def change(venue: str, verb: str, body: str) -> None:
    """Other faults of the venue from now on."""
    connection = http.client.HTTPConnection(venue, timeout=5)
    connection.request(verb, "/sim/faults", body=body)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    connection.close()


@contextmanager
def webhook() -> Iterator[tuple[int, list[bytes]]]:
    """A port that takes messages, and the messages."""
    got: list[bytes] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(str(self.headers).encode())
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, got
        server.shutdown()


@contextmanager
def odd_venue(file: Path, oddity: str) -> Iterator[str]:
    """A venue in a process of its own; gives its ws:// address."""
    command = [sys.executable, "-m", "tests.acceptance.odd_venue", str(file), oddity]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as venue:
        assert venue.stdout is not None
        try:
            yield venue.stdout.readline().strip()
        finally:
            venue.kill()


def private(file: Path, text: str, mode: int = 0o600) -> Path:
    file.write_text(text)
    file.chmod(mode)
    return file


def ed25519() -> tuple[str, str]:
    """A new key: the private and the public half as PEM."""
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    asymmetric = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    key = asymmetric.Ed25519PrivateKey.generate()
    pem, own = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    private_half = key.private_bytes(pem, own, serialization.NoEncryption())
    return private_half.decode(), public.decode()


def make_fleet(
    home: Path, folder: Path, vault: Path, words: dict[str, Any], more: str, *arguments: str
) -> FleetProcess:
    """A fleet that runs in `folder`; what it must keep to itself lies in `vault`."""
    (folder / "own_canary.py").write_text(OWN.format(secrets=str(vault / "secrets.json")))
    file = folder / "fleet.toml"
    file.write_text(FLEET.format(**words) + more)
    return FleetProcess(home, file, arguments)


def bad_keys(scene: Scene, vault: Path) -> None:
    """Key files that cannot be used: the complaint quotes nothing of them."""
    text = scene.fleet.file.read_text()
    for number, (content, mode) in enumerate(
        (
            (f"{KEY}\n{SECRET}\n", 0o644),
            (f"{KEY} {SECRET}\n", 0o600),
            (f"{KEY}\n{SECRET}!\n", 0o600),
            (f"api_key={KEY}\napi_key={SECRET}\n", 0o600),
            (f"{KEY}\r\n{SECRET}\r\n", 0o600),
            (f"{KEY}\n-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n", 0o600),
        )
    ):
        bad = private(vault / f"bad-{number}.key", content, mode)
        lines = [f'key_file = "{bad}"' if "key_file" in it else it for it in text.splitlines()]
        file = scene.fleet.file.with_name(f"bad-{number}.toml")
        file.write_text("\n".join(lines).replace('"canary"', '"bad"\ndata_dir = "bad"'))
        for verb in ("check", "run"):
            words = [*LEVI, verb, str(file)] + (list(scene.fleet.arguments) * (verb == "run"))
            environ = scene.fleet.environ
            done = subprocess.run(words, env=environ, capture_output=True, timeout=30, check=False)
            assert verb == "check" or done.returncode != 0
            scene.seen[f"bad key {number} {verb}"] = done.stdout + done.stderr


def trouble(scene: Scene) -> None:
    """The disk goes away and comes back; killed, and started again; halted and let go."""
    fleet, data = scene.fleet, scene.fleet.file.with_name("data")
    data.rename(data.with_name("gone"))
    time.sleep(FAULT_SECONDS)
    scene.look()
    data.with_name("gone").rename(data)
    fleet.until(lambda status: "journal_recovered" in fleet.output)
    for _ in range(2):
        fleet.send(signal.SIGKILL)
        fleet.wait()
        fleet.start()
        fleet.until(lambda status: status["running"] >= 2)
    assert fleet.ctl("halt", "--reason", "a look").returncode == 0
    assert fleet.ctl("unhalt").returncode == 0
    fleet.ctl("stop", "SOLUSDT")
    fleet.ctl("start", "SOLUSDT")
    fleet.send(signal.SIGHUP)


def wrong_key(scene: Scene, key_file: Path) -> None:
    """The venue does not know the key; what it says about that is told, and halts."""
    right = key_file.read_text()
    private(key_file, "\n".join(WRONG))
    text = scene.fleet.file.read_text()
    file = scene.fleet.file.with_name("wrong.toml")
    file.write_text(text.replace('"canary"', '"wrong"\ndata_dir = "wrong"'))
    other = FleetProcess(scene.fleet.home, file, scene.fleet.arguments)
    with other:
        other.until(lambda status: status["trading_state"] == "halted")
        other.send(signal.SIGTERM)
        other.wait()
    private(key_file, right)


@pytest.mark.parametrize("kind", ["inside", "hmac", "ed25519"])
def test_no_key_is_left_behind(tmp_path: Path, home: Path, kind: str) -> None:
    """Ours, our secret, a wrong one, the page's token: in no file and in no answer."""
    vault, folder = tmp_path / "vault", tmp_path / "run"
    vault.mkdir(mode=0o700)
    folder.mkdir(mode=0o700)
    secret, verifier = ed25519() if kind == "ed25519" else (SECRET, SECRET)
    shown = secret.splitlines()[1] if kind == "ed25519" else secret
    # Every Ed25519 key begins with the same sixteen bytes; they are no secret.
    canary = Canary(KEY, shown[22:] if kind == "ed25519" else shown, *WRONG, TOKEN)
    (vault / "secrets.json").write_text(json.dumps([KEY, shown]))
    quoted = (json.dumps(each) for each in (KEY, verifier, shown))
    venue_file = private(vault / "venue", "\n".join(quoted))
    key_file = private(vault / "canary.key", f"{KEY}\n{secret}")
    words: dict[str, Any] = {
        "kind": "simulator" if kind == "inside" else "binance",
        "key_file": key_file,
        "token_file": private(vault / "token", TOKEN),
        "http": free_port(),
        "feed_url": "",
        "broker_url": "",
    }
    with webhook() as (hook, messages), odd_venue(venue_file, "echoes") as url:
        more = ALERTS.format(port=hook) if find_spec("apprise") else ""
        arguments: tuple[str, ...] = ()
        if kind == "inside":
            port = free_port()
            more += INSIDE.format(port=port)
            venue = f"127.0.0.1:{port}"
        else:
            words["feed_url"] = f'url = "{url}"'
            words["broker_url"] = f'url = "{url}/ws-api/v3"'
            arguments = ("--live", "--log-format", "json")
            venue = url.removeprefix("ws://")
        fleet = make_fleet(home, folder, vault, words, more, *arguments)
        scene = Scene(fleet=fleet, venue=venue, http=words["http"])
        with fleet:
            fleet.until(lambda status: sum(it["trade_count"] for it in status["engines"]) > 2)
            for fault in FAULTS:
                scene.suffer(fault)
            scene.look()
            trouble(scene)
            for fault in FAULTS[-6:]:
                scene.suffer(fault)
            scene.look()
            fleet.send(signal.SIGTERM)
            assert fleet.wait() == 0, fleet.output[-2000:]
        if kind != "inside":
            wrong_key(scene, key_file)
        bad_keys(scene, vault)
    exported = [*LEVI, "journal", "export", str(folder / "data" / "journal.db"), "--out"]
    done = subprocess.run(
        [*exported, str(folder / "exported")], env=fleet.environ, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    scene.seen["export"] = done.stdout + done.stderr
    scene.seen |= {f"message {n}": text for n, text in enumerate(messages)}
    events = fleet.output
    assert "journal_trouble" in events
    assert "crashed" in events
    assert kind == "inside" or "***" in events, "the venue's echo was not seen at all"
    assert not find_spec("apprise") or messages
    for file in canary.leaks_in(folder, home):
        scene.seen[file] = Path(file).read_bytes()
    leaks = {what: canary.excerpt(text) for what, text in scene.seen.items() if canary.is_in(text)}
    assert leaks == {}, json.dumps(leaks, indent=1)


def test_every_fault_is_made() -> None:
    """A fault that the simulator learns is made here as well."""
    made = {name for fault in FAULTS for name in fault}
    assert made == {field.name for field in attrs.fields(Faults)}
