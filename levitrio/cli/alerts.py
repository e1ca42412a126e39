"""`levi alerts test FLEET.toml`: sends a test message to every address."""

from pathlib import Path
from typing import Annotated

import typer

from levitrio.cli import exit_codes, terminal
from levitrio.cli.help_examples import epilog
from levitrio.config.loader import load
from levitrio.errors import UsageError
from levitrio.records.alerts.apprise_sender import make_sends
from levitrio.records.alerts.channel import Message, attempt

TEXT = "This is a test of the alerts of this fleet."


def register(app: typer.Typer) -> None:
    """Add `alerts` and its commands."""
    alerts = typer.Typer(
        help="Messages to people, as configured in [alerts].", rich_markup_mode=None
    )
    alerts.callback()(lambda: None)
    alerts.command("test", epilog=epilog("alerts test"))(test)
    app.add_typer(alerts, name="alerts")


def test(
    file: Annotated[Path, typer.Argument(metavar="FLEET.toml", help="The fleet.")],
) -> int:
    """Send one message to every address of [alerts]."""
    config = load(file)
    if config.alerts is None or not config.alerts.urls:
        raise UsageError(f'{file}: expected [alerts] urls = ["..."], found none')
    message = Message(title=f"levitrio {config.fleet.name}: test", body=TEXT)
    refused = 0
    for number, send in enumerate(make_sends(config.alerts.urls), start=1):
        # Only its number is shown, because the address may hold a token.
        if problem := attempt(send, message):
            refused += 1
            terminal.complain(f"address number {number}: {problem}")
        else:
            terminal.write(f"address number {number}: sent")
    return exit_codes.FAILED if refused else exit_codes.FINE
