"""The first words of a fleet: what it is, where its market is, how to reach it. Pure."""

import os

from levitrio.fleet.config import FleetConfig
from levitrio.fleet.rules import environment


def opening(config: FleetConfig, market: str, socket_path: str | None) -> str:
    """One line for whoever typed `levi run`."""
    reach = "" if socket_path is None else f" (socket {socket_path})"
    return (
        f"{config.fleet.name}: {len(config.engines)} engines, market data from {market}, "
        f"{config.broker.kind} orders, data in {os.path.normpath(config.fleet.data_dir)}; "
        f"see it with `levi ctl status`{reach}"
    )


def live_warning(config: FleetConfig) -> str | None:
    """What nobody may miss when orders are real; None on paper and on our own simulator."""
    if config.broker.kind != "binance":
        return None
    return f"LIVE: orders of this fleet are sent to Binance ({environment(config.broker.url)})"
