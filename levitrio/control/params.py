"""The params of every method; unknown names and numbers out of bounds are refused."""

from typing import Annotated

import msgspec
from msgspec import Meta

Pattern = Annotated[str, Meta(min_length=1, max_length=64, description="a symbol or a glob")]
Patterns = Annotated[list[Pattern], Meta(max_length=10_000)]
Seconds = Annotated[float, Meta(ge=0, le=86_400, description="seconds")]


class Params(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """No params: the base of all others."""


class StatusParams(Params, frozen=True):
    """Which engines; no symbols means every engine."""

    symbols: Patterns = []
    summary: bool = False
    """Answer without `engines`: only the counters and the money of the fleet."""


class Selection(Params, frozen=True):
    """The engines a command is for; `symbols` and `all` exclude each other."""

    symbols: Patterns = []
    all: bool = False


class CommandParams(Selection, frozen=True):
    """A command to engines, and whether to wait for its effect."""

    wait: bool = False
    """Answer only when the engines are as wanted, or `timeout` has passed."""
    timeout: Seconds = 30.0


class ReloadParams(Params, frozen=True):
    """A reload; `flatten` and `keep_position` decide about removed engines with a position."""

    dry_run: bool = False
    flatten: bool = False
    keep_position: bool = False


class HistoryParams(Params, frozen=True):
    """One engine, and how many of its incidents."""

    symbol: Pattern
    limit: Annotated[int, Meta(ge=1, le=1000)] = 20


class EventsParams(Params, frozen=True):
    """Events after `since`, or the newest; with `follow`, notifications named `event` follow."""

    since: Annotated[int, Meta(ge=0)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    follow: bool = False


class HaltParams(Params, frozen=True):
    """The reason of a halt, kept in the journal and shown in the status."""

    reason: Annotated[str, Meta(max_length=500)] = ""


class ShutdownParams(Params, frozen=True):
    """The seconds of grace for engines; absent, the value of fleet.toml."""

    grace: Annotated[float, Meta(ge=0, le=3600)] | None = None
