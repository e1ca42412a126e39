"""What the page and the REST calls ask of a fleet, beyond what the control socket asks."""

from typing import Protocol

from levitrio.control.answers import EquityCurve, LoopLateness, PriceCurve
from levitrio.control.fleet_interface import FleetApi
from levitrio.control.status_document import EngineStatus


class WebFleetApi(FleetApi, Protocol):
    """A running fleet as seen from a browser. The composition root implements it."""

    def row(self, symbol: str) -> EngineStatus:
        """One engine's part of the status document, as it is now. The symbol is known."""

    async def scrape(self) -> bytes:
        """Prometheus text. Raises ControlError where it cannot be rendered."""

    def equity_curve(self) -> EquityCurve:
        """`time` (market ms), `equity`, `drawdown`: lists of one length, oldest first."""

    def price_curve(self, symbol: str) -> PriceCurve:
        """`time`, `price`: lists of one length; `fills` of this run, to be drawn on them."""

    def lateness(self) -> LoopLateness:
        """`looks` at how late the loop woke so far, and at how many it was `over_10_ms`."""

    def readiness(self) -> str:
        """Empty when the fleet is up; else what it still waits for, in words."""

    def report(self, kind: str, text: str) -> None:
        """One line of the event log."""
