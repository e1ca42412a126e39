"""The protocol of a running fleet, as the control server calls it; `app` implements it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Protocol

import attrs

from levitrio.control.answers import Incident, RiskStatus, TradingAnswer
from levitrio.control.status_document import FleetSummary

Verb = Literal["start", "stop", "restart", "pause", "resume", "reset"]


@attrs.frozen(kw_only=True)
class Peer:
    """The process that sent a request, as the kernel reports it; journaled with every command."""

    pid: int
    uid: int


@attrs.frozen(kw_only=True)
class CommandResult:
    """The outcome of one command for one engine."""

    symbol: str
    ok: bool
    """False: refused in this state, nothing changed."""
    status: str
    """The action done (`restarted`), or the state that forbids it (`failed`)."""
    reason: str = ""
    hint: str = ""
    """The command to type next; may be empty."""


@attrs.frozen(kw_only=True)
class EventBatch:
    """Consecutive events of the event log."""

    events: Sequence[Mapping[str, Any]]
    """Oldest first; each has its `seq`."""
    next_since: int
    """`since` of the next request: the `seq` of the last event returned or skipped."""
    missed: int = 0
    """Events between `since` and the first one here that are no longer kept."""


class FleetApi(Protocol):
    """A running fleet.

    Symbols arrive normalised and known. A method raises `ControlError` to refuse with a code of
    its own; any other exception is answered as an internal error. Methods that change something
    journal the peer first; once begun they are not cancelled when their client disconnects.
    """

    @property
    def name(self) -> str:
        """The name in fleet.toml."""

    def symbols(self) -> Collection[str]:
        """Every symbol of the fleet; cheap."""

    async def status(self, symbols: Sequence[str] | None) -> bytes:
        """The status document (`FleetStatus`) as JSON, of all engines or of these.

        It is at most a quarter of a second old, and never older than the last state change.
        """

    def summary(self) -> FleetSummary:
        """The status document without its engines, as it is now."""

    async def command(
        self, verb: Verb, symbols: Sequence[str], peer: Peer
    ) -> Sequence[CommandResult]:
        """Command engines; returns once the wanted states are durable, one result per symbol."""

    async def wait_as_wanted(self, symbols: Sequence[str], timeout: float) -> Sequence[str]:
        """Wait until engines are as wanted; returns those that are not after `timeout` seconds."""

    async def reload(
        self, *, dry_run: bool, flatten: bool, keep_position: bool, peer: Peer
    ) -> Mapping[str, Any]:
        """Read fleet.toml again; returns what was added, removed and changed."""

    def risk(self) -> RiskStatus:
        """The trading state, the limits, and how much of them is used."""

    async def halt(self, reason: str, peer: Peer) -> TradingAnswer:
        """Halt trading; returns once no new order can leave and the halt is durable."""

    async def unhalt(self, peer: Peer) -> TradingAnswer:
        """Return the trading state to `active`."""

    async def flatten(self, symbols: Sequence[str], peer: Peer) -> Sequence[CommandResult]:
        """Begin to close the positions of these engines."""

    async def history(self, symbol: str, limit: int) -> Sequence[Incident]:
        """At most `limit` incidents, newest first."""

    def events(self, since: int | None, limit: int) -> EventBatch:
        """At most `limit` events after `since`; None: the newest ones."""

    async def wait_event(self, since: int) -> None:
        """Return as soon as there is an event after `since`."""

    async def metrics(self) -> str:
        """Prometheus text."""

    async def shutdown(self, grace: float | None, peer: Peer) -> None:
        """Ask the process to end; returns at once."""
