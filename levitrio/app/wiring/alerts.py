"""Alerts of a fleet, wired: which section of fleet.toml, and which threads."""

from levitrio.config.sections import FleetConfig
from levitrio.records.alerts.apprise_sender import make_sends
from levitrio.records.alerts.channel import Send


def open_sends(config: FleetConfig) -> tuple[Send, ...]:
    """A way to every address of `[alerts]`; none when the section names none. Blocks.

    Raises UsageError when apprise is missing or does not know an address.
    """
    return () if config.alerts is None else make_sends(config.alerts.urls)


def alerts_on(config: FleetConfig) -> tuple[str, ...]:
    """Which events `[alerts]` wants to be told of."""
    return () if config.alerts is None else config.alerts.on
