"""`levi alerts test FLEET.toml`: does a message arrive?"""

from pathlib import Path
from typing import Annotated

import typer

from levitrio.cli import outcome, render
from levitrio.errors import UsageError
from levitrio.fleet.reading import load
from levitrio.records.alerts import Message
from levitrio.records.apprise_sender import make_send


def register(app: typer.Typer) -> None:
    """Add `alerts` and its commands."""
    alerts = typer.Typer(help="Messages to people.", rich_markup_mode=None)
    alerts.callback()(lambda: None)
    alerts.command("test")(test)
    app.add_typer(alerts, name="alerts")


def test(
    file: Annotated[Path, typer.Argument(metavar="FLEET.toml", help="The fleet.")],
) -> int:
    """Send one message to every address of [alerts]."""
    config = load(file)
    if config.alerts is None or not config.alerts.urls:
        raise UsageError(f'{file}: expected [alerts] urls = ["..."], found none')
    send = make_send(config.alerts.urls)
    sent = send(
        Message(title=f"levitrio {config.fleet.name}: test", body="This is how an alert arrives.")
    )
    count = len(config.alerts.urls)
    render.write(f"sent to {count} addresses" if sent else "at least one address did not take it")
    return outcome.FINE if sent else outcome.FAILED
