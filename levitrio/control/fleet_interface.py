"""What the control server asks of a fleet. The composition root implements it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Protocol

import attrs

from levitrio.control.answers import Incident, RiskStatus, TradingAnswer
from levitrio.control.status_document import FleetSummary

Verb = Literal["start", "stop", "restart", "pause", "resume", "reset"]


@attrs.frozen(kw_only=True)
class Peer:
    """Who sent a request, as the kernel says. Journaled with every command before it is obeyed."""

    pid: int
    uid: int


@attrs.frozen(kw_only=True)
class CommandResult:
    """What became of one command for one engine."""

    symbol: str
    ok: bool
    """False: refused in this state, nothing changed."""
    status: str
    """What was done (`restarted`), or the state that forbids it (`failed`)."""
    reason: str = ""
    hint: str = ""
    """The next command to type; may be empty."""


@attrs.frozen(kw_only=True)
class EventBatch:
    """A piece of the event log."""

    events: Sequence[Mapping[str, Any]]
    """Oldest first; each has its `seq`."""
    next_since: int
    """What to ask for next; the `seq` of the last event that was handed out or skipped."""
    missed: int = 0
    """How many between `since` and the first one here are no longer kept."""


class FleetApi(Protocol):
    """A running fleet as the control plane sees it.

    Symbols arrive normalised and known. A method may raise `ControlError` to refuse with a
    code of its own; whatever else it raises is answered as an internal error and costs
    nobody else anything. Methods that change something journal the peer first, and once begun
    they are not cancelled because their client went away.
    """

    @property
    def name(self) -> str:
        """The name in fleet.toml."""

    def symbols(self) -> Collection[str]:
        """Every symbol of the fleet, cheap."""

    async def status(self, symbols: Sequence[str] | None) -> bytes:
        """The status document of contracts.md as JSON, of all engines or of these.

        It may be a quarter of a second old, and is never older than the last change of a state.
        """

    def summary(self) -> FleetSummary:
        """The status document without its engines, as it is now."""

    async def command(
        self, verb: Verb, symbols: Sequence[str], peer: Peer
    ) -> Sequence[CommandResult]:
        """Returns once the new wanted states are durable, one result per symbol."""

    async def wait_as_wanted(self, symbols: Sequence[str], timeout: float) -> Sequence[str]:
        """Those that are not as wanted after at most `timeout` seconds."""

    async def reload(
        self, *, dry_run: bool, flatten: bool, keep_position: bool, peer: Peer
    ) -> Mapping[str, Any]:
        """Read fleet.toml again; what was added, removed, changed."""

    def risk(self) -> RiskStatus:
        """Trading state, limits and how much of them is used."""

    async def halt(self, reason: str, peer: Peer) -> TradingAnswer:
        """Returns once no new order can leave and the halt is durable."""

    async def unhalt(self, peer: Peer) -> TradingAnswer:
        """Back to `active`."""

    async def flatten(self, symbols: Sequence[str], peer: Peer) -> Sequence[CommandResult]:
        """Send the orders that close these positions."""

    async def history(self, symbol: str, limit: int) -> Sequence[Incident]:
        """At most `limit` incidents, newest first."""

    def events(self, since: int | None, limit: int) -> EventBatch:
        """At most `limit` events after `since`; None: the newest ones."""

    async def wait_event(self, since: int) -> None:
        """Return as soon as there is an event after `since`."""

    async def metrics(self) -> str:
        """Prometheus text."""

    async def shutdown(self, grace: float | None, peer: Peer) -> None:
        """Ask the process to end; returns at once, the process ends by itself."""
