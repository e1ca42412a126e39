"""Texts of the start of a fleet: what runs, its market, how to reach it, warnings. Pure."""

import os
from typing import Literal

from levitrio.config.sections import FleetConfig
from levitrio.config.validation import environment


def opening(config: FleetConfig, market: str, socket_path: str | None) -> str:
    """The first line of `levi run`: engines, market, kind of orders, data folder, socket."""
    reach = "" if socket_path is None else f" (socket {socket_path})"
    return (
        f"{config.fleet.name}: {len(config.engines)} engines, market data from {market}, "
        f"{config.broker.kind} orders, data in {os.path.normpath(config.fleet.data_dir)}; "
        f"see it with `levi ctl status`{reach}"
    )


def mode(config: FleetConfig) -> Literal["paper", "simulator", "live"]:
    """Whether orders are real; `live` includes those to Binance's test networks."""
    return "live" if config.broker.kind == "binance" else config.broker.kind


def orders_to(config: FleetConfig) -> str:
    """The venue that gets the orders, as text for people."""
    if config.broker.kind == "binance":
        return f"Binance {environment(config.broker.url)}"
    return config.broker.kind


def root_warning(config: FleetConfig, uid: int) -> str | None:
    """The warning for a live fleet that runs as root; None for any other."""
    if mode(config) != "live" or uid != 0:
        return None
    return (
        "this fleet trades real money as root, and so does every strategy in it: "
        "run it as a user of its own"
    )


def live_warning(config: FleetConfig) -> str | None:
    """The warning that orders are real; None on paper and on the built-in simulator."""
    if mode(config) != "live":
        return None
    return f"LIVE: orders of this fleet are sent to Binance ({environment(config.broker.url)})"
