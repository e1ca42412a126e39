"""Alerts of a fleet, wired: which section of fleet.toml, which thread, and the daily summary."""

from levitrio.app.assembly import Assembly
from levitrio.records.alerts import AlertRules, Alerts
from levitrio.records.apprise_sender import make_send


def make_alerts(assembly: Assembly) -> Alerts | None:
    """None when `[alerts]` names no address. Raises UsageError when apprise is missing."""
    config = assembly.config.alerts
    if config is None or not config.urls:
        return None
    return Alerts(
        rules=AlertRules(fleet=assembly.config.fleet.name, on=config.on),
        send=make_send(config.urls),
        offload=assembly.seams.offload(),
        failed=lambda text: assembly.tell("alert_failed", text),
    )
