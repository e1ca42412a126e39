"""The params of every method, typed. An unknown name is refused, as is a number out of bounds."""

from typing import Annotated

import msgspec
from msgspec import Meta

Pattern = Annotated[str, Meta(min_length=1, max_length=64, description="a symbol or a glob")]
Patterns = Annotated[list[Pattern], Meta(max_length=10_000)]
Seconds = Annotated[float, Meta(ge=0, le=86_400, description="seconds")]


class Params(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a method without params takes."""


class StatusParams(Params, frozen=True):
    """No symbols: every engine."""

    symbols: Patterns = []
    summary: bool = False
    """Leave `engines` out: the counters and the money of the fleet alone."""


class Selection(Params, frozen=True):
    """Which engines; `symbols` and `all` exclude each other."""

    symbols: Patterns = []
    all: bool = False


class CommandParams(Selection, frozen=True):
    """A command to some engines."""

    wait: bool = False
    """Answer when they are as wanted, or when `timeout` has passed."""
    timeout: Seconds = 30.0


class ReloadParams(Params, frozen=True):
    """`flatten` and `keep_position` say what to do with an engine that holds a position."""

    dry_run: bool = False
    flatten: bool = False
    keep_position: bool = False


class HistoryParams(Params, frozen=True):
    """One engine's incidents."""

    symbol: Pattern
    limit: Annotated[int, Meta(ge=1, le=1000)] = 20


class EventsParams(Params, frozen=True):
    """`since` absent: the newest ones. `follow`: keep sending notifications named `event`."""

    since: Annotated[int, Meta(ge=0)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    follow: bool = False


class HaltParams(Params, frozen=True):
    """Why, for the journal and for whoever reads the status tomorrow."""

    reason: Annotated[str, Meta(max_length=500)] = ""


class ShutdownParams(Params, frozen=True):
    """`grace` absent: what fleet.toml says."""

    grace: Annotated[float, Meta(ge=0, le=3600)] | None = None
