"""Converts `[alerts]` of fleet.toml to senders and event kinds."""

from levitrio.config.sections import FleetConfig
from levitrio.records.alerts.apprise_sender import make_sends
from levitrio.records.alerts.channel import Send


def open_sends(config: FleetConfig) -> tuple[Send, ...]:
    """Open a sender for every address of `[alerts]`. Blocks.

    Raises:
        UsageError: apprise is not installed or does not know an address.
    """
    return () if config.alerts is None else make_sends(config.alerts.urls)


def alerts_on(config: FleetConfig) -> tuple[str, ...]:
    """The kinds of events that are sent as alerts."""
    return () if config.alerts is None else config.alerts.on
