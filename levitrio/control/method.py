"""One method of the control socket: params, handler, and how it may be run."""

from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from levitrio.control.fleet_interface import FleetApi, Peer
from levitrio.control.params import Params
from levitrio.control.selection import select

Result = object
"""Plain data, or bytes that are already JSON."""


@attrs.frozen(kw_only=True)
class Request:
    """A call of one method, as its handler gets it."""

    fleet: FleetApi
    peer: Peer
    params: Any
    """An instance of the method's params class."""

    def selected(self) -> list[str]:
        """The symbols that the params select.

        Raises:
            ControlError: They select no engine.
        """
        return select(self.params.symbols, self.fleet.symbols(), all_of_them=self.params.all)


@attrs.frozen(kw_only=True)
class Method:
    """One row of the method table. Exactly one of `answer` and `carry_out` is set."""

    summary: str
    params: type[Params] = Params
    answer: Callable[[Request], Result] | None = None
    """Synchronous handler."""
    carry_out: Callable[[Request], Awaitable[Result]] | None = None
    """Asynchronous handler."""
    in_line: bool = False
    """`carry_out` is short: it runs in the reading task, before the connection's next line."""
    finish: Callable[[Request, Any], Awaitable[Result]] | None = None
    """Turns what `carry_out` returned into the answer; cancelled when the client disconnects."""
    changes: bool = False
    """Changes the fleet: journaled with its peer, and never cancelled once begun."""
    urgent: bool = False
    """Accepted even at the connection limit."""
