"""The table of the control socket's methods, and their handlers.

A row names the params of a method and its handler. Methods that change the fleet are marked so:
once begun they run to their end, even if the client disconnects.
"""

import functools
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs
import msgspec

from levitrio.control import error_codes
from levitrio.control.answers import METRICS_TYPE, History
from levitrio.control.fleet_interface import CommandResult, Verb
from levitrio.control.method import Method, Request, Result
from levitrio.control.params import (
    CommandParams,
    EventsParams,
    HaltParams,
    HistoryParams,
    Params,
    ReloadParams,
    Selection,
    ShutdownParams,
    StatusParams,
)
from levitrio.control.protocol import printable
from levitrio.control.selection import UnknownSymbol, select
from levitrio.errors import ControlError


def ping(request: Request) -> Result:
    """Name and process of the fleet."""
    return {"fleet": request.fleet.name, "pid": os.getpid()}


async def status(request: Request) -> Result:
    """The status document, whole, of some engines, or without engines."""
    params: StatusParams = request.params
    symbols = None
    if params.symbols:
        symbols = select(params.symbols, request.fleet.symbols(), all_of_them=False)
    if params.summary:
        return request.fleet.summary()
    return await request.fleet.status(symbols)


def _command(verb: Verb) -> Callable[[Request], Awaitable[Result]]:
    async def carry_out(request: Request) -> Result:
        return await request.fleet.command(verb, request.selected(), request.peer)

    return carry_out


async def finish_command(request: Request, results: Sequence[CommandResult]) -> Result:
    """Wait if asked to, then report each engine; an error only when every engine refused."""
    params: CommandParams = request.params
    obeyed = [result.symbol for result in results if result.ok]
    late: Sequence[str] = ()
    if params.wait and obeyed:
        late = await request.fleet.wait_as_wanted(obeyed, params.timeout)
    return _summarize(results, late)


async def finish_flatten(_: Request, results: Sequence[CommandResult]) -> Result:
    """Report each engine; an error only when every engine refused."""
    return _summarize(results, ())


def _summarize(results: Sequence[CommandResult], late: Sequence[str]) -> Result:
    refused = [result for result in results if not result.ok]
    plain = [attrs.asdict(result) for result in results]
    if refused and len(refused) == len(results):
        first = refused[0]
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        reason = first.reason or first.status
        raise CommandRefused(f"{first.symbol} is refused: {reason}{more}", first.hint, plain)
    return {"ok": not refused and not late, "results": plain, "not_as_wanted": list(late)}


class CommandRefused(ControlError):
    """Every engine refused the command; `results` holds the reason of each."""

    def __init__(self, message: str, hint: str, results: list[dict[str, Any]]) -> None:
        super().__init__(error_codes.REFUSED, message, hint)
        self.results = results


async def reload(request: Request) -> Result:
    """Read fleet.toml again and apply what changed."""
    params: ReloadParams = request.params
    if params.flatten and params.keep_position:
        raise ControlError(
            error_codes.INVALID_PARAMS, "flatten and keep_position exclude each other"
        )
    return await request.fleet.reload(
        dry_run=params.dry_run,
        flatten=params.flatten,
        keep_position=params.keep_position,
        peer=request.peer,
    )


async def history(request: Request) -> Result:
    """The newest incidents of one engine."""
    params: HistoryParams = request.params
    symbols = select([params.symbol], request.fleet.symbols(), all_of_them=False)
    if len(symbols) != 1:
        raise ControlError(error_codes.INVALID_PARAMS, f"symbol: expected one, got {len(symbols)}")
    incidents = await request.fleet.history(symbols[0], params.limit)
    found: History = {"symbol": symbols[0], "incidents": list(incidents)}
    return found


def events(request: Request) -> Result:
    """The events that are there now; the session sends later ones, if it follows."""
    params: EventsParams = request.params
    return attrs.asdict(request.fleet.events(params.since, params.limit))


async def metrics(request: Request) -> Result:
    """The Prometheus text and its content type."""
    return {"content_type": METRICS_TYPE, "text": await request.fleet.metrics()}


async def halt(request: Request) -> Result:
    """Halt trading; the answer is the trading state."""
    return await request.fleet.halt(printable(request.params.reason, 500), request.peer)


async def unhalt(request: Request) -> Result:
    """End a halt; the answer is the trading state."""
    return await request.fleet.unhalt(request.peer)


async def flatten(request: Request) -> Result:
    """Begin to close the positions of engines."""
    return await request.fleet.flatten(request.selected(), request.peer)


async def shutdown(request: Request) -> Result:
    """Begin to end the fleet."""
    await request.fleet.shutdown(request.params.grace, request.peer)
    return {"ok": True, "pid": os.getpid()}


def _discover(_: Request) -> Result:
    return discover()


def _verb(verb: Verb, summary: str, *, urgent: bool = False) -> Method:
    return Method(
        summary=summary,
        params=CommandParams,
        carry_out=_command(verb),
        finish=finish_command,
        changes=True,
        urgent=urgent,
    )


METHODS: Mapping[str, Method] = {
    "ping": Method(summary="The fleet's name and process.", answer=ping),
    "status": Method(
        summary="The status document.", params=StatusParams, carry_out=status, in_line=True
    ),
    "start": _verb("start", "Want engines running; refused when failed."),
    "stop": _verb("stop", "Stop engines: orders cancelled, positions kept.", urgent=True),
    "restart": _verb("restart", "A new incarnation; refused when failed."),
    "pause": _verb("pause", "Engines keep reading data and open nothing new."),
    "resume": _verb("resume", "Undo a pause."),
    "reset": _verb("reset", "Forget the crashes of failed engines and start them."),
    "reload": Method(
        summary="Read fleet.toml again.", params=ReloadParams, carry_out=reload, changes=True
    ),
    "history": Method(
        summary="Incidents of one engine, newest first.", params=HistoryParams, carry_out=history
    ),
    "events.subscribe": Method(
        summary="Events after `since`; with `follow`, then each as it happens.",
        params=EventsParams,
        answer=events,
    ),
    "risk": Method(
        summary="Trading state, limits and their use.",
        answer=lambda request: request.fleet.risk(),
    ),
    "halt": Method(
        summary="No new orders, open ones cancelled, until unhalt.",
        params=HaltParams,
        carry_out=halt,
        changes=True,
        urgent=True,
    ),
    "unhalt": Method(summary="Trade again.", carry_out=unhalt, changes=True),
    "flatten": Method(
        summary="Close the positions of engines.",
        params=Selection,
        carry_out=flatten,
        finish=finish_flatten,
        changes=True,
    ),
    "metrics": Method(
        summary="Prometheus text.",
        carry_out=metrics,
    ),
    "shutdown": Method(
        summary="End the fleet gracefully.",
        params=ShutdownParams,
        carry_out=shutdown,
        changes=True,
        urgent=True,
    ),
    "rpc.discover": Method(summary="This document.", answer=_discover),
}


@functools.cache
def discover() -> Result:
    """The OpenRPC document of `METHODS`."""
    from levitrio.control.openrpc import describe

    return describe(METHODS)


def convert_params(method: Method, params: Mapping[str, object]) -> Params:
    """Params as the method's type.

    Raises:
        ControlError: A field is unknown, missing, of the wrong type or out of bounds.
    """
    try:
        return msgspec.convert(params, method.params, strict=True)
    except msgspec.ValidationError as error:
        raise ControlError(error_codes.INVALID_PARAMS, printable(str(error), 300)) from None


def error_data(error: ControlError) -> dict[str, object]:
    """The `data` member of an error: hint, suggestions, or the results of each engine."""
    data: dict[str, object] = {}
    if error.hint:
        data["hint"] = error.hint
    if isinstance(error, UnknownSymbol):
        data["symbol"] = printable(error.symbol, 64)
        data["suggestions"] = list(error.suggestions)
    if isinstance(error, CommandRefused):
        data["results"] = error.results
    return data
