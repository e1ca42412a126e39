"""`levi ctl`: the commands that an operator sends to a running fleet."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer

from levitrio.cli import completion, exit_codes, terminal
from levitrio.cli.formatting import describe_events, describe_incidents, describe_members
from levitrio.cli.help_examples import epilog
from levitrio.cli.log_reader import LogReader, describe
from levitrio.cli.numbers import finite
from levitrio.cli.status import expect_symbols, run_status
from levitrio.control.client import TIMEOUT, ControlClient, find_socket
from levitrio.errors import UsageError

WAIT_TIMEOUT = 30.0

Socket = Annotated[
    str | None, typer.Option("--socket", metavar="PATH", help="Control socket of the fleet.")
]
FleetName = Annotated[
    str | None,
    typer.Option(
        "--fleet",
        metavar="NAME",
        help="The fleet, when several run.",
        autocompletion=completion.fleets,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=0.0,
        max=86_400.0,
        metavar="S",
        help="Seconds to wait: for the answer or, with --wait, for the engines.",
        callback=finite,
    ),
]
Symbols = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SYMBOL|GLOB...",
        help="BTCUSDT, btc/usdt, 'SOL*'",
        show_default=False,
        autocompletion=completion.symbols,
    ),
]
Everything = Annotated[bool, typer.Option("--all", help="Every engine.")]
Wait = Annotated[bool, typer.Option("--wait", help="Return when the engines are as wanted.")]

_VERBS = {
    "start": "Start engines; refused when failed (see reset).",
    "stop": "Stop engines: their orders are cancelled, positions kept.",
    "restart": "Give engines a new incarnation; refused when failed (see reset).",
    "pause": "Let engines keep reading data and open nothing new.",
    "resume": "Undo a pause.",
    "reset": "Forget the crashes of failed engines and start them.",
}


@attrs.frozen
class Target:
    """The fleet named by options before the command."""

    socket: str | None
    fleet: str | None


def register(app: typer.Typer) -> None:
    """Add `ctl` and its commands."""
    ctl = typer.Typer(help="Talk to a running fleet.", epilog=epilog("ctl"), rich_markup_mode=None)
    ctl.callback()(_choose)
    ctl.command("status", epilog=epilog("ctl status"))(status)
    for verb, text in _VERBS.items():
        ctl.command(verb, help=text)(_make(verb))
    for command in (
        reload,
        history,
        events,
        logs,
        risk,
        halt,
        unhalt,
        flatten,
        metrics,
        shutdown,
        top,
    ):
        name = command.__name__
        ctl.command(name, epilog=epilog(f"ctl {name}"))(command)
    app.add_typer(ctl, name="ctl")


def _choose(context: typer.Context, socket: Socket = None, fleet: FleetName = None) -> None:
    """Talk to a running fleet."""
    context.obj = Target(socket, fleet)


def _connect(
    context: typer.Context, socket: str | None, fleet: str | None, timeout: float = TIMEOUT
) -> ControlClient:
    target: Target = context.obj
    return ControlClient(find_socket(socket or target.socket, fleet or target.fleet), timeout)


def status(
    context: typer.Context,
    symbols: Symbols = None,
    as_json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Repeat each second, until Ctrl-C.")
    ] = False,
    timeout: Timeout = None,
    socket: Socket = None,
    fleet: FleetName = None,
) -> int:
    """Show the engines; exit code 3 when one is not as wanted."""
    target: Target = context.obj
    return run_status(
        symbols or (),
        as_json=as_json,
        watch=watch,
        timeout=TIMEOUT if timeout is None else timeout,
        socket_path=socket or target.socket,
        fleet=fleet or target.fleet,
    )


def _make(verb: str) -> Callable[..., int]:
    def command(
        context: typer.Context,
        symbols: Symbols = None,
        everything: Everything = False,
        wait: Wait = False,
        timeout: Timeout = None,
        as_json: Json = False,
        socket: Socket = None,
        fleet: FleetName = None,
    ) -> int:
        _expect_engines(verb, symbols, everything=everything)
        patience = (WAIT_TIMEOUT if timeout is None else timeout) if wait else 0.0
        answer_within = TIMEOUT if wait or timeout is None else timeout
        params = {"symbols": symbols or [], "all": everything, "wait": wait, "timeout": patience}
        with _connect(context, socket, fleet, answer_within) as client:
            result = client.call(verb, params, extra=patience)
        return _conclude(result, as_json=as_json, verb=verb)

    return command


def reload(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change.")
    ] = False,
    flatten: Annotated[
        bool, typer.Option("--flatten", help="Close positions of removed engines.")
    ] = False,
    keep_position: Annotated[
        bool, typer.Option("--keep-position", help="Leave positions of removed engines.")
    ] = False,
    as_json: Json = False,
    socket: Socket = None,
    fleet: FleetName = None,
) -> int:
    """Read fleet.toml again."""
    params = {"dry_run": dry_run, "flatten": flatten, "keep_position": keep_position}
    with _connect(context, socket, fleet, WAIT_TIMEOUT) as client:
        return _show(client.call("reload", params), as_json=as_json)


def history(
    context: typer.Context,
    symbol: Annotated[
        str,
        typer.Argument(
            metavar="SYMBOL", help="BTCUSDT, btc/usdt", autocompletion=completion.symbols
        ),
    ],
    limit: Annotated[
        int, typer.Option("-n", "--limit", min=1, max=1000, metavar="N", help="How many.")
    ] = 20,
    as_json: Json = False,
    socket: Socket = None,
    fleet: FleetName = None,
) -> int:
    """Show the incidents of an engine, newest first, with tracebacks."""
    expect_symbols([symbol])
    with _connect(context, socket, fleet) as client:
        result = client.call("history", {"symbol": symbol, "limit": limit})
    return _show(result, as_json=as_json, describe=describe_incidents)


def events(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Continue until Ctrl-C.")] = False,
    since: Annotated[
        int | None,
        typer.Option("--since", min=0, metavar="SEQ", help="Only events after this one."),
    ] = None,
    as_json: Json = False,
    socket: Socket = None,
    fleet: FleetName = None,
) -> int:
    """Show the event log; with --follow --json, one event per line."""
    with _connect(context, socket, fleet) as client:
        batch = client.call("events.subscribe", {"since": since, "follow": follow})
        if not follow:
            return _show(batch, as_json=as_json, describe=describe_events)
        _print_events(batch, as_json=as_json)
        for method, params in client.notifications():
            missed = method == "events.missed"
            _print_events(params if missed else {"events": [params]}, as_json=as_json)
    terminal.complain("the fleet closed the connection")
    return exit_codes.UNREACHABLE


def logs(
    context: typer.Context,
    symbols: Symbols = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Continue until Ctrl-C.")] = False,
    lines: Annotated[
        int, typer.Option("-n", "--lines", min=0, max=100_000, metavar="N", help="How many.")
    ] = 20,
    as_json: Json = False,
    socket: Socket = None,
    fleet: FleetName = None,
) -> int:
    """Show the last lines of engines' logs. Without a symbol, those of the fleet."""
    expect_symbols(symbols or ())
    with _connect(context, socket, fleet) as client:
        answer = client.call("status", {"symbols": symbols or []})
    names = [row["symbol"] for row in answer["engines"]] if symbols else []
    reader = LogReader(Path(answer["data_dir"]) / "logs", names)
    found = reader.last(lines)
    if as_json and not follow:
        terminal.write(json.dumps(found))
        return exit_codes.FINE
    for record in itertools.chain(found, reader.follow() if follow else ()):
        terminal.write(json.dumps(record) if as_json else describe(record))
    return exit_codes.FINE


def risk(
    context: typer.Context, as_json: Json = False, socket: Socket = None, fleet: FleetName = None
) -> int:
    """Show the trading state, the limits and how much of them is used."""
    with _connect(context, socket, fleet) as client:
        return _show(client.call("risk"), as_json=as_json)


def halt(
    context: typer.Context,
    reason: Annotated[
        str, typer.Option("--reason", metavar="R", help="Why, for the journal and the status.")
    ] = "",
    as_json: Json = False,
    socket: Socket = None,
    fleet: FleetName = None,
) -> int:
    """Cancel all orders and send no new ones. Survives a restart, ends with unhalt."""
    with _connect(context, socket, fleet) as client:
        return _show(client.call("halt", {"reason": terminal.neutral(reason)}), as_json=as_json)


def unhalt(
    context: typer.Context, as_json: Json = False, socket: Socket = None, fleet: FleetName = None
) -> int:
    """End a halt: orders are sent again."""
    with _connect(context, socket, fleet) as client:
        return _show(client.call("unhalt"), as_json=as_json)


def flatten(
    context: typer.Context,
    symbols: Symbols = None,
    everything: Everything = False,
    as_json: Json = False,
    socket: Socket = None,
    fleet: FleetName = None,
) -> int:
    """Close the positions of engines."""
    _expect_engines("flatten", symbols, everything=everything)
    params = {"symbols": symbols or [], "all": everything}
    with _connect(context, socket, fleet, WAIT_TIMEOUT) as client:
        return _conclude(client.call("flatten", params), as_json=as_json, verb="flatten")


def metrics(context: typer.Context, socket: Socket = None, fleet: FleetName = None) -> int:
    """Print the metrics as Prometheus text."""
    with _connect(context, socket, fleet) as client:
        text = str(client.call("metrics")["text"])
    terminal.write("\n".join(map(terminal.neutral, text.rstrip("\n").split("\n"))))
    return exit_codes.FINE


def shutdown(
    context: typer.Context,
    grace: Annotated[
        float | None,
        typer.Option(
            "--grace",
            min=0.0,
            max=3600.0,
            metavar="S",
            help="Seconds engines have to stop; default: the value in fleet.toml.",
            callback=finite,
        ),
    ] = None,
    as_json: Json = False,
    socket: Socket = None,
    fleet: FleetName = None,
) -> int:
    """End the fleet gracefully."""
    with _connect(context, socket, fleet) as client:
        return _show(client.call("shutdown", {"grace": grace}), as_json=as_json)


def top(
    context: typer.Context,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Show only; change nothing.")
    ] = False,
    socket: Socket = None,
    fleet: FleetName = None,
) -> int:
    """Watch the fleet live and send commands (extra [tui]). Keys are shown at the bottom."""
    from levitrio.cli.top.command import run_top

    target: Target = context.obj
    return run_top(socket or target.socket, fleet or target.fleet, read_only=read_only)


def _expect_engines(verb: str, symbols: list[str] | None, *, everything: bool) -> None:
    expect_symbols(symbols or ())
    if everything == bool(symbols):
        given = "both" if everything else "neither"
        raise UsageError(f"{verb}: expected symbols (or globs) or --all, got {given}")


def _print_events(batch: Mapping[str, Any], *, as_json: bool) -> None:
    lines = describe_events(batch)
    if as_json:
        lines = [json.dumps(event) for event in batch.get("events", ())]
        lines += [json.dumps({"missed": batch["missed"]})] if batch.get("missed") else []
    if lines:
        terminal.write("\n".join(lines))


def _show(
    result: Mapping[str, Any],
    *,
    as_json: bool,
    describe: Callable[[Mapping[str, Any]], Sequence[str]] = describe_members,
) -> int:
    terminal.write(json.dumps(result) if as_json else "\n".join(describe(result)))
    return exit_codes.FINE


def _conclude(result: Mapping[str, Any], *, as_json: bool, verb: str) -> int:
    """Print the result of each engine; returns the exit code."""
    late = result["not_as_wanted"]
    if as_json:
        terminal.write(json.dumps(result))
    else:
        for found in result["results"]:
            symbol = terminal.neutral(found["symbol"])
            if found["ok"]:
                terminal.write(f"{symbol} {terminal.neutral(found['status'])}")
            else:
                reason = found["reason"] or found["status"]
                terminal.complain(f"{symbol} is refused: {reason}", found["hint"])
        if late:
            terminal.complain(f"not as wanted in time: {', '.join(late)}", "levi ctl status")
    if late and verb != "stop":
        return exit_codes.NOT_AS_WANTED
    return exit_codes.FINE if result["ok"] else exit_codes.FAILED
