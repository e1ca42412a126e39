"""The Typer application of `levi`: its commands, and how a failed one ends.

The module of a command is imported only when that command runs, or when help lists them all:
`levi ctl stop` does not wait for the imports of `levi run`.
"""

import os
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from levitrio.cli import exit_codes, terminal
from levitrio.cli.help_examples import epilog
from levitrio.errors import LevitrioError, UsageError

_FLEETS = "levitrio.cli.fleet_commands"

COMMAND_MODULES = {
    "run": _FLEETS,
    "check": _FLEETS,
    "init": _FLEETS,
    "strategies": _FLEETS,
    "record": _FLEETS,
    "simulator": _FLEETS,
    "replay": "levitrio.cli.replay",
    "train": "levitrio.cli.train",
    "ctl": "levitrio.cli.ctl",
    "journal": "levitrio.cli.journal",
    "alerts": "levitrio.cli.alerts",
}
"""Command: its module, which has `register(app)`. In the order in which help lists them."""


def run_command_line(words: Sequence[str]) -> int:
    """Run a command line; returns the exit code. Raises nothing but KeyboardInterrupt."""
    as_json = "--json" in words
    if list(words) in ([], ["ctl"]):  # the help, and exit code 0
        words = [*words, "--help"]
    is_status = words[:1] == ["ctl"] and "status" in words
    try:
        code = build_app(_completed() or words)(
            args=list(words), prog_name="levi", standalone_mode=False
        )
    except typer.TyperException as error:
        return _complain(error, as_json=as_json, is_status=is_status)
    except typer.Abort:
        return 130
    except LevitrioError as error:
        return exit_codes.report(error, as_json=as_json, is_status=is_status)
    return code if isinstance(code, int) else exit_codes.FINE


def build_app(words: Sequence[str] = ()) -> typer.Typer:
    """The application with the commands that `words` need, or with all when that is unclear."""
    app = typer.Typer(
        help="A fleet of trading engines that never stops trading because one of them did.",
        pretty_exceptions_enable=False,
        epilog=epilog(""),
        rich_markup_mode=None,  # plain text in every terminal and mail; Rich also takes 60 ms
    )
    app.callback()(_options)
    wanted = words[0] if words and words[0] in COMMAND_MODULES else None
    for module in dict.fromkeys(COMMAND_MODULES.values()):
        if wanted is None or COMMAND_MODULES[wanted] == module:
            import_module(module).register(app)
    return app


def _completed() -> list[str]:
    """The words of the line to complete, when a shell calls for completion; else empty."""
    if "_LEVI_COMPLETE" not in os.environ:
        return []
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    return line.split()[1:]


def package_version() -> str:
    """The installed version; `0+unknown` for a checkout that is not installed."""
    try:
        return version("levitrio")
    except PackageNotFoundError:
        return "0+unknown"


def _show_version(value: bool) -> None:
    if value:
        terminal.write(f"levitrio {package_version()}")
        raise typer.Exit


def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """The options before a command."""


def _complain(error: typer.TyperException, *, as_json: bool, is_status: bool) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "levi"
    text = error.format_message().removesuffix(".")
    if as_json:
        return exit_codes.report(UsageError(text), as_json=True, is_status=is_status)
    terminal.complain(text, f"{path} --help")
    return error.exit_code
