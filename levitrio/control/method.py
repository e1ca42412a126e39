"""The shape of one method of the control socket: its params, its handler, its marks."""

from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from levitrio.control.fleet_interface import FleetApi, Peer
from levitrio.control.params import Params
from levitrio.control.selection import select

Result = object
"""Plain data, or bytes that are JSON already."""


@attrs.frozen(kw_only=True)
class Request:
    """What a handler gets."""

    fleet: FleetApi
    peer: Peer
    params: Any
    """An instance of the method's params class."""

    def selected(self) -> list[str]:
        """The engines that are meant; refuses when there are none."""
        return select(self.params.symbols, self.fleet.symbols(), all_of_them=self.params.all)


@attrs.frozen(kw_only=True)
class Method:
    """One row of the table."""

    summary: str
    params: type[Params] = Params
    answer: Callable[[Request], Result] | None = None
    """Answers without blocking."""
    carry_out: Callable[[Request], Awaitable[Result]] | None = None
    """Answers later."""
    in_line: bool = False
    """Later is soon: the next line of the connection waits, which spares a task."""
    finish: Callable[[Request, Any], Awaitable[Result]] | None = None
    """Makes the answer of what `carry_out` returned. Ends with the client, changes nothing."""
    changes: bool = False
    """It changes something: journaled with its peer, and never cancelled half way."""
    urgent: bool = False
    """Let in when the house is full."""
