"""Opens and runs the web page of a fleet as `[http]` says, if the extra `http` is installed."""

import socket
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

import attrs
import trio

from levitrio.app.operations import Operations
from levitrio.config.sections import HttpSection
from levitrio.control.answers import EquityCurve, LoopLateness, PriceCurve
from levitrio.control.status_document import EngineStatus
from levitrio.errors import UsageError
from levitrio.supervision.lifecycle import State

if TYPE_CHECKING:
    from levitrio.http.auth import AccessPolicy

_NEEDED = ("hypercorn", "starlette", "prometheus_client")


@attrs.define(eq=False, kw_only=True)
class WebOperations(Operations):
    """Implements the page's interface for one running fleet."""

    def row(self, symbol: str) -> EngineStatus:
        """One engine's row of the status document."""
        return self.assembly.status_document.row(symbol)

    async def scrape(self) -> bytes:
        """Prometheus text.

        Raises:
            ControlError: prometheus-client is not installed.
        """
        return await self.assembly.metrics_exporter.scrape()

    def equity_curve(self) -> EquityCurve:
        """Equity and drawdown over the whole run."""
        return self.assembly.telemetry.equity_curve()

    def price_curve(self, symbol: str) -> PriceCurve:
        """A symbol's recent price and its fills of this run."""
        return self.assembly.telemetry.price_curve(symbol)

    def lateness(self) -> LoopLateness:
        """How often the loop was measured, and how often it woke over 10 ms late."""
        histogram = self.assembly.telemetry.lateness
        looks = sum(histogram.counts)
        within = sum(histogram.counts[: histogram.bounds.index(0.01) + 1])
        return {"looks": looks, "over_10_ms": looks - within}

    def readiness(self) -> str:
        """Why the fleet is not ready to trade; empty when it is."""
        assembly = self.assembly
        if (trouble := assembly.journal.statistics().failed) is not None:
            return f"the journal is unusable: {trouble}"
        if assembly.venue.feed is None or not assembly.venue.feed.statistics().connections:
            return "no connection to the market yet"
        children = assembly.supervisor.children.values()
        late = [c.name for c in children if c.state is State.STARTING and c.incarnation <= 1]
        return f"engines are starting: {', '.join(late[:5])}" if late else ""

    def report(self, kind: str, text: str) -> None:
        """Emit an event of the page's server."""
        self.assembly.tell(kind, text)


@attrs.frozen(kw_only=True)
class Web:
    """The web server's listening socket and access policy; a `with` block closes the socket."""

    listener: socket.socket
    access: "AccessPolicy"

    @property
    def url(self) -> str:
        """The page's URL on this machine."""
        host, port = self.listener.getsockname()[:2]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    async def run(
        self,
        operations: WebOperations,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve the page until cancelled."""
        from levitrio.http.server import WebServer

        server = WebServer(fleet=operations, access=self.access)
        await server.run(self.listener, task_status=task_status)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()


def open_web(config: HttpSection) -> Web:
    """Bind the address and read the token file, before anything of the fleet is started.

    Raises:
        UsageError: The extra `http` is not installed, the address is in use, or the token file
            cannot be used.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(f"[http] needs {', '.join(missing)}: pip install 'levitrio[http]'")
    from levitrio.http.auth import read_token
    from levitrio.http.server import access_to, listen

    token = None if config.token_file is None else read_token(config.token_file)
    listener = listen(config.bind)
    return Web(listener=listener, access=access_to(listener, token))
