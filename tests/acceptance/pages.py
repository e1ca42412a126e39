"""A real fleet with its page, for tests from outside."""

import http.client
import json
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import attrs

from tests.e2e.process import FleetProcess
from tests.paths import ROOT

PATIENCE = 40.0

EXAMPLE = (ROOT / "config" / "fleet.toml").read_text()

OWN = """
from pathlib import Path
from levitrio.strategies import Strategy

class OnCall(Strategy):
    def __init__(self, symbol):
        self.order = Path(__file__).with_name(f"crash-{symbol}")
    def on_trade(self, trade):
        if self.order.exists():
            self.order.unlink()
            raise RuntimeError("<img src=x onerror=alert(1)> crashed on call")
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@attrs.define(eq=False)
class PageFleet:
    """`levi run` with `[http]`; a `with` block starts and ends it."""

    home: Path
    folder: Path
    text: str
    port: int = attrs.field(factory=free_port)
    token: str = attrs.field(factory=lambda: secrets.token_hex(16))

    process: FleetProcess = attrs.field(init=False)

    def __enter__(self) -> Self:
        (self.folder / "own_pages.py").write_text(OWN)
        token_file = self.folder / "token"
        token_file.write_text(self.token)
        token_file.chmod(0o600)
        head = f'[http]\nbind = "127.0.0.1:{self.port}"\ntoken_file = "token"\n'
        file = self.folder / "fleet.toml"
        file.write_text(self.text.replace('data_dir = "../data"', 'data_dir = "data"') + head)
        self.process = FleetProcess(self.home, file).start()
        self.until(lambda: self.get("/readyz")[0] == 200)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body; 0 while the port is closed."""
        return self.ask("GET", path)

    def ask(self, method: str, path: str, **headers: str) -> tuple[int, bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=named)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def json(self, path: str) -> Any:
        return json.loads(self.get(path)[1])

    def crash(self, symbol: str) -> None:
        """Make an engine crash on its next trade; its strategy is `own_pages:OnCall`."""
        (self.folder / f"crash-{symbol}").touch()

    def until(self, condition: Callable[[], bool]) -> None:
        """Poll; fails with what the fleet wrote."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.process.output[-3000:]
            time.sleep(0.05)


def thousand(engines: int = 1000, *, speed: float = 1.0) -> str:
    """A fleet.toml with as many engines, on the built-in simulator."""
    tables = "".join(f"[engines.S{number:04}USDT]\n" for number in range(engines))
    simulator = f"[simulator]\nspeed = {speed}\n"
    return f'[fleet]\nname = "thousand"\n{simulator}[defaults]\nsignals_only = true\n{tables}'
