"""The protocol of a running fleet for the page and the REST calls; extends `FleetApi`."""

from typing import Protocol

from levitrio.control.answers import EquityCurve, LoopLateness, PriceCurve
from levitrio.control.fleet_interface import FleetApi
from levitrio.control.status_document import EngineStatus


class WebFleetApi(FleetApi, Protocol):
    """A running fleet, as the HTTP server calls it; `app` implements it."""

    def row(self, symbol: str) -> EngineStatus:
        """One engine's row of the status document, as it is now; the symbol is known."""

    async def scrape(self) -> bytes:
        """Prometheus text; raises ControlError where the renderer is not installed."""

    def equity_curve(self) -> EquityCurve:
        """Equity and drawdown since the fleet started."""

    def price_curve(self, symbol: str) -> PriceCurve:
        """The recent price of a symbol, with the fills of this run."""

    def lateness(self) -> LoopLateness:
        """How late the loop woke so far."""

    def readiness(self) -> str:
        """Empty when the fleet is up; else the part it still waits for."""

    def report(self, kind: str, text: str) -> None:
        """Add one event to the event log."""
