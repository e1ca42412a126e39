"""The commands run, check, init, strategies, record and simulator."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from levitrio.cli import completion
from levitrio.cli.help_examples import epilog
from levitrio.cli.numbers import finite

FleetFile = Annotated[
    Path, typer.Argument(metavar="FLEET.toml", help="The file that describes the fleet.")
]


class LogFormat(StrEnum):
    """What `levi run` writes on the terminal."""

    HUMAN = "human"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (run, check, init, strategies, record, simulator):
        app.command(epilog=epilog(command.__name__))(command)


def run(
    file: FleetFile,
    live: Annotated[
        bool, typer.Option("--live", help="Send real orders; [broker] must be real too.")
    ] = False,
    log_format: Annotated[
        LogFormat, typer.Option(help="Format of the log on the terminal.")
    ] = LogFormat.HUMAN,
) -> int:
    """Run a fleet here, until Ctrl-C or `levi ctl shutdown`."""
    # Imported here, so that `levi check` does not wait for the imports of a running fleet.
    from levitrio.app.run import run_fleet
    from levitrio.app.wiring.models import strategy_check
    from levitrio.cli.import_path import add_import_path
    from levitrio.config.loader import load

    add_import_path(file)
    config = load(file, check_strategy=strategy_check(file))
    chosen: Literal["human", "json"] = "json" if log_format is LogFormat.JSON else "human"
    return run_fleet(config, log_format=chosen, live=live)


def check(file: FleetFile) -> int:
    """List every mistake in a fleet.toml, with its line."""
    from levitrio.app.wiring.models import strategy_check
    from levitrio.cli.check import check as check_file
    from levitrio.cli.import_path import add_import_path

    add_import_path(file)
    return check_file(file, check_strategy=strategy_check(file))


def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Folder to write to.")] = Path(),
) -> int:
    """Write a commented fleet.toml to start from. Never overwrites one."""
    from levitrio.cli.init import init as init_folder

    return init_folder(folder)


def strategies(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help="Built-in names or package.module:Class.",
            autocompletion=completion.strategies,
        ),
    ] = None,
) -> int:
    """List strategies for fleet.toml, with their parameters."""
    from levitrio.cli.import_path import add_import_path
    from levitrio.cli.strategies import list_strategies

    add_import_path(Path("fleet.toml"))
    return list_strategies(names or ())


def record(
    file: FleetFile,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="A new file; compressed when it ends in .gz.")
    ],
    seconds: Annotated[
        float | None,
        typer.Option(
            "--for", min=0.1, metavar="S", help="Seconds; default: until Ctrl-C.", callback=finite
        ),
    ] = None,
) -> int:
    """Record the market data of a fleet, without its engines."""
    from levitrio.cli.record import record as record_fleet
    from levitrio.config.loader import load

    return record_fleet(load(file), out=out, seconds=seconds)


def simulator(
    port: Annotated[
        int, typer.Option(min=0, max=65_535, metavar="N", help="0 takes a free one.")
    ] = 0,
    recording: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Play this instead of a generated market."),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Seed of the generated market.")
    ] = 1,
    speed: Annotated[
        float, typer.Option(metavar="X", help="Market seconds per real second.", callback=finite)
    ] = 1.0,
    api_key: Annotated[
        str, typer.Option(metavar="K", help="API key with which a client may trade.")
    ] = "",
    api_secret: Annotated[
        str, typer.Option(metavar="S", help="Its HMAC secret, or its Ed25519 public key as PEM.")
    ] = "",
) -> int:
    """Run the built-in exchange alone, for any Binance client."""
    from levitrio.cli.simulator import run_simulator

    return run_simulator(
        port=port,
        recordings=recording or (),
        seed=seed,
        speed=speed,
        api_key=api_key,
        api_secret=api_secret,
    )
